// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * funclatency: how long the calls of a function take, of the kernel or of a program.
 */
#include "bpfduet.h"

struct call {
	u32 tid;
	u32 level; /* how many calls of the function are around this one, with --level */
};

struct latency_key {
	u32 pid;
	u32 slot;
};

struct latency_sum {
	u64 total_ns;
	u64 count;
};

BPF_HASH(starts, struct call, u64);
BPF_HASH(depths, u32, u32);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(by_process, struct latency_key, 10240);
BPF_PERCPU_ARRAY(sums, struct latency_sum, 1);

CONFIG(bool, per_process, false);
CONFIG(bool, milliseconds, false);
CONFIG(bool, microseconds, false);
/* 0: a call forgets those around it, so the innermost is timed */
CONFIG(u32, levels, 0, "time the outermost LEVEL of nested calls, not the innermost", "l");

PROBE(enter)
{
	u64 now = bpf_ktime_get_ns();
	u32 *depth, none = 0;
	struct call call = {};

	if (!task_matches())
		return 0;
	call.tid = bpf_get_current_pid_tgid();
	if (levels) {
		depth = depths.lookup_or_try_init(&call.tid, &none);
		if (!depth)
			return 0;
		call.level = (*depth)++;
		if (call.level >= levels)
			return 0;
	}
	starts.update(&call, &now);
	return 0;
}

/* The level of the call that returns. */
static __always_inline bool leave_level(struct call *call)
{
	u32 *depth = depths.lookup(&call->tid);

	if (!depth)
		return false;
	call->level = --*depth;
	if (!call->level)
		depths.delete(&call->tid);
	return call->level < levels;
}

static __always_inline void count(u32 pid, u64 ns)
{
	struct latency_key key = {};
	struct latency_sum *sum;
	u64 units = ns;
	int first = 0;

	sum = sums.lookup(&first);
	if (sum) {
		lock_xadd(&sum->total_ns, ns);
		lock_xadd(&sum->count, 1);
	}
	if (milliseconds)
		units = ns / 1000000;
	else if (microseconds)
		units = ns / 1000;
	if (!per_process) {
		dist.atomic_increment(bpf_log2l(units));
		return;
	}
	key.pid = pid;
	key.slot = bpf_log2l(units);
	by_process.atomic_increment(key);
}

RETPROBE(leave)
{
	u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns(), *start;
	struct call call = {};

	call.tid = id;
	if (levels && !leave_level(&call))
		return 0;
	start = starts.lookup(&call);
	if (!start)
		return 0;
	count(id >> 32, now - *start);
	starts.delete(&call);
	return 0;
}

LICENSE("Dual BSD/GPL");
