// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * flowmeter: packets and bytes of each flow through an interface. The two counts of a flow are
 * changed and read under its spin lock, so that they always fit each other.
 */
#include "bpfduet.h"

#define FRAGMENT_OFFSET 0x1fff

enum { IN, OUT };

struct flow_key {
	u8 source[16]; /* IPv4 as ::ffff:a.b.c.d */
	u8 destination[16];
	u16 source_port;
	u16 destination_port;
	u16 protocol;
	u16 direction;
};

struct flow_total {
	u64 packets;
	u64 bytes;
	struct bpf_spin_lock lock;
};

BPF_HASH(flows, struct flow_key, struct flow_total, 16384);
BPF_COUNT_LOST();

static __always_inline void read_ports(struct __sk_buff *ctx, struct flow_key *key, u32 offset)
{
	u16 ports[2];

	if (key->protocol != IPPROTO_TCP && key->protocol != IPPROTO_UDP &&
	    key->protocol != IPPROTO_SCTP)
		return;
	if (bpf_skb_load_bytes_relative(ctx, offset, ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	key->source_port = ports[0];
	key->destination_port = ports[1];
}

static __always_inline void map_address(u8 *to, u32 ipv4)
{
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &ipv4, sizeof(ipv4));
}

/* Whose packet it is; false if it is no IP. Only the first fragment of a datagram has ports. */
static __always_inline bool read_key(struct __sk_buff *ctx, struct flow_key *key)
{
	if (ctx->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes_relative(ctx, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return false;
		map_address(key->source, ip.saddr);
		map_address(key->destination, ip.daddr);
		key->protocol = ip.protocol;
		if (!(ip.frag_off & bpf_htons(FRAGMENT_OFFSET)))
			read_ports(ctx, key, ip.ihl * 4);
		return true;
	}
	if (ctx->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes_relative(ctx, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return false;
		__builtin_memcpy(key->source, &ip.saddr, sizeof(key->source));
		__builtin_memcpy(key->destination, &ip.daddr, sizeof(key->destination));
		key->protocol = ip.nexthdr;
		read_ports(ctx, key, sizeof(ip));
		return true;
	}
	return false;
}

static __always_inline void meter(struct __sk_buff *ctx, struct flow_key *key)
{
	struct flow_total first = {}, *total = flows.lookup_or_try_init(key, &first);

	if (!total) {
		count_lost();
		return;
	}
	bpf_spin_lock(&total->lock);
	total->packets++;
	total->bytes += ctx->len;
	bpf_spin_unlock(&total->lock);
}

/* Whether a packet that came in belongs to a flow that was seen going out. */
static __always_inline bool is_answer(const struct flow_key *key)
{
	struct flow_key back = {
		.source_port = key->destination_port,
		.destination_port = key->source_port,
		.protocol = key->protocol,
		.direction = OUT,
	};

	__builtin_memcpy(back.source, key->destination, sizeof(back.source));
	__builtin_memcpy(back.destination, key->source, sizeof(back.destination));
	return flows.lookup(&back);
}

TC(out)
{
	struct flow_key key = { .direction = OUT };

	if (skb_matches(ctx) && read_key(ctx, &key))
		meter(ctx, &key);
	return TC_ACT_UNSPEC;
}

/* The socket that a packet is for is not known yet. */
TC(in)
{
	struct flow_key key = { .direction = IN };

	if (read_key(ctx, &key) && (!filter_cgroup || is_answer(&key)))
		meter(ctx, &key);
	return TC_ACT_UNSPEC;
}

LICENSE("Dual BSD/GPL");
