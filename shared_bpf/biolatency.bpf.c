// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * biolatency: how long block devices took for a request, from its issue to the device, or with -Q
 * from when the kernel took it on, to its completion.
 */
#include "bpfduet.h"

struct part_key {
	u64 part; /* the disk, or the flags */
	u64 slot;
};

struct latency_sum {
	u64 total;
	u64 count;
};

BPF_HASH(start, u64, u64);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(part_dist, struct part_key, 10240);
BPF_PERCPU_ARRAY(extension, struct latency_sum, 1);

CONFIG(u64, unit_ns, 1000);
CONFIG(u32, only_disk, 0);
CONFIG(bool, by_disk, false);
CONFIG(bool, by_flags, false);
CONFIG(bool, sums, false);

/* Operations as bits, as [values.flags] in biolatency.toml names them: ones that it does not are
 * one. */
#define NAMED_OPS                                                                                  \
	(1 << REQ_OP_READ | 1 << REQ_OP_WRITE | 1 << REQ_OP_FLUSH | 1 << REQ_OP_DISCARD |          \
	 1 << REQ_OP_SECURE_ERASE | 1 << REQ_OP_WRITE_ZEROES)
#define OTHER_OP (1 << 4)
/* Flags are above the 8 bits of the operation there; here above the 10 bits of operations. */
#define NAMED_FLAGS                                                                                \
	(1 << __REQ_SYNC | 1 << __REQ_META | 1 << __REQ_PRIO | 1 << __REQ_NOMERGE |                \
	 1 << __REQ_IDLE | 1 << __REQ_FUA | 1 << __REQ_RAHEAD | 1 << __REQ_BACKGROUND |            \
	 1 << __REQ_NOWAIT)

static __always_inline u32 disk_of(struct request *request)
{
	struct gendisk *disk = BPF_CORE_READ(request, q, disk);

	return (u32)BPF_CORE_READ(disk, major) << 20 | (u32)BPF_CORE_READ(disk, first_minor);
}

static __always_inline u64 flags_of(struct request *request)
{
	u32 flags = BPF_CORE_READ(request, cmd_flags), op = 1 << (flags & 31);

	if (flags & 0xe0 || !(op & NAMED_OPS))
		op = OTHER_OP;
	return (u64)(flags & NAMED_FLAGS) << 2 | op;
}

static __always_inline int begin(struct request *request)
{
	u64 key = (u64)request, now;

	if (only_disk && disk_of(request) != only_disk)
		return 0;
	if (!task_matches())
		return 0;
	now = bpf_ktime_get_ns();
	start.update(&key, &now);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_rq_issue)
{
	return begin((struct request *)ctx->args[0]);
}

RAW_TRACEPOINT_PROBE(block_io_start)
{
	return begin((struct request *)ctx->args[0]);
}

/* the same before Linux 6.5 */
KPROBE(__blk_account_io_start, struct request *request)
{
	return begin(request);
}

RAW_TRACEPOINT_PROBE(block_rq_complete)
{
	struct request *request = (struct request *)ctx->args[0];
	u32 bytes = ctx->args[2];
	struct part_key key = {};
	struct latency_sum *sum;
	u64 id = (u64)request, latency, *began;
	int zero = 0;

	began = start.lookup(&id);
	if (!began)
		return 0; /* it was issued before tracing began, or is not wanted */
	if (bytes < BPF_CORE_READ(request, __data_len))
		return 0; /* a part of it is done */
	latency = (bpf_ktime_get_ns() - *began) / unit_ns;
	start.delete(&id);

	key.slot = bpf_log2l(latency);
	if (by_disk || by_flags) {
		key.part = by_disk ? disk_of(request) : flags_of(request);
		part_dist.atomic_increment(key);
	} else {
		dist.atomic_increment(key.slot);
	}
	if (!sums)
		return 0;
	sum = extension.lookup(&zero);
	if (sum) {
		/* a completion may interrupt another one */
		lock_xadd(&sum->total, latency);
		lock_xadd(&sum->count, 1);
	}
	return 0;
}

LICENSE("Dual BSD/GPL");
