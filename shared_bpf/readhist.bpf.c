// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * readhist: how many bytes read() returned, as a histogram of powers of two.
 */
#include "bpfduet.h"
#include "bpfduet_native_call.h"

struct read_key {
	u32 pid;
	char comm[TASK_COMM_LEN];
	u32 slot;
};

BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(by_process_dist, struct read_key, 10240);

CONFIG(bool, by_process, false);

static __always_inline int returned(long ret)
{
	struct read_key key = {};

	if (ret < 0 || !task_matches())
		return 0;
	if (!by_process) {
		dist.atomic_increment(bpf_log2l(ret));
		return 0;
	}
	key.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	key.slot = bpf_log2l(ret);
	by_process_dist.atomic_increment(key);
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
	return returned(args->ret);
}

/* In its place where the kernel would skip it. */
TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	return args->id == __NR_read && call_is_native() ? returned(args->ret) : 0;
}

LICENSE("Dual BSD/GPL");
