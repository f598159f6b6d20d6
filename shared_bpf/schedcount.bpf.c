// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * schedcount: how often each of the scheduler's tracepoints is passed.
 *
 * As raw tracepoints, which want no arguments' types: so a kernel need not have all of them, nor
 * the one that this was compiled on.
 */
#include "bpfduet.h"

/* The numbers are those of [values.event] in schedcount.toml. */
enum sched_event {
	EVENT_sched_kthread_stop,
	EVENT_sched_kthread_stop_ret,
	EVENT_sched_kthread_work_queue_work,
	EVENT_sched_kthread_work_execute_start,
	EVENT_sched_kthread_work_execute_end,
	EVENT_sched_migrate_task,
	EVENT_sched_move_numa,
	EVENT_sched_pi_setprio,
	EVENT_sched_prepare_exec,
	EVENT_sched_process_exec,
	EVENT_sched_process_exit,
	EVENT_sched_process_fork,
	EVENT_sched_process_free,
	EVENT_sched_process_hang,
	EVENT_sched_process_wait,
	EVENT_sched_skip_cpuset_numa,
	EVENT_sched_skip_vma_numa,
	EVENT_sched_stat_blocked,
	EVENT_sched_stat_iowait,
	EVENT_sched_stat_runtime,
	EVENT_sched_stat_sleep,
	EVENT_sched_stat_wait,
	EVENT_sched_stick_numa,
	EVENT_sched_swap_numa,
	EVENT_sched_switch,
	EVENT_sched_wait_task,
	EVENT_sched_wake_idle_without_ipi,
	EVENT_sched_wakeup,
	EVENT_sched_wakeup_new,
	EVENT_sched_waking,
	EVENTS,
};

BPF_PERCPU_ARRAY(counts, u64, EVENTS);

static __always_inline int count(enum sched_event event)
{
	if (task_matches())
		counts.increment(event);
	return 0;
}

#define COUNT(event)                                                                               \
	RAW_TRACEPOINT_PROBE(event)                                                                \
	{                                                                                          \
		return count(EVENT_##event);                                                       \
	}

COUNT(sched_kthread_stop)
COUNT(sched_kthread_stop_ret)
COUNT(sched_kthread_work_queue_work)
COUNT(sched_kthread_work_execute_start)
COUNT(sched_kthread_work_execute_end)
COUNT(sched_migrate_task)
COUNT(sched_move_numa)
COUNT(sched_pi_setprio)
COUNT(sched_prepare_exec)
COUNT(sched_process_exec)
COUNT(sched_process_exit)
COUNT(sched_process_fork)
COUNT(sched_process_free)
COUNT(sched_process_hang)
COUNT(sched_process_wait)
COUNT(sched_skip_cpuset_numa)
COUNT(sched_skip_vma_numa)
COUNT(sched_stat_blocked)
COUNT(sched_stat_iowait)
COUNT(sched_stat_runtime)
COUNT(sched_stat_sleep)
COUNT(sched_stat_wait)
COUNT(sched_stick_numa)
COUNT(sched_swap_numa)
COUNT(sched_switch)
COUNT(sched_wait_task)
COUNT(sched_wake_idle_without_ipi)
COUNT(sched_wakeup)
COUNT(sched_wakeup_new)
COUNT(sched_waking)

LICENSE("Dual BSD/GPL");
