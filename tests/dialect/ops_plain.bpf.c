// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What ops_dialect.bpf.c says, as it is written by hand over libbpf. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct pair {
	u64 a;
	u64 b;
};

struct slot_key {
	u32 pid;
	u32 slot;
};

struct stack {
	u64 ip[127];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, struct pair);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, u64);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct pair);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, u64);
} percpu_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, int);
	__type(value, u64);
} dist SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct slot_key);
	__type(value, u64);
} keyed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1024);
	__type(key, int);
	__type(value, struct stack);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 32);
	__type(value, struct pair);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, u32);
	__type(value, u32);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u32);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pair);
	__type(value, u32);
} trie SEC(".maps");

static __always_inline void count(void *map, u32 key, u64 by)
{
	u64 *found = bpf_map_lookup_elem(map, &key), first;

	if (found) {
		*found += by;
	} else {
		first = by;
		bpf_map_update_elem(map, &key, &first, BPF_NOEXIST);
	}
}

static __always_inline u32 log2(u32 v)
{
	u32 shift, r;

	r = (v > 0xffff) << 4;
	v >>= r;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

static __always_inline u32 log2l(u64 v)
{
	u32 high = v >> 32;

	return high ? log2(high) + 33 : log2(v) + 1;
}

SEC("perf_event")
int op_lookup(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair *pair = bpf_map_lookup_elem(&hash, &key);

	return pair ? pair->a : 0;
}

SEC("perf_event")
int op_update(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair pair = { .a = 1, .b = key };

	return bpf_map_update_elem(&hash, &key, &pair, BPF_ANY);
}

SEC("perf_event")
int op_insert_delete(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair pair = { .a = 1, .b = key };

	bpf_map_update_elem(&hash, &key, &pair, BPF_NOEXIST);
	return bpf_map_delete_elem(&hash, &key);
}

SEC("perf_event")
int op_try_init(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	struct pair zero = {}, *pair;

	pair = bpf_map_lookup_elem(&hash, &key);
	if (!pair) {
		bpf_map_update_elem(&hash, &key, &zero, BPF_NOEXIST);
		pair = bpf_map_lookup_elem(&hash, &key);
	}
	if (pair)
		pair->b += 7;
	return 0;
}

SEC("perf_event")
int op_increment(struct bpf_perf_event_data *ctx)
{
	count(&counts, bpf_get_smp_processor_id(), 1);
	return 0;
}

SEC("perf_event")
int op_increment_by(struct bpf_perf_event_data *ctx)
{
	count(&counts, bpf_get_smp_processor_id(), 5);
	return 0;
}

SEC("perf_event")
int op_atomic(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	u64 *found = bpf_map_lookup_elem(&counts, &key), first;

	if (found) {
		__sync_fetch_and_add(found, 1);
	} else {
		first = 1;
		bpf_map_update_elem(&counts, &key, &first, BPF_NOEXIST);
	}
	return 0;
}

SEC("perf_event")
int op_array(struct bpf_perf_event_data *ctx)
{
	int key = 3;
	u64 *found = bpf_map_lookup_elem(&slots, &key);

	if (found)
		*found += 1;
	return 0;
}

SEC("perf_event")
int op_percpu(struct bpf_perf_event_data *ctx)
{
	int zero = 0;
	struct pair *pair = bpf_map_lookup_elem(&percpu, &zero);

	if (pair)
		pair->a++;
	return 0;
}

SEC("perf_event")
int op_lru(struct bpf_perf_event_data *ctx)
{
	u32 key = bpf_get_smp_processor_id();
	u64 now = bpf_ktime_get_ns();

	return bpf_map_update_elem(&recent, &key, &now, BPF_ANY);
}

SEC("perf_event")
int op_histogram(struct bpf_perf_event_data *ctx)
{
	int key = log2l(bpf_ktime_get_ns());
	u64 *found = bpf_map_lookup_elem(&dist, &key);

	if (found)
		*found += 1;
	return 0;
}

SEC("perf_event")
int op_keyed(struct bpf_perf_event_data *ctx)
{
	struct slot_key key = { .pid = bpf_get_current_pid_tgid() >> 32, .slot = 3 };
	u64 *found = bpf_map_lookup_elem(&keyed, &key), first;

	if (found) {
		*found += 1;
	} else {
		first = 1;
		bpf_map_update_elem(&keyed, &key, &first, BPF_NOEXIST);
	}
	return 0;
}

SEC("perf_event")
int op_stack(struct bpf_perf_event_data *ctx)
{
	return bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
}

SEC("perf_event")
int op_queue(struct bpf_perf_event_data *ctx)
{
	struct pair pair = { .a = 1 };

	if (bpf_map_peek_elem(&queue, &pair))
		bpf_map_push_elem(&queue, &pair, 0);
	return bpf_map_pop_elem(&queue, &pair);
}

SEC("perf_event")
int op_tail_call(struct bpf_perf_event_data *ctx)
{
	bpf_tail_call(ctx, &programs, 2);
	return 0;
}

SEC("perf_event")
int op_perf_submit(struct bpf_perf_event_data *ctx)
{
	struct pair pair = { .a = 1 };

	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &pair, sizeof(pair));
}

SEC("perf_event")
int op_cgroup(struct bpf_perf_event_data *ctx)
{
	return bpf_current_task_under_cgroup(&groups, 0);
}

SEC("perf_event")
int op_perf_read(struct bpf_perf_event_data *ctx)
{
	struct bpf_perf_event_value value = {};

	bpf_perf_event_read_value(&counters, BPF_F_CURRENT_CPU, &value, sizeof(value));
	return value.counter;
}

SEC("perf_event")
int op_trie(struct bpf_perf_event_data *ctx)
{
	struct pair key = { .a = 32 };
	u32 *found = bpf_map_lookup_elem(&trie, &key);

	return found ? *found : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
