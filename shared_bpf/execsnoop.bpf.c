// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * execsnoop: execve() and execveat(), with arguments and result.
 *
 * The arguments are read at entry, where they still are the caller's; a record is
 * kept for each process until the call returns, since only then are the result
 * and the new name known.
 */
#define BPFDUET_CONTAINERS
#include "bpfduet.h"
#include "bpfduet_native_call.h"

#define ARG_BYTES 129 /* as many characters as BCC's tool shows, and a NUL */
#define MAX_ARGS 64
#define ARGS_BYTES 8192 /* of the strings together, a power of two */

struct exec_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 ppid;
	u32 uid;
	int ret;
	char comm[TASK_COMM_LEN];
	bool args_cut; /* one goes on */
	bool args_missing; /* there were more */
	char args[ARGS_BYTES + ARG_BYTES];
};

struct exec_call {
	u32 len; /* of args */
	u32 unused;
	struct exec_event event;
};

BPF_EVENTS(events, struct exec_event, 256);
BPF_ARRAY(empty, struct exec_call, 1);
BPF_HASH(calls, u32, struct exec_call, 256);

CONFIG(bool, include_failed, false);
CONFIG(u32, max_args, 20);
CONFIG(u32, filter_ppid, 0);

static __always_inline u32 parent_pid(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, real_parent, tgid);
}

static __always_inline bool wanted(void)
{
	return task_matches() && (!filter_ppid || filter_ppid == parent_pid()) &&
	       container_matches();
}

/* Appends one string. One that cannot be read keeps its place, as the empty string. */
static __always_inline void append(struct exec_call *call, const char *arg)
{
	u32 len = call->len & (ARGS_BYTES - 1);
	long n = bpf_probe_read_user_str(&call->event.args[len], ARG_BYTES, arg);

	call->event.args_cut |= user_string_cut(arg, n, ARG_BYTES);
	call->len = len + string_bytes(n, ARG_BYTES);
}

static __always_inline int entered(const char *filename, const char *const *argv)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	const char *arg;
	struct exec_call *call;
	int zero = 0;

	if (!wanted())
		return 0;
	call = empty.lookup(&zero);
	if (!call || calls.update(&pid, call))
		return 0;
	call = calls.lookup(&pid);
	if (!call)
		return 0;
	append(call, filename);
	/* the file name stands for argv[0] */
	for (u32 i = 1; i <= MAX_ARGS; i++) {
		arg = NULL;
		bpf_probe_read_user(&arg, sizeof(arg), &argv[i]);
		if (!arg)
			return 0;
		if (i >= max_args || call->len >= ARGS_BYTES - ARG_BYTES)
			break;
		append(call, arg);
	}
	u32 len = call->len & (ARGS_BYTES - 1);
	__builtin_memcpy(&call->event.args[len], "...", 4);
	call->len = len + 4;
	call->event.args_missing = true;
	return 0;
}

static __always_inline int returned(long ret)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 pid = id >> 32, len;
	struct exec_call *call = calls.lookup(&pid);

	if (!call)
		return 0;
	if (!ret || include_failed) {
		call->event.ts = bpf_ktime_get_ns();
		call->event.pid = pid;
		call->event.ppid = parent_pid();
		call->event.uid = bpf_get_current_uid_gid();
		call->event.ret = ret;
		bpf_get_current_comm(&call->event.comm, sizeof(call->event.comm));
		len = call->len;
		if (len <= sizeof(call->event.args))
			events.ringbuf_output(&call->event, offsetof(struct exec_event, args) + len,
					      0);
	}
	calls.delete(&pid);
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_execve)
{
	return entered(args->filename, args->argv);
}

TRACEPOINT_PROBE(syscalls, sys_enter_execveat)
{
	return entered(args->filename, args->argv);
}

TRACEPOINT_PROBE(syscalls, sys_exit_execve)
{
	return returned(args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_execveat)
{
	return returned(args->ret);
}

/* In place of these where the kernel would skip them. */
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
	long nr = args->id;
	u64 first, second, third;

	if ((nr != __NR_execve && nr != __NR_execveat) || !call_is_native())
		return 0;
	first = args->args[0];
	second = args->args[1];
	third = args->args[2];
	if (nr == __NR_execveat) {
		first = second;
		second = third;
	}
	return entered((const char *)first, (const char *const *)second);
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	if (args->id != __NR_execve && args->id != __NR_execveat)
		return 0;
	return call_is_native() ? returned(args->ret) : 0;
}

LICENSE("Dual BSD/GPL");
