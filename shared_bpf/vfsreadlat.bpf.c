// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * vfsreadlat: how long vfs_read() took, as a histogram for each process name.
 */
#include "bpfduet.h"

struct latency_key {
	char comm[TASK_COMM_LEN];
	u32 slot;
};

BPF_HASH(start, u32, u64);
BPF_HISTOGRAM(ns, struct latency_key, 10240);

static __always_inline int entered(void)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 now;

	if (!task_matches())
		return 0;
	now = bpf_ktime_get_ns();
	start.update(&tid, &now);
	return 0;
}

static __always_inline int returned(void)
{
	u64 now = bpf_ktime_get_ns(), *began;
	u32 tid = bpf_get_current_pid_tgid();
	struct latency_key key = {};

	began = start.lookup(&tid);
	if (!began)
		return 0; /* not a task to trace, or entered before tracing was */
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	key.slot = bpf_log2l(now - *began);
	start.delete(&tid);
	ns.atomic_increment(key);
	return 0;
}

KFUNC_PROBE(vfs_read)
{
	return entered();
}

KRETFUNC_PROBE(vfs_read)
{
	return returned();
}

KPROBE(vfs_read)
{
	return entered();
}

KRETPROBE(vfs_read)
{
	return returned();
}

LICENSE("Dual BSD/GPL");
