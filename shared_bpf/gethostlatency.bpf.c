// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * gethostlatency: how long the C library takes to look up host names.
 */
#include "bpfduet.h"

struct lookup_start {
	u64 ns;
	const char *host;
};

struct lookup_event {
	u64 ts;
	u64 delta_ns;
	u32 pid;
	char comm[TASK_COMM_LEN];
	bool host_cut; /* it goes on */
	char host[256];
};

BPF_HASH(starts, u32, struct lookup_start);
BPF_EVENTS(events, struct lookup_event, 64);

static __always_inline int begin(const char *host)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct lookup_start start = {};

	if (!host || !task_matches())
		return 0;
	start.host = host;
	start.ns = bpf_ktime_get_ns();
	starts.update(&tid, &start);
	return 0;
}

/* By now the call has read the name, so that its page is there to be read from here. */
static __always_inline int end(void)
{
	u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	struct lookup_event event = {};
	u64 size = offsetof(struct lookup_event, host);
	struct lookup_start *start;
	u32 tid = id;
	long n;

	start = starts.lookup(&tid);
	if (!start)
		return 0;
	event.ts = now;
	event.delta_ns = now - start->ns;
	event.pid = id >> 32;
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	n = bpf_probe_read_user_str(&event.host, sizeof(event.host), start->host);
	event.host_cut = user_string_cut(start->host, n, sizeof(event.host));
	size += string_bytes(n, sizeof(event.host));
	starts.delete(&tid);
	events.ringbuf_output(&event, size, 0);
	return 0;
}

UPROBE(getaddrinfo, "libc.so.6:getaddrinfo", const char *host)
{
	return begin(host);
}

URETPROBE(getaddrinfo, "libc.so.6:getaddrinfo")
{
	return end();
}

UPROBE(gethostbyname, "libc.so.6:gethostbyname", const char *host)
{
	return begin(host);
}

URETPROBE(gethostbyname, "libc.so.6:gethostbyname")
{
	return end();
}

UPROBE(gethostbyname2, "libc.so.6:gethostbyname2", const char *host)
{
	return begin(host);
}

URETPROBE(gethostbyname2, "libc.so.6:gethostbyname2")
{
	return end();
}

LICENSE("Dual BSD/GPL");
