// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * usdtsnoop: each time that a program passes one of its static probes (USDT), with arguments.
 */
#define BPFDUET_USDT
#include "bpfduet.h"

struct hit_event {
	u64 ts;
	u32 pid;
	u32 arguments; /* how many of the three the probe has */
	s64 arg1;
	s64 arg2;
	s64 arg3;
	char comm[TASK_COMM_LEN];
	bool string_cut; /* it goes on */
	char string[256]; /* with --string, else not sent */
};

BPF_EVENTS(events, struct hit_event, 64);

CONFIG(u32, string_argument, 0, "show the string that this argument points to", "s");

static __always_inline s64 argument(const struct hit_event *event, u32 number)
{
	if (number == 1)
		return event->arg1;
	if (number == 2)
		return event->arg2;
	return event->arg3;
}

USDT(hit, "")
{
	struct hit_event event = {};
	u64 size = offsetof(struct hit_event, string);
	const char *string;
	long n;

	if (!task_matches())
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.pid = bpf_get_current_pid_tgid() >> 32;
	event.arguments += !bpf_usdt_readarg(1, ctx, &event.arg1);
	event.arguments += !bpf_usdt_readarg(2, ctx, &event.arg2);
	event.arguments += !bpf_usdt_readarg(3, ctx, &event.arg3);
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	if (string_argument) {
		string = (const char *)argument(&event, string_argument);
		n = bpf_probe_read_user_str(&event.string, sizeof(event.string), string);
		event.string_cut = user_string_cut(string, n, sizeof(event.string));
		size += string_bytes(n, sizeof(event.string));
	}
	events.ringbuf_output(&event, size, 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
