// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * cgroupnet: packets and bytes that the sockets of a cgroup send and receive.
 */
#include "bpfduet.h"

enum { IN, OUT };

struct traffic {
	u64 packets;
	u64 bytes;
};

BPF_PERCPU_ARRAY(traffic, struct traffic, 2);

/* Atomic: an interrupt may receive in the midst of it. */
static __always_inline int count(struct __sk_buff *ctx, int direction)
{
	struct traffic *total = traffic.lookup(&direction);

	if (total) {
		lock_xadd(&total->packets, 1);
		lock_xadd(&total->bytes, ctx->len);
	}
	return 1; /* let it pass */
}

CGROUP_SKB(ingress, received)
{
	return count(ctx, IN);
}

CGROUP_SKB(egress, sent)
{
	return count(ctx, OUT);
}

LICENSE("Dual BSD/GPL");
