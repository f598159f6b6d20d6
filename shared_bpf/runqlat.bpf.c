// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * runqlat: how long tasks that could run waited for a CPU.
 *
 * A task begins to wait when it is woken, or when it has to leave its CPU and would go on; it has
 * waited when it is switched to.
 */
#include "bpfduet.h"
#include "bpfduet_other_task.h"

struct wait_key {
	u32 id;
	u32 slot;
};

BPF_HASH(queued, u32, u64);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(id_dist, struct wait_key, 10240);

CONFIG(u64, unit_ns, 1000);
CONFIG(bool, by_pid, false);
CONFIG(bool, by_tid, false);
CONFIG(bool, by_pidns, false);

static __always_inline u32 pid_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid inner = {};

	bpf_core_read(&inner, sizeof(inner), &pid->numbers[level]);
	return BPF_CORE_READ(inner.ns, ns.inum);
}

static __always_inline void begin_wait(struct task_struct *task)
{
	u32 tid = BPF_CORE_READ(task, pid);
	u64 now;

	/* TID 0 is the idle task of each CPU: nothing waits then. */
	if (!tid || !other_task_matches(task))
		return;
	now = bpf_ktime_get_ns();
	queued.update(&tid, &now);
}

RAW_TRACEPOINT_PROBE(sched_wakeup)
{
	begin_wait((struct task_struct *)ctx->args[0]);
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_wakeup_new)
{
	begin_wait((struct task_struct *)ctx->args[0]);
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_switch)
{
	bool preempted = ctx->args[0];
	struct task_struct *prev = (struct task_struct *)ctx->args[1];
	struct task_struct *next = (struct task_struct *)ctx->args[2];
	u32 tid = BPF_CORE_READ(next, pid), slot;
	struct wait_key key = {};
	u64 *since;

	/* Preempted on its way to sleep a task is not asleep yet. */
	if (preempted || !BPF_CORE_READ(prev, __state))
		begin_wait(prev);

	since = queued.lookup(&tid);
	if (!since)
		return 0; /* it began to wait before tracing did, or was not wanted */
	slot = bpf_log2l((bpf_ktime_get_ns() - *since) / unit_ns);
	queued.delete(&tid);
	if (!by_pid && !by_tid && !by_pidns) {
		dist.atomic_increment(slot);
		return 0;
	}
	key.slot = slot;
	if (by_tid)
		key.id = tid;
	else if (by_pid)
		key.id = BPF_CORE_READ(next, tgid);
	else
		key.id = pid_namespace(next);
	id_dist.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
