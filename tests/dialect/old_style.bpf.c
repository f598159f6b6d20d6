// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * One source for BCC and libbpf in the older way: every place where the two differ is under
 * #ifdef __BCC__, and nothing of bpfduet is included. docs/dialect.md sets it beside the dialect.
 */
#ifndef __BCC__
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#endif

/* Only the test's own calls: nobody else asks for this process. */
#define NOBODY 4242421

struct old_event {
	u32 pid;
	u32 calls;
	char comm[16];
};

#ifdef __BCC__
BPF_HASH(my_hash_map, u32, u32, 1024);
BPF_PERCPU_ARRAY(heap, struct old_event, 1);
BPF_PERF_OUTPUT(events);
BPF_TABLE("array", int, struct old_event, events__type, 1);
#else
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u32);
} my_hash_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct old_event);
} heap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, u32);
	__type(value, u32);
} events SEC(".maps");

const struct old_event *const events__type SEC(".bpfduet.types") = 0;

struct getpgid_args {
	u64 unused;
	int nr;
	int unused2;
	u64 pid;
};
#endif

#ifdef __BCC__
TRACEPOINT_PROBE(syscalls, sys_enter_getpgid)
#else
SEC("tracepoint/syscalls/sys_enter_getpgid")
int tracepoint__syscalls__sys_enter_getpgid(struct getpgid_args *args)
#endif
{
	u32 pid = bpf_get_current_pid_tgid() >> 32, calls = 1, *before;
	struct old_event *event;
	int zero = 0;

	if (args->pid != NOBODY)
		return 0;
#ifdef __BCC__
	event = heap.lookup(&zero);
	before = my_hash_map.lookup(&pid);
#else
	event = bpf_map_lookup_elem(&heap, &zero);
	before = bpf_map_lookup_elem(&my_hash_map, &pid);
#endif
	if (!event)
		return 0;
	if (before)
		calls = *before + 1;
#ifdef __BCC__
	my_hash_map.update(&pid, &calls);
#else
	bpf_map_update_elem(&my_hash_map, &pid, &calls, BPF_ANY);
#endif
	event->pid = pid;
	event->calls = calls;
	bpf_get_current_comm(&event->comm, sizeof(event->comm));
#ifdef __BCC__
	events.perf_submit(args, event, sizeof(*event));
#else
	bpf_perf_event_output(args, &events, BPF_F_CURRENT_CPU, event, sizeof(*event));
#endif
	return 0;
}

#ifndef __BCC__
char LICENSE[] SEC("license") = "Dual BSD/GPL";
#endif
