// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * capable: checks of capabilities.
 */
#define BPFDUET_CONTAINERS
#include "bpfduet.h"

struct cap_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 tid;
	u32 uid;
	int cap;
	u32 audit;
	u32 insetid;
	char comm[TASK_COMM_LEN];
};

/* With --unique: who has been seen. */
struct seen_key {
	u64 who; /* PID, or cgroup with --cgroupmap */
	u64 cap;
};

BPF_EVENTS(events, struct cap_event, 64);
BPF_HASH(seen, struct seen_key, u8);

CONFIG(bool, all_checks, false);
CONFIG(bool, unique, false,
       "each capability of a process, or of a cgroup with --cgroupmap, only once");

static __always_inline bool is_repeated(u32 pid, int cap)
{
	struct seen_key key = { .who = pid, .cap = cap };
	u8 yes = 1;

	if (DUET_SET_GIVEN(filter_cgroup_set))
		key.who = bpf_get_current_cgroup_id();
	return seen.insert(&key, &yes);
}

static __always_inline int checked(int cap, u32 opts)
{
	u64 id = bpf_get_current_pid_tgid();
	struct cap_event event = {};

	if (!all_checks && (opts & CAP_OPT_NOAUDIT))
		return 0;
	if (!task_matches() || !container_matches())
		return 0;
	if (task_is_own()) /* whose reading of maps is checked too */
		return 0;
	if (unique && is_repeated(id >> 32, cap))
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.pid = id >> 32;
	event.tid = id;
	event.uid = bpf_get_current_uid_gid();
	event.cap = cap;
	event.audit = !(opts & CAP_OPT_NOAUDIT);
	event.insetid = !!(opts & CAP_OPT_INSETID);
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	events.ringbuf_output(&event, sizeof(event), 0);
	return 0;
}

KFUNC_PROBE(cap_capable, const struct cred *cred, struct user_namespace *ns, int cap,
	    unsigned int opts)
{
	return checked(cap, opts);
}

KPROBE(cap_capable, const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)
{
	return checked(cap, opts);
}

LICENSE("Dual BSD/GPL");
