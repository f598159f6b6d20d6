// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * pktsize: sizes of the packets of an interface as a histogram, of both directions or of each.
 */
#include "bpfduet.h"

struct size_key {
	u32 direction; /* PACKET_* of linux/if_packet.h */
	u32 slot;
};

BPF_HISTOGRAM(sizes, struct size_key, 512);

SOCKET_FILTER(measure)
{
	struct size_key key = { .direction = ctx->pkt_type, .slot = bpf_log2l(ctx->len) };

	sizes.atomic_increment(key);
	return 0; /* nobody reads the socket */
}

LICENSE("Dual BSD/GPL");
