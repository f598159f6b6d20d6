// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * frames: the stacks of every call of one function. Exact where samples are not, so that two
 * frontends must print the same.
 */
#include "bpfduet.h"

struct stack_key {
	u32 pid;
	int user_stack;
	char comm[TASK_COMM_LEN];
};

BPF_HASH(calls, struct stack_key, u64);
BPF_STACK_TRACE(stack_traces, 64);

UPROBE(call, "/bin/sh:main")
{
	struct stack_key key = {};

	if (!task_matches())
		return 0;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.user_stack = stack_traces.get_stackid(ctx, BPF_F_USER_STACK);
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	calls.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
