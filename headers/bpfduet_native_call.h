/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * For programs on raw_syscalls:sys_enter and sys_exit that are after some calls only, as those on
 * syscalls:* are: __NR_* and what tells such a call. Included by the tools that need it, after
 * bpfduet.h.
 */
#ifndef BPFDUET_NATIVE_CALL_H
#define BPFDUET_NATIVE_CALL_H

#include "bpfduet_syscall_numbers.h"

#define DUET_TS_COMPAT 0x0002 /* TS_COMPAT of asm/thread_info.h */

/*
 * Whether the system call that the current task is in came by the 64-bit entry: other ones have
 * the same numbers for other calls, and programs on syscalls:* do not see them.
 */
static __always_inline bool call_is_native(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return !(BPF_CORE_READ(task, thread_info.status) & DUET_TS_COMPAT);
}

#endif /* BPFDUET_NATIVE_CALL_H */
