// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * skipped: a program whose own doing hits a probe of the second one. The kernel does not run that
 * one meanwhile, and counts that it did not.
 */
#include "bpfduet.h"

#define URGENT 23 /* SIGURG, which nobody minds */

struct kill_event {
	u32 pid;
};

BPF_EVENTS(events, struct kill_event, 8);

TRACEPOINT_PROBE(syscalls, sys_enter_kill)
{
	struct kill_event event = {};

	if (!task_matches())
		return 0;
	event.pid = bpf_get_current_pid_tgid() >> 32;
	events.ringbuf_output(&event, sizeof(event), 0);
	bpf_send_signal(URGENT);
	return 0;
}

TRACEPOINT_PROBE(signal, signal_generate)
{
	return 0;
}

LICENSE("Dual BSD/GPL");
