// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * bitesize: sizes of block I/O requests by the process that issues them.
 */
#define DUET_TEMPLATE_block_rq_issue , block_rq
#include "bpfduet.h"

struct bite_key {
	char comm[TASK_COMM_LEN];
	u64 slot;
};

BPF_HISTOGRAM(dist, struct bite_key, 10240);

CONFIG(u32, only_disk, 0);

TRACEPOINT_PROBE(block, block_rq_issue)
{
	struct bite_key key = {};

	if (only_disk && args->dev != only_disk)
		return 0;
	if (!task_matches())
		return 0;
	key.slot = bpf_log2l(args->bytes / 1024);
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	dist.atomic_increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
