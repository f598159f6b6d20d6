// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * funccost: what the calls of a function cost, by a counter of the CPUs or of the kernel.
 *
 * Each CPU has its counter. A call's cost is how far they go while its thread runs, so neither
 * the threads that run in between nor a move to another CPU are in the way. Where a kernel did
 * not tell of such a switch, the cost is not known: the call is counted as lost.
 */
#include "bpfduet.h"

struct open_call {
	u64 cost; /* until the thread last left a CPU */
	u64 since; /* the counter when it last came to one */
	u32 away; /* it has left a CPU and not come to another */
	u32 unknown; /* a switch is missing */
};

struct cost_key {
	u32 pid;
	u32 slot;
};

struct cost_sum {
	u64 total;
	u64 count;
};

BPF_HASH(calls, u32, struct open_call);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(by_process, struct cost_key, 10240);
BPF_PERCPU_ARRAY(sums, struct cost_sum, 1);
BPF_PERF_ARRAY(counter, 1024);
BPF_COUNT_LOST();

CONFIG(bool, per_process, false);

static __always_inline u64 read_counter(void)
{
	struct bpf_perf_event_value value = {};

	counter.perf_counter_value(CUR_CPU_IDENTIFIER, &value, sizeof(value));
	return value.counter;
}

PROBE(enter)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct open_call call = {};

	if (!task_matches())
		return 0;
	call.since = read_counter();
	calls.update(&tid, &call);
	return 0;
}

/* The thread that leaves is still the current one. TID 0 is the idle task. */
TRACEPOINT_PROBE(sched, sched_switch)
{
	u32 tid = bpf_get_current_pid_tgid(), next = args->next_pid;
	struct open_call *call;

	call = tid ? calls.lookup(&tid) : 0;
	if (call) {
		call->cost += read_counter() - call->since;
		call->unknown |= call->away;
		call->away = 1;
	}
	call = next ? calls.lookup(&next) : 0;
	if (call) {
		call->since = read_counter();
		call->unknown |= !call->away;
		call->away = 0;
	}
	return 0;
}

static __always_inline void count(u32 pid, u64 cost)
{
	struct cost_key key = {};
	struct cost_sum *sum;
	int first = 0;

	sum = sums.lookup(&first);
	if (sum) {
		lock_xadd(&sum->total, cost);
		lock_xadd(&sum->count, 1);
	}
	if (!per_process) {
		dist.atomic_increment(bpf_log2l(cost));
		return;
	}
	key.pid = pid;
	key.slot = bpf_log2l(cost);
	by_process.atomic_increment(key);
}

RETPROBE(leave)
{
	u64 id = bpf_get_current_pid_tgid(), now;
	struct open_call *call;
	u32 tid = id;

	call = calls.lookup(&tid);
	if (!call)
		return 0;
	now = read_counter();
	if (call->away || call->unknown)
		count_lost();
	else
		count(id >> 32, call->cost + now - call->since);
	calls.delete(&tid);
	return 0;
}

LICENSE("Dual BSD/GPL");
