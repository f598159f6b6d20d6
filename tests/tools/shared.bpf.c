// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * shared: two programs with one to fall back to, which sees every system call. No kernel can
 * attach the first, each the second, and the third stands for both.
 */
#include "bpfduet.h"
#include "bpfduet_native_call.h"

BPF_ARRAY(calls, u64, 3);

static __always_inline int called(int probe)
{
	if (task_matches())
		calls.atomic_increment(probe);
	return 0;
}

KFUNC_PROBE(bpfduet_missing)
{
	return called(0);
}

TRACEPOINT_PROBE(syscalls, sys_exit_sched_yield)
{
	return called(0);
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	if (args->id != __NR_sched_yield)
		return 0;
	return called(call_is_native() ? 1 : 2);
}

LICENSE("Dual BSD/GPL");
