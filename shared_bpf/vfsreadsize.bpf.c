// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * vfsreadsize: how many bytes vfs_read() returned, as a histogram of equal steps.
 */
#include "bpfduet.h"

#define STEP 200 /* that of vfsreadsize.toml */
#define REST 10 /* the slot of 2000 bytes and more */

BPF_HISTOGRAM(bytes, int, REST + 1);
BPF_ARRAY(errors, u64, 1);

static __always_inline int returned(long size)
{
	u64 slot = (u64)size / STEP;

	if (!task_matches())
		return 0;
	if (size < 0)
		errors.atomic_increment(0);
	else
		bytes.atomic_increment(slot < REST ? slot : REST);
	return 0;
}

KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count, loff_t *pos, ssize_t size)
{
	return returned(size);
}

KRETPROBE(vfs_read, long size)
{
	return returned(size);
}

LICENSE("Dual BSD/GPL");
