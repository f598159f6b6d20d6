// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * readhist: how many bytes read() returned, as a histogram of powers of two.
 */
#include "bpfduet.h"

struct read_key {
	u32 pid;
	char comm[TASK_COMM_LEN];
	u32 slot;
};

BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(by_process_dist, struct read_key, 10240);

CONFIG(bool, by_process, false);

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
	struct read_key key = {};

	if (args->ret < 0 || !task_matches())
		return 0;
	if (!by_process) {
		dist.atomic_increment(bpf_log2l(args->ret));
		return 0;
	}
	key.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	key.slot = bpf_log2l(args->ret);
	by_process_dist.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
