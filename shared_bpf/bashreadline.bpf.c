// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * bashreadline: the lines that are typed into interactive bash shells.
 */
#include "bpfduet.h"

struct line_event {
	u64 ts;
	u32 pid;
	bool line_cut; /* it goes on */
	char line[256];
};

BPF_EVENTS(events, struct line_event, 64);

/* Other programs use the library's readline(), too. */
static __always_inline bool is_bash(void)
{
	char comm[TASK_COMM_LEN] = {};

	bpf_get_current_comm(&comm, sizeof(comm));
	return comm[0] == 'b' && comm[1] == 'a' && comm[2] == 's' && comm[3] == 'h' && !comm[4];
}

URETPROBE(readline, "/bin/bash:readline", const char *line)
{
	struct line_event event = {};
	u64 size = offsetof(struct line_event, line);
	long n;

	if (!line || !task_matches() || !is_bash())
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.pid = bpf_get_current_pid_tgid() >> 32;
	n = bpf_probe_read_user_str(&event.line, sizeof(event.line), line);
	event.line_cut = user_string_cut(line, n, sizeof(event.line));
	size += string_bytes(n, sizeof(event.line));
	events.ringbuf_output(&event, size, 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
