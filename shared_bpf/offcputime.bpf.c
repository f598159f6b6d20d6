// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * offcputime: where tasks wait, and how long, by stack.
 *
 * At a switch the task that leaves is still the current one, so its stacks are read then, and
 * only its time is missing: that is known when it comes back. BCC's tool reads the stacks of the
 * task that has come back; a task that waits cannot have changed them.
 */
#include "bpfduet.h"

struct stack_key {
	u32 tid;
	u32 pid;
	int user_stack; /* -EFAULT: none, or not wanted */
	int kernel_stack;
	char comm[TASK_COMM_LEN];
};

struct wait_start {
	u64 ns;
	struct stack_key key;
};

BPF_HASH(waits, u32, struct wait_start);
BPF_HASH(counts, struct stack_key, u64);
BPF_STACK_TRACE(stack_traces, 1024);

CONFIG(bool, user_only, false, "show stacks from user space only (no kernel space stacks)", "U");
CONFIG(bool, kernel_only, false, "show stacks from kernel space only (no user space stacks)", "K");
CONFIG(bool, user_threads, false, "user threads only (no kernel threads)", "u");
CONFIG(bool, kernel_threads, false, "kernel threads only (no user threads)", "k");
CONFIG(u64, min_us, 1, "only waits of at least so many microseconds", "m");
CONFIG(u64, max_us, -1, "only waits of at most so many microseconds", "M");
/* 0: running tasks; -1: all */
CONFIG(s64, state_mask, -1, "only waits in these states (2: TASK_UNINTERRUPTIBLE; 0: preempted)");

/* The current task leaves its CPU in this state. */
static __always_inline bool wanted(s64 state)
{
	bool kernel_thread;

	/* TASK_REPORT_MAX: the task was running, and was preempted */
	state &= 0xff;
	if (!state_mask && state)
		return false;
	if (state_mask > 0 && !(state & state_mask))
		return false;
	if (user_threads || kernel_threads) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		kernel_thread = BPF_CORE_READ(task, flags) & PF_KTHREAD;
		if (kernel_thread ? user_threads : kernel_threads)
			return false;
	}
	return task_matches();
}

TRACEPOINT_PROBE(sched, sched_switch)
{
	u64 now = bpf_ktime_get_ns(), id = bpf_get_current_pid_tgid(), us;
	struct wait_start begun = {}, *wait;
	u32 tid = id, next = args->next_pid;
	struct stack_key key;

	/* The idle task of each CPU is TID 0: it is not waited for. */
	if (tid && wanted(args->prev_state)) {
		begun.ns = now;
		begun.key.tid = tid;
		begun.key.pid = id >> 32;
		begun.key.user_stack = -EFAULT;
		begun.key.kernel_stack = -EFAULT;
		if (!kernel_only)
			begun.key.user_stack = stack_traces.get_stackid(args, BPF_F_USER_STACK);
		if (!user_only)
			begun.key.kernel_stack = stack_traces.get_stackid(args, 0);
		bpf_get_current_comm(&begun.key.comm, sizeof(begun.key.comm));
		waits.update(&tid, &begun);
	}

	wait = waits.lookup(&next);
	if (!wait)
		return 0; /* it left before tracing began, or was not wanted */
	us = (now - wait->ns) / 1000;
	key = wait->key;
	waits.delete(&next);
	if (us < min_us || us > max_us)
		return 0;
	counts.atomic_increment(key, us);
	return 0;
}

LICENSE("Dual BSD/GPL");
