// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tcpconnect: TCP connections that processes begin.
 */
#define BPFDUET_CONTAINERS
#include "bpfduet.h"

struct connect_event {
	u64 ts; /* ns, monotonic */
	u32 pid;
	u32 uid;
	u32 ip; /* 4 or 6 */
	u8 saddr[16]; /* IPv4 mapped into IPv6 */
	u8 daddr[16];
	u16 lport;
	u16 dport;
	char comm[TASK_COMM_LEN];
};

struct flow_key {
	u8 saddr[16];
	u8 daddr[16];
	u16 dport;
};

BPF_EVENTS(events, struct connect_event, 64);
BPF_HASH(counts, struct flow_key, u64);
BPF_HASH(ports, u16, u8, 1024);
/* Sockets of threads on their way through connect(), for the kprobes. */
BPF_HASH(connecting, u32, struct sock *);

CONFIG(bool, count_flows, false);
CONFIG(bool, some_ports, false);
CONFIG(u32, only_ip, 0);

static __always_inline void map_ipv4(u8 *mapped, u32 address)
{
	u32 *words = (u32 *)mapped;

	words[2] = bpf_htonl(0xffff);
	words[3] = address;
}

/* An IPv6 socket connects to a mapped address by tcp_v4_connect(), which has been seen then. */
static __always_inline bool is_mapped(const u8 *address)
{
	const u32 *words = (const u32 *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

static __always_inline int connected(struct sock *sk, int err, u32 ip)
{
	struct connect_event event = {};
	u64 id = bpf_get_current_pid_tgid();
	struct flow_key flow = {};

	if (err) /* no SYN was sent, and addresses may be missing */
		return 0;
	event.dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (some_ports && !ports.lookup(&event.dport))
		return 0;
	if (ip == 4) {
		map_ipv4(event.saddr, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_ipv4(event.daddr, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&event.saddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&event.daddr, sk, __sk_common.skc_v6_daddr);
		if (is_mapped(event.daddr))
			return 0;
	}
	if (count_flows) {
		__builtin_memcpy(flow.saddr, event.saddr, sizeof(flow.saddr));
		__builtin_memcpy(flow.daddr, event.daddr, sizeof(flow.daddr));
		flow.dport = event.dport;
		counts.atomic_increment(flow);
		return 0;
	}
	event.ts = bpf_ktime_get_ns();
	event.pid = id >> 32;
	event.uid = bpf_get_current_uid_gid();
	event.ip = ip;
	event.lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	events.ringbuf_output(&event, sizeof(event), 0);
	return 0;
}

static __always_inline bool is_wanted_ip(u32 ip)
{
	return !only_ip || only_ip == ip;
}

static __always_inline bool wanted(u32 ip)
{
	return is_wanted_ip(ip) && task_matches() && container_matches();
}

static __always_inline int entered(struct sock *sk, u32 ip)
{
	u32 tid = bpf_get_current_pid_tgid();

	if (wanted(ip))
		connecting.update(&tid, &sk);
	return 0;
}

static __always_inline int returned(int err, u32 ip)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct sock **sk, *socket;

	if (!is_wanted_ip(ip))
		return 0;
	sk = connecting.lookup(&tid);
	if (!sk)
		return 0; /* not wanted, or entered before tracing was */
	socket = *sk;
	connecting.delete(&tid);
	return connected(socket, err, ip);
}

KRETFUNC_PROBE(tcp_v4_connect, struct sock *sk, struct sockaddr *address, int size, int err)
{
	return wanted(4) ? connected(sk, err, 4) : 0;
}

KRETFUNC_PROBE(tcp_v6_connect, struct sock *sk, struct sockaddr *address, int size, int err)
{
	return wanted(6) ? connected(sk, err, 6) : 0;
}

KPROBE(tcp_v4_connect, struct sock *sk)
{
	return entered(sk, 4);
}

KPROBE(tcp_v6_connect, struct sock *sk)
{
	return entered(sk, 6);
}

KRETPROBE(tcp_v4_connect, int err)
{
	return returned(err, 4);
}

KRETPROBE(tcp_v6_connect, int err)
{
	return returned(err, 6);
}

LICENSE("Dual BSD/GPL");
