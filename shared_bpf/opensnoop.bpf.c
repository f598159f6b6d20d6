// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * opensnoop: open(), creat(), openat() and openat2() of every process, with their results.
 *
 * One program at the exits of all calls suffices: the arguments still are in the
 * task's saved registers, and by then the file name has been paged in. So there is
 * no map between entry and exit, and a failed read of the name is rare.
 */
#define BPFDUET_CONTAINERS
#include "bpfduet.h"
#include "bpfduet_native_call.h"
#include "bpfduet_path.h"

struct open_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 tid;
	u32 uid;
	int fd; /* -1 if the call failed */
	int err; /* errno, 0 if it did not */
	u32 flags;
	char comm[TASK_COMM_LEN];
	bool path_start_cut; /* of a full path: folders are missing */
	bool path_cut; /* the name goes on */
	char path[NAME_BYTES];
};

/* With --full-path: the name and then the folders above it, innermost first. */
struct path_event {
	u64 ts;
	u32 pid;
	u32 tid;
	u32 uid;
	int fd;
	int err;
	u32 flags;
	char comm[TASK_COMM_LEN];
	bool path_start_cut;
	bool path_cut;
	char path[PATH_ROOM];
};

/* Where such a record is put together. */
struct path_walk {
	u64 len;
	struct path_event event;
};

BPF_EVENTS(events, struct path_event, 256);
BPF_PERCPU_ARRAY(scratch, struct path_walk, 1);

CONFIG(bool, failed_only, false, "only show failed opens", "x");
CONFIG(bool, full_path, false, "show full path for an open file with relative path", "F");
/* of one_bit_each() */
CONFIG(u64, flag_mask, 0, "only calls with one of these flags, such as O_WRONLY", "f");

/*
 * The flags of a call so that -f can ask for any of them at once: those that are no single bit
 * have a bit of their own, above. These are the access mode, a number in two bits, of which 0 is
 * O_RDONLY, and flags that are there only if all of their bits are. opensnoop.toml has the names.
 */
static __always_inline u64 one_bit_each(u64 flags)
{
	const u64 sync = 04010000, tmpfile = 020200000;
	u64 bits = (u32)flags & ~(u64)O_ACCMODE;

	bits |= 1ULL << (32 + (flags & O_ACCMODE));
	if ((flags & sync) == sync)
		bits |= 1ULL << 36;
	if ((flags & tmpfile) == tmpfile)
		bits |= 1ULL << 37;
	return bits;
}

/*
 * The path that a relative name starts from: the current directory, or that of `dfd`;
 * NULL if `dfd` is no open descriptor.
 */
static __always_inline const struct path *start_of(int dfd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct file **fds, *file;

	if (dfd == AT_FDCWD)
		return &BPF_CORE_READ(task, fs)->pwd;
	if ((u32)dfd >= BPF_CORE_READ(task, files, fdt, max_fds))
		return NULL;
	fds = BPF_CORE_READ(task, files, fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &fds[dfd]);
	return file ? &file->f_path : NULL;
}

static __always_inline void send_full(struct open_event *e, const char *filename, int dfd)
{
	struct path_walk *walk;
	int zero = 0;
	u64 len;
	long n;

	walk = scratch.lookup(&zero);
	if (!walk)
		return;
	__builtin_memcpy(&walk->event, e, offsetof(struct open_event, path));
	n = bpf_probe_read_user_str(walk->event.path, NAME_BYTES, filename);
	walk->event.path_cut = user_string_cut(filename, n, NAME_BYTES);
	walk->len = string_bytes(n, NAME_BYTES);
	if (walk->event.path[0] != '/')
		walk->event.path_start_cut =
			path_append(walk->event.path, &walk->len, start_of(dfd));
	len = string_bytes(walk->len, sizeof(walk->event.path));
	events.ringbuf_output(&walk->event, offsetof(struct path_event, path) + len, 0);
}

static __always_inline int opened(long ret, const char *filename, u32 flags, int dfd)
{
	struct open_event event;
	u64 id = bpf_get_current_pid_tgid();
	u64 len;
	long n;

	event.ts = bpf_ktime_get_ns();
	event.pid = id >> 32;
	event.tid = id;
	event.uid = bpf_get_current_uid_gid();
	event.fd = ret < 0 ? -1 : ret;
	event.err = ret < 0 ? -ret : 0;
	event.flags = flags;
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	event.path_start_cut = false;
	event.path_cut = false;
	if (full_path) {
		send_full(&event, filename, dfd);
		return 0;
	}
	n = bpf_probe_read_user_str(event.path, sizeof(event.path), filename);
	event.path_cut = user_string_cut(filename, n, sizeof(event.path));
	len = string_bytes(n, sizeof(event.path));
	events.ringbuf_output(&event, offsetof(struct open_event, path) + len, 0);
	return 0;
}

static __always_inline bool wanted(long ret)
{
	return !(failed_only && ret >= 0) && task_matches() && container_matches();
}

static __always_inline int returned(long nr, long ret)
{
	const char *filename;
	struct syscall_args3 arg;
	int dfd = AT_FDCWD;
	u64 flags = 0;

	if (!wanted(ret))
		return 0;
	arg = syscall_args3();
	if (nr == __NR_open) {
		filename = (const char *)arg.first;
		flags = arg.second;
	} else if (nr == __NR_creat) {
		filename = (const char *)arg.first;
		flags = O_CREAT | O_WRONLY | O_TRUNC; /* what it stands for */
	} else {
		dfd = arg.first;
		filename = (const char *)arg.second;
		if (nr == __NR_openat)
			flags = arg.third;
		else /* struct open_how */
			bpf_probe_read_user(&flags, sizeof(flags), (void *)arg.third);
	}
	if (flag_mask && !(one_bit_each(flags) & flag_mask))
		return 0;
	return opened(ret, filename, flags, dfd);
}

/* opensnoop.toml has the others where it is, too: they differ in their numbers alone. */
TRACEPOINT_PROBE(syscalls, sys_exit_openat)
{
	return returned(args->__syscall_nr, args->ret);
}

/* In place of it where the kernel would skip it. */
TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	long nr = args->id;

	if (nr != __NR_open && nr != __NR_creat && nr != __NR_openat && nr != __NR_openat2)
		return 0;
	return call_is_native() ? returned(nr, args->ret) : 0;
}

LICENSE("Dual BSD/GPL");
