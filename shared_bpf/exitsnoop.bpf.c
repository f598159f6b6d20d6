// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * exitsnoop: processes that end, by themselves or by a signal, and how old they were.
 */
#include "bpfduet.h"

struct exit_event {
	u64 ts;
	u64 age_ns;
	u32 pid;
	u32 ppid;
	u32 tid;
	u32 exit_code; /* as wait() would have it */
	char comm[TASK_COMM_LEN];
	char label[32]; /* with --label, else not sent */
};

BPF_EVENTS(events, struct exit_event, 64);

CONFIG(bool, failed_only, false);
CONFIG(bool, per_thread, false);
CONFIG_STR(label, 32);

TRACEPOINT_PROBE(sched, sched_process_exit)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 id = bpf_get_current_pid_tgid(), size;
	struct exit_event event = {};

	event.pid = id >> 32;
	event.tid = id;
	if (!per_thread && event.tid != event.pid)
		return 0;
	if (!task_matches())
		return 0;
	event.exit_code = BPF_CORE_READ(task, exit_code);
	if (failed_only && !event.exit_code)
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.age_ns = event.ts - BPF_CORE_READ(task, start_time);
	event.ppid = BPF_CORE_READ(task, real_parent, tgid);
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	size = offsetof(struct exit_event, label);
	if (label[0]) {
		CONFIG_STR_READ(event.label, label);
		size = sizeof(event);
	}
	events.ringbuf_output(&event, size, 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
