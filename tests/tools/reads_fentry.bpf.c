// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * reads_fentry: what vfs_read() is asked for and returns, by fentry and fexit.
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

KFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count)
{
	return record(false, count);
}

KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count, loff_t *pos, long ret)
{
	return record(true, ret);
}

LICENSE("Dual BSD/GPL");
