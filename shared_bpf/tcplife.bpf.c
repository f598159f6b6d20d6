// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tcplife: TCP connections that ended: whose, between whom, how much went each way, how long.
 *
 * Most changes of state happen while packets are received, in whatever task is running then. Only
 * three are made by the task that owns the socket: it connects, it closes first, it closes after
 * the other side did. The first of these that is seen says whose connection it is.
 *
 * Of MPTCP a worker of the kernel closes the TCP sockets. Its own socket has the addresses of the
 * first of them, and is closed by its owner.
 */
#include "bpfduet.h"

struct owner {
	u32 pid;
	char comm[TASK_COMM_LEN];
};

struct life {
	u64 birth;
	bool owned;
	struct owner owner;
};

struct ends {
	u16 lport;
	u16 rport;
	u8 laddr[16];
	u8 raddr[16];
};

struct life_event {
	u64 ts;
	u64 span_ns;
	u64 tx_bytes;
	u64 rx_bytes;
	u64 tx_kb;
	u64 rx_kb;
	u32 pid;
	u16 lport;
	u16 rport;
	u8 ip; /* 4 or 6 */
	u8 laddr[16]; /* IPv4 as ::ffff:a.b.c.d */
	u8 raddr[16];
	char comm[TASK_COMM_LEN];
};

BPF_HASH(lives, u64, struct life);
/* Of MPTCP connections that their owners have closed. */
BPF_TABLE("lru_hash", struct ends, struct owner, closed, 4096);
BPF_EVENTS(events, struct life_event, 64);

CONFIG(u16, only_family, 0);

/* The current task is taken for the owner; false if that is not one to be shown. */
static __always_inline bool own(struct owner *owner)
{
	if (!task_matches())
		return false;
	owner->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(&owner->comm, sizeof(owner->comm));
	return true;
}

static __always_inline bool is_kernel_thread(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, flags) & PF_KTHREAD;
}

/* At these the current task is the owner, as a rule. */
static __always_inline bool is_owners(int state)
{
	return state == TCP_SYN_SENT || state == TCP_FIN_WAIT1 || state == TCP_LAST_ACK ||
	       state == TCP_CLOSE;
}

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
	u64 key = (u64)args->skaddr, now = bpf_ktime_get_ns();
	struct tcp_sock *tcp = (struct tcp_sock *)args->skaddr;
	struct owner owner = {}, *closer = NULL;
	struct life_event event = {};
	struct life *life, first = {};
	int state = args->newstate;
	struct ends ends = {};

	if (args->protocol != IPPROTO_TCP && args->protocol != IPPROTO_MPTCP)
		return 0;
	if (only_family && args->family != only_family)
		return 0;
	if (is_owners(state)) {
		ends.lport = args->sport;
		ends.rport = args->dport;
		bpf_probe_read_kernel(&ends.laddr, sizeof(ends.laddr), args->saddr_v6);
		bpf_probe_read_kernel(&ends.raddr, sizeof(ends.raddr), args->daddr_v6);
	}
	if (args->protocol == IPPROTO_MPTCP) {
		if (is_owners(state) && ends.rport && !is_kernel_thread() && own(&owner))
			closed.update(&ends, &owner);
		return 0;
	}

	life = lives.lookup(&key);
	/* After SYN_SENT it was dropped for its owner's sake, or is older than tracing. */
	if (!life && state < TCP_FIN_WAIT1 && args->oldstate != TCP_SYN_SENT) {
		lives.insert(&key, &first);
		life = lives.lookup(&key);
	}
	if (!life)
		return 0; /* it began before tracing did, or has no owner to be shown */
	if (state < TCP_FIN_WAIT1)
		life->birth = now;
	if (is_owners(state) && !life->owned) {
		if (is_kernel_thread())
			closer = closed.lookup(&ends);
		if (closer)
			life->owner = *closer;
		else if (!own(&life->owner)) {
			lives.delete(&key);
			return 0;
		}
		life->owned = true;
	}
	if (state != TCP_CLOSE)
		return 0;

	event.ts = now;
	event.span_ns = now - life->birth;
	event.pid = life->owner.pid;
	__builtin_memcpy(&event.comm, &life->owner.comm, sizeof(event.comm));
	lives.delete(&key);
	closed.delete(&ends);
	event.tx_bytes = BPF_CORE_READ(tcp, bytes_acked);
	event.rx_bytes = BPF_CORE_READ(tcp, bytes_received);
	event.tx_kb = event.tx_bytes / 1024;
	event.rx_kb = event.rx_bytes / 1024;
	event.lport = ends.lport;
	event.rport = ends.rport;
	event.ip = args->family == AF_INET ? 4 : 6;
	__builtin_memcpy(&event.laddr, &ends.laddr, sizeof(event.laddr));
	__builtin_memcpy(&event.raddr, &ends.raddr, sizeof(event.raddr));
	events.ringbuf_output(&event, sizeof(event), 0);
	return 0;
}

LICENSE("Dual BSD/GPL");
