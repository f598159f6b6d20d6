// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * runqlen: how many tasks wait for each CPU, sampled.
 *
 * What is counted is the CPU's whole queue, of all groups and classes of tasks.
 */
#include "bpfduet.h"

struct cpu_key {
	u32 cpu;
	u32 waiting;
};

struct cpu_samples {
	u64 queued; /* with somebody waiting */
	u64 samples;
};

BPF_HISTOGRAM(dist, u32, 1024);
BPF_HISTOGRAM(cpu_dist, struct cpu_key, 10240);
BPF_HASH(occupancy, u32, struct cpu_samples);

CONFIG(bool, by_cpu, false);
CONFIG(bool, occupancy_only, false);

/* The entry is this CPU's alone. */
static __always_inline void count_occupancy(u32 waiting)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct cpu_samples none = {}, *sum;

	sum = occupancy.lookup_or_try_init(&cpu, &none);
	if (!sum)
		return;
	if (waiting)
		sum->queued++;
	sum->samples++;
}

PERF_EVENT(sample)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct cpu_key key = {};
	u32 running;

	if (!task_matches())
		return 0;
	running = BPF_CORE_READ(task, se.cfs_rq, rq, nr_running);
	/* The one that runs does not wait; the idle task is not counted at all. */
	key.waiting = running ? running - 1 : 0;
	if (occupancy_only) {
		count_occupancy(key.waiting);
		return 0;
	}
	if (!by_cpu) {
		dist.atomic_increment(key.waiting);
		return 0;
	}
	key.cpu = bpf_get_smp_processor_id();
	cpu_dist.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
