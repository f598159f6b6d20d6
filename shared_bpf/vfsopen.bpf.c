// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * vfsopen: the full path of everything that vfs_open() opens, from the kernel's own structs.
 */
#include "bpfduet.h"
#include "bpfduet_path.h"

struct vfsopen_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 uid;
	u32 flags;
	char comm[TASK_COMM_LEN];
	bool path_start_cut; /* folders are missing */
	char path[PATH_ROOM];
};

/* Where a record is put together. */
struct vfsopen_walk {
	u64 len;
	struct vfsopen_event event;
};

BPF_EVENTS(events, struct vfsopen_event, 256);
BPF_PERCPU_ARRAY(scratch, struct vfsopen_walk, 1);

static __always_inline int opening(const struct path *path, struct file *file)
{
	struct vfsopen_event *event;
	struct vfsopen_walk *walk;
	int zero = 0;
	u64 len;

	if (!task_matches())
		return 0;
	walk = scratch.lookup(&zero);
	if (!walk)
		return 0;
	event = &walk->event;
	event->ts = bpf_ktime_get_ns();
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->uid = bpf_get_current_uid_gid();
	event->flags = BPF_CORE_READ(file, f_flags);
	bpf_get_current_comm(&event->comm, sizeof(event->comm));
	walk->len = 0;
	event->path_start_cut = path_append(event->path, &walk->len, path);
	len = string_bytes(walk->len, sizeof(event->path));
	events.ringbuf_output(event, offsetof(struct vfsopen_event, path) + len, 0);
	return 0;
}

KFUNC_PROBE(vfs_open, const struct path *path, struct file *file)
{
	return opening(path, file);
}

KPROBE(vfs_open, const struct path *path, struct file *file)
{
	return opening(path, file);
}

LICENSE("Dual BSD/GPL");
