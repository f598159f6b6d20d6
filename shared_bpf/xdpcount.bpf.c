// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * xdpcount: packets that an interface receives, counted by IP protocol as early as the driver
 * lets a program see them.
 */
#include "bpfduet.h"

#define NOT_IP 256
#define PROTOCOLS (NOT_IP + 1)

struct xdp_total {
	u64 packets;
	u64 bytes;
};

BPF_PERCPU_ARRAY(totals, struct xdp_total, PROTOCOLS);

/* What the header behind Ethernet's says; of IPv6 that of the first header. */
static __always_inline int protocol_of(const void *data, const void *end)
{
	const struct ethhdr *frame = data;
	const struct ipv6hdr *ipv6 = data + sizeof(*frame);
	const struct iphdr *ipv4 = data + sizeof(*frame);

	if ((void *)(frame + 1) > end)
		return NOT_IP;
	if (frame->h_proto == bpf_htons(ETH_P_IP) && (void *)(ipv4 + 1) <= end)
		return ipv4->protocol;
	if (frame->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ipv6 + 1) <= end)
		return ipv6->nexthdr;
	return NOT_IP;
}

XDP(count)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int protocol = protocol_of(data, end);
	struct xdp_total *total = totals.lookup(&protocol);

	if (total) {
		total->packets++;
		total->bytes += end - data;
	}
	return XDP_PASS;
}

LICENSE("Dual BSD/GPL");
