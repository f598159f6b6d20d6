// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * syscount: system calls counted by call or by process, with their latencies.
 */
#include "bpfduet.h"

struct call_total {
	u64 count;
	u64 ns; /* with --latency */
	char comm[TASK_COMM_LEN]; /* with --process */
};

BPF_HASH(start, u32, u64);
BPF_HASH(data, u32, struct call_total);

CONFIG(bool, by_process, false);
CONFIG(bool, latency, false);
CONFIG(bool, failed_only, false, "trace only failed syscalls (return < 0)", "x");
/* 0: all */
CONFIG(int, only_errno, 0, "trace only syscalls that return this error (numeric or EPERM, etc.)",
       "e");
CONFIG(int, only_syscall, -1,
       "trace this syscall only (use option -l to get all recognized syscalls)");
CONFIG(u32, filter_ppid, 0);

static __always_inline bool wanted(long nr)
{
	struct task_struct *task;

	if (only_syscall >= 0 && nr != only_syscall)
		return false;
	if (!task_matches())
		return false;
	if (filter_ppid) {
		task = (struct task_struct *)bpf_get_current_task();
		if ((u32)BPF_CORE_READ(task, real_parent, tgid) != filter_ppid)
			return false;
	}
	return true;
}

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 now;

	if (!wanted(args->id))
		return 0;
	now = bpf_ktime_get_ns();
	start.update(&tid, &now);
	return 0;
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	u64 id = bpf_get_current_pid_tgid(), ns = 0, *began;
	u32 tid = id, key = by_process ? id >> 32 : args->id;
	struct call_total *total, first;

	if (!wanted(args->id))
		return 0;
	if (latency) {
		began = start.lookup(&tid);
		if (!began)
			return 0; /* the call was entered before tracing was */
		ns = bpf_ktime_get_ns() - *began;
		start.delete(&tid);
	}
	if (failed_only && args->ret >= 0)
		return 0;
	if (only_errno && args->ret != -only_errno)
		return 0;
	if (args->id < 0)
		return 0; /* a call that was restarted or skipped */

	total = data.lookup(&key);
	if (!total) {
		__builtin_memset(&first, 0, sizeof(first));
		data.insert(&key, &first);
		total = data.lookup(&key);
		if (!total)
			return 0;
	}
	if (by_process) /* each time: an exec changes it */
		bpf_get_current_comm(&total->comm, sizeof(total->comm));
	lock_xadd(&total->count, 1);
	if (latency)
		lock_xadd(&total->ns, ns);
	return 0;
}

LICENSE("Dual BSD/GPL");
