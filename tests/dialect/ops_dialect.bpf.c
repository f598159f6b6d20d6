// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Map operations in the dialect. ops_plain.bpf.c has the same by hand; the code must be the same. */
#include "bpfduet.h"

struct pair {
	u64 a;
	u64 b;
};

struct slot_key {
	u32 pid;
	u32 slot;
};

BPF_HASH(hash, u32, struct pair);
BPF_HASH(counts, u32);
BPF_ARRAY(slots, u64, 16);
BPF_PERCPU_ARRAY(percpu, struct pair, 1);
BPF_PERCPU_HASH(percpu_counts, u32, u64, 128);
BPF_TABLE("lru_hash", u32, u64, recent, 64);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(keyed, struct slot_key, 1024);
BPF_STACK_TRACE(stacks, 1024);
BPF_QUEUE(queue, struct pair, 32);
BPF_PROG_ARRAY(programs, 4);
BPF_PERF_OUTPUT(events);
BPF_CGROUP_ARRAY(groups, 1);
BPF_PERF_ARRAY(counters, 64);
BPF_LPM_TRIE(trie, struct pair, u32, 16);

SEC("perf_event")
int op_lookup(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair *pair = hash.lookup(&key);

	return pair ? pair->a : 0;
}

SEC("perf_event")
int op_update(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair pair = { .a = 1, .b = key };

	return hash.update(&key, &pair);
}

SEC("perf_event")
int op_insert_delete(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair pair = { .a = 1, .b = key };

	hash.insert(&key, &pair);
	return hash.delete(&key);
}

SEC("perf_event")
int op_try_init(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair zero = {}, *pair;

	pair = hash.lookup_or_try_init(&key, &zero);
	if (pair)
		pair->b += 7;
	return 0;
}

SEC("perf_event")
int op_increment(struct bpf_perf_event_data *ctx)
{
	counts.increment(bpf_get_smp_processor_id());
	return 0;
}

SEC("perf_event")
int op_increment_by(struct bpf_perf_event_data *ctx)
{
	counts.increment(bpf_get_smp_processor_id(), 5);
	return 0;
}

SEC("perf_event")
int op_atomic(struct bpf_perf_event_data *ctx)
{
	counts.atomic_increment(bpf_get_smp_processor_id());
	return 0;
}

SEC("perf_event")
int op_array(struct bpf_perf_event_data *ctx)
{
	slots.increment(3);
	return 0;
}

SEC("perf_event")
int op_percpu(struct bpf_perf_event_data *ctx)
{
	int zero = 0;
	struct pair *pair = percpu.lookup(&zero);

	if (pair)
		pair->a++;
	return 0;
}

SEC("perf_event")
int op_lru(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	u64 now = bpf_ktime_get_ns();

	return recent.update(&key, &now);
}

SEC("perf_event")
int op_histogram(struct bpf_perf_event_data *ctx)
{
	dist.increment(bpf_log2l(bpf_ktime_get_ns()));
	return 0;
}

SEC("perf_event")
int op_keyed(struct bpf_perf_event_data *ctx)
{
	struct slot_key key = { .pid = bpf_get_current_pid_tgid() >> 32, .slot = 3 };

	keyed.increment(key);
	return 0;
}

SEC("perf_event")
int op_stack(struct bpf_perf_event_data *ctx)
{
	return stacks.get_stackid(ctx, BPF_F_USER_STACK);
}

SEC("perf_event")
int op_queue(struct bpf_perf_event_data *ctx)
{
	struct pair pair = { .a = 1 };

	if (queue.peek(&pair))
		queue.push(&pair, 0);
	return queue.pop(&pair);
}

SEC("perf_event")
int op_tail_call(struct bpf_perf_event_data *ctx)
{
	programs.call(ctx, 2);
	return 0;
}

SEC("perf_event")
int op_perf_submit(struct bpf_perf_event_data *ctx)
{
	struct pair pair = { .a = 1 };

	return events.perf_submit(ctx, &pair, sizeof(pair));
}

SEC("perf_event")
int op_cgroup(struct bpf_perf_event_data *ctx)
{
	return groups.check_current_task(0);
}

SEC("perf_event")
int op_perf_read(struct bpf_perf_event_data *ctx)
{
	struct bpf_perf_event_value value = {};

	counters.perf_counter_value(CUR_CPU_IDENTIFIER, &value, sizeof(value));
	return value.counter;
}

SEC("perf_event")
int op_trie(struct bpf_perf_event_data *ctx)
{
	struct pair key = { .a = 32 };
	u32 *found = trie.lookup(&key);

	return found ? *found : 0;
}

LICENSE("Dual BSD/GPL");
