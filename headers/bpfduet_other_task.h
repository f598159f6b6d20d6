/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The filters of task_matches(), asked of a task that need not be the current one: that is woken,
 * or runs next. A file of its own, because what it names makes BCC's headers longer.
 */
#ifndef BPFDUET_OTHER_TASK_H
#define BPFDUET_OTHER_TASK_H

#define DUET_MAX_CLIMB 64	/* levels from a task's cgroup up to the one asked for */

/* By way of the parents: `ancestors` is older kernels' `ancestor_ids`. */
static __always_inline bool other_task_in_cgroup(struct task_struct *task)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	int above = BPF_CORE_READ(cgroup, level) - DUET_LATE(filter_cgroup_level);
	struct cgroup_subsys_state *css = &cgroup->self;

	if (above < 0)
		return false;
	for (int i = 0; i < DUET_MAX_CLIMB && i < above; i++) {
		css = BPF_CORE_READ(css, parent);
		asm volatile("" : "+r"(i));	/* clang would end the loop by an equation */
	}
	return BPF_CORE_READ(css, cgroup, kn, id) == DUET_LATE(filter_cgroup);
}

static __always_inline bool other_task_matches(struct task_struct *task)
{
	if (DUET_LATE(filter_pid) && DUET_LATE(filter_pid) != (u32)BPF_CORE_READ(task, tgid))
		return false;
	if (DUET_LATE(filter_tid) && DUET_LATE(filter_tid) != (u32)BPF_CORE_READ(task, pid))
		return false;
	if (DUET_LATE(filter_cgroup) && !other_task_in_cgroup(task))
		return false;
	if (DUET_LATE(filter_uid) != (u64)-1 &&
	    DUET_LATE(filter_uid) != BPF_CORE_READ(task, cred, uid.val))
		return false;
	if (CONFIG_STR_WORD(filter_comm, 1) != DUET_STR_UNSET) {
		u64 comm[2] = {};

		BPF_CORE_READ_STR_INTO(&comm, task, comm);
		if (!comm_matches(comm))
			return false;
	}
	return true;
}

#endif /* BPFDUET_OTHER_TASK_H */
