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

/* One end of a process. */
struct process_end {
	u64 start_time;
	u64 pid;
};

BPF_EVENTS(events, struct exit_event, 64);
/* What was shown lately. Nothing is taken out: the oldest make room. */
BPF_TABLE("lru_hash", struct process_end, u8, shown, 4096);

CONFIG(bool, failed_only, false);
CONFIG(bool, per_thread, false, "trace per thread termination");
CONFIG_STR(label, 32);

/*
 * Whether this thread is the last one of its process. The count of those that live goes down
 * before the tracepoint, so that of threads that end at once several may find it at 0: the first
 * one here is taken. (The tracepoint itself says which it is, but on newer kernels only.)
 */
static __always_inline bool is_end_of_process(struct task_struct *task, u32 pid)
{
	struct process_end end = { .pid = pid };
	u8 one = 1;

	if (BPF_CORE_READ(task, signal, live.counter))
		return false;
	end.start_time = BPF_CORE_READ(task, group_leader, start_time);
	/* Linux before 6.4 returns an int: the upper half of the register says nothing. */
	return (int)shown.insert(&end, &one) != -EEXIST;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 id = bpf_get_current_pid_tgid(), size;
	struct exit_event event = {};

	event.pid = id >> 32;
	if (per_thread) {
		if (!task_matches())
			return 0;
		event.tid = id;
		event.exit_code = BPF_CORE_READ(task, exit_code);
	} else {
		/* The last thread can be any; what is shown is the process, as its first one. */
		if (!process_matches() || !is_end_of_process(task, event.pid))
			return 0;
		event.tid = event.pid;
		event.exit_code = BPF_CORE_READ(task, signal, group_exit_code);
		task = BPF_CORE_READ(task, group_leader);
	}
	if (failed_only && !event.exit_code)
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.age_ns = event.ts - BPF_CORE_READ(task, start_time);
	event.ppid = BPF_CORE_READ(task, real_parent, tgid);
	BPF_CORE_READ_STR_INTO(&event.comm, task, comm);
	size = offsetof(struct exit_event, label);
	if (label[0]) {
		CONFIG_STR_READ(event.label, label);
		size = sizeof(event);
	}
	events.ringbuf_output(&event, size, 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
