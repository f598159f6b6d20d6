// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * llcstat: references to the last-level cache and misses, by process and CPU, sampled.
 *
 * A sample stands for as many events as lie between two of them.
 */
#include "bpfduet.h"

struct cache_key {
	u32 pid;
	u32 tid; /* 0 unless threads are told apart */
	u32 cpu;
	char name[TASK_COMM_LEN];
};

struct cache_use {
	u64 references;
	u64 misses;
};

BPF_HASH(counts, struct cache_key, struct cache_use);
BPF_COUNT_LOST();

CONFIG(bool, by_thread, false);

/* NULL for a task that is not wanted. Entries are a CPU's own, and its samples do not interrupt
 * each other. */
static __always_inline struct cache_use *use_of_this_task(void)
{
	u64 id = bpf_get_current_pid_tgid();
	struct cache_use none = {}, *use;
	struct cache_key key = {};

	if (!task_matches())
		return 0;
	key.pid = id >> 32;
	if (by_thread)
		key.tid = id;
	key.cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(&key.name, sizeof(key.name));
	use = counts.lookup_or_try_init(&key, &none);
	if (!use)
		count_lost();
	return use;
}

PERF_EVENT(reference)
{
	struct cache_use *use = use_of_this_task();

	if (use)
		use->references += ctx->sample_period;
	return 0;
}

PERF_EVENT(miss)
{
	struct cache_use *use = use_of_this_task();

	if (use)
		use->misses += ctx->sample_period;
	return 0;
}

LICENSE("Dual BSD/GPL");
