// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * reads_lsm: the permissions that read() asks for, by an LSM hook.
 */
#include "bpfduet.h"

struct read_event {
	u32 pid;
	bool returned;
	s64 value;
};

BPF_EVENTS(events, struct read_event, 64);

static __always_inline int record(bool returned, s64 value)
{
	struct read_event event = {};

	if (!task_matches())
		return 0;
	event.pid = bpf_get_current_pid_tgid() >> 32;
	event.returned = returned;
	event.value = value;
	events.ringbuf_output(&event, sizeof(event), 0);
	return 0;
}

LSM_PROBE(file_permission, struct file *file, int mask)
{
	return record(false, mask);
}

LICENSE("Dual BSD/GPL");
