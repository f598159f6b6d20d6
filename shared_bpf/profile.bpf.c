// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * profile: which code the CPUs run, by samples of their stacks at a steady rate.
 */
#define BPFDUET_CONTAINERS
#include "bpfduet.h"

struct stack_key {
	u32 pid;
	int user_stack; /* -EFAULT: none, or not wanted */
	int kernel_stack;
	char comm[TASK_COMM_LEN];
};

BPF_HASH(counts, struct stack_key, u64);
BPF_STACK_TRACE(stack_traces, 16384);

CONFIG(bool, user_only, false, "show stacks from user space only (no kernel space stacks)", "U");
CONFIG(bool, kernel_only, false, "show stacks from kernel space only (no user space stacks)", "K");
CONFIG(bool, with_idle, false, "include CPU idle stacks", "I");
CONFIG(int, only_cpu, -1);

PERF_EVENT(sample)
{
	u64 id = bpf_get_current_pid_tgid();
	struct stack_key key = {};

	if (!(u32)id && !with_idle)
		return 0;
	if (only_cpu >= 0 && only_cpu != (int)bpf_get_smp_processor_id())
		return 0;
	if (!task_matches() || !container_matches())
		return 0;

	key.pid = id >> 32;
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	key.user_stack = -EFAULT;
	key.kernel_stack = -EFAULT;
	if (!kernel_only)
		key.user_stack = stack_traces.get_stackid(ctx, BPF_F_USER_STACK);
	if (!user_only)
		key.kernel_stack = stack_traces.get_stackid(ctx, 0);
	counts.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
