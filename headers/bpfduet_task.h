/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What tools share on the kernel side: task filters, system call arguments,
 * histogram slots. Compiled the same way in both modes.
 */
#ifndef BPFDUET_TASK_H
#define BPFDUET_TASK_H

DUET_SHARED_CONFIG(u32, filter_pid, 0);		/* tgid; 0: all */
DUET_SHARED_CONFIG(u32, filter_tid, 0);
DUET_SHARED_CONFIG(u64, filter_uid, -1);	/* 64 bits of it: all */
DUET_SHARED_CONFIG(u64, filter_cgroup, 0);	/* id of a cgroup (v2) */
DUET_SHARED_CONFIG(int, filter_cgroup_level, 0);	/* its depth; the root is 0 */
DUET_SHARED_CONFIG_STR(filter_comm, 16);		/* all, if nothing set it */
DUET_SHARED_CONFIG(u32, own_pid, 0);		/* the tool's own process */

static __always_inline bool ids_match(u32 pid, u32 tid)
{
	return (!DUET_LATE(filter_pid) || DUET_LATE(filter_pid) == pid) &&
	       (!DUET_LATE(filter_tid) || DUET_LATE(filter_tid) == tid);
}

static __always_inline bool owner_matches(void)
{
	if (DUET_LATE(filter_cgroup) &&
	    DUET_LATE(filter_cgroup) !=
		    (u64)bpf_get_current_ancestor_cgroup_id(DUET_LATE(filter_cgroup_level)))
		return false;
	return DUET_LATE(filter_uid) == (u64)-1 ||
	       DUET_LATE(filter_uid) == (u32)bpf_get_current_uid_gid();
}

static __always_inline bool comm_matches(const u64 *comm)
{
	return comm[0] == CONFIG_STR_WORD(filter_comm, 0) &&
	       comm[1] == CONFIG_STR_WORD(filter_comm, 1);
}

/*
 * Whether the current task is one that the user asked for: --pid, --tid, --uid,
 * --comm, --cgroup and `-- COMMAND`. A filter that is not set costs nothing: its
 * constant is known when the program is loaded, and the verifier drops the code.
 */
static __always_inline bool task_matches(void)
{
	if (DUET_LATE(filter_pid) || DUET_LATE(filter_tid)) {
		u64 id = bpf_get_current_pid_tgid();

		if (!ids_match(id >> 32, id))
			return false;
	}
	if (!owner_matches())
		return false;
	if (CONFIG_STR_WORD(filter_comm, 1) != DUET_STR_UNSET) {
		u64 comm[2] = {};	/* Linux 6.1 does not fill up what it returns */

		bpf_get_current_comm(&comm, sizeof(comm));
		if (!comm_matches(comm))
			return false;
	}
	return true;
}

/*
 * The same of the current task's process, of what any of its threads may be the one to do: a
 * process has the number and the name of its first thread.
 */
static __always_inline bool process_matches(void)
{
	if (DUET_LATE(filter_pid) || DUET_LATE(filter_tid)) {
		u32 pid = bpf_get_current_pid_tgid() >> 32;

		if (!ids_match(pid, pid))
			return false;
	}
	if (!owner_matches())
		return false;
	if (CONFIG_STR_WORD(filter_comm, 1) != DUET_STR_UNSET) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		u64 comm[2] = {};

		BPF_CORE_READ_STR_INTO(&comm, task, group_leader, comm);
		if (!comm_matches(comm))
			return false;
	}
	return true;
}

/*
 * The same for packets that leave: whether the socket of this one is in the cgroup of
 * --cgroup and `-- COMMAND`. In programs on cgroups and at tc's egress.
 */
static __always_inline bool skb_matches(struct __sk_buff *skb)
{
	return !DUET_LATE(filter_cgroup) ||
	       DUET_LATE(filter_cgroup) ==
		       (u64)bpf_skb_ancestor_cgroup_id(skb, DUET_LATE(filter_cgroup_level));
}

/* Whether the current task is the tool itself. */
static __always_inline bool task_is_own(void)
{
	return DUET_LATE(own_pid) == (u32)(bpf_get_current_pid_tgid() >> 32);
}

#ifdef BPFDUET_CONTAINERS	/* defined before the include: declares maps */
/*
 * --cgroupmap and --mntnsmap: the current task's cgroup or mount namespace is a key
 * of a pinned hash map (u64), as with BCC's tools. A map that is not given does not
 * exist, and the code that would read it is not there either.
 */
DUET_PINNED_SET(filter_cgroup_set);
DUET_PINNED_SET(filter_mntns_set);

static __always_inline bool container_matches(void)
{
	struct task_struct *task;
	u64 id;

	if (DUET_SET_GIVEN(filter_cgroup_set)) {
		id = bpf_get_current_cgroup_id();
		if (!DUET_SET_LOOKUP(filter_cgroup_set, &id))
			return false;
	}
	if (DUET_SET_GIVEN(filter_mntns_set)) {
		task = (struct task_struct *)bpf_get_current_task();
		id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
		if (!DUET_SET_LOOKUP(filter_mntns_set, &id))
			return false;
	}
	return true;
}
#endif /* BPFDUET_CONTAINERS */

/*
 * The length that bpf_probe_read_*_str() returned, as the size of a record: an
 * error counts as the empty string, and so does 0, which that gives in Linux 6.12
 * and before. The barriers keep clang from comparing a copy, or len - 1 once, of
 * which the verifier would learn nothing.
 */
static __always_inline u64 string_bytes(long returned, u64 max)
{
	u64 len = returned;

	asm volatile("" : "+r"(len));
	if (len > max)
		len = 1;
	asm volatile("" : "+r"(len));
	return len ? len : 1;
}

/*
 * Whether a string goes on behind the `max` bytes that bpf_probe_read_*_str() had room for, by
 * what that returned: if all are full, the last one, a NUL now, can have been another byte.
 */
static __always_inline bool user_string_cut(const char *string, long returned, u64 max)
{
	char last = 0;

	if (returned < (long)max)
		return false;
	bpf_probe_read_user(&last, sizeof(last), string + max - 1);
	return last;
}

static __always_inline bool kernel_string_cut(const char *string, long returned, u64 max)
{
	char last = 0;

	if (returned < (long)max)
		return false;
	bpf_probe_read_kernel(&last, sizeof(last), string + max - 1);
	return last;
}

/*
 * i & mask, in just this place: clang leaves out a mask that it can prove needless,
 * and the verifier cannot always prove it.
 */
static __always_inline u64 masked(u64 i, u64 mask)
{
	asm volatile("" : "+r"(i));
	return i & mask;
}

/* The first three arguments of the system call that the current task is in. */
struct syscall_args3 {
	u64 third;
	u64 second;
	u64 first;
};

/*
 * For programs at the exit of a call: the registers that carried the arguments are
 * as the task saved them, but for the result's (on x86 no argument's). Their order
 * in memory is the ABI of ptrace, so one plain read serves, without relocation.
 * Helper bpf_task_pt_regs: Linux 5.15.
 */
static __always_inline struct syscall_args3 syscall_args3(void)
{
	struct syscall_args3 args = {};
#ifdef bpf_target_x86
	const u64 *regs = (const u64 *)bpf_task_pt_regs(bpf_get_current_task_btf());

	/* r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di */
	bpf_probe_read_kernel(&args, sizeof(args), &regs[12]);
#else
#error "syscall_args3() knows the registers of x86-64 only"
#endif
	return args;
}

#endif /* BPFDUET_TASK_H */
