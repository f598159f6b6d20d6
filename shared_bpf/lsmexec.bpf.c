// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * lsmexec: the files that tasks are about to execute, as security modules are asked for them.
 * It only watches, and allows everything.
 */
#include "bpfduet.h"

struct lsmexec_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 ppid;
	u32 uid;
	char comm[TASK_COMM_LEN]; /* of the task, not yet of what it will be */
	bool path_cut; /* it goes on */
	char path[256]; /* a script's interpreter is asked for after the script */
};

BPF_EVENTS(events, struct lsmexec_event, 64);

LSM_PROBE(bprm_check_security, struct linux_binprm *bprm)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct lsmexec_event event;
	const char *path;
	u64 len;
	long n;

	if (!task_matches())
		return 0;
	event.ts = bpf_ktime_get_ns();
	event.pid = bpf_get_current_pid_tgid() >> 32;
	event.ppid = BPF_CORE_READ(task, real_parent, tgid);
	event.uid = bpf_get_current_uid_gid();
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	path = BPF_CORE_READ(bprm, interp);
	n = bpf_probe_read_kernel_str(event.path, sizeof(event.path), path);
	event.path_cut = kernel_string_cut(path, n, sizeof(event.path));
	len = string_bytes(n, sizeof(event.path));
	events.ringbuf_output(&event, offsetof(struct lsmexec_event, path) + len, 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
