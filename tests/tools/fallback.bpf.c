// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * fallback: one function that fentry can take, one that it cannot because its arguments vary,
 * one that no kernel has. Each has kprobes to fall back to.
 */
#include "bpfduet.h"

BPF_ARRAY(calls, u64, 6);

static __always_inline int called(int probe)
{
	if (task_matches())
		calls.atomic_increment(probe);
	return 0;
}

KRETFUNC_PROBE(vfs_read)
{
	return called(0);
}

KRETPROBE(vfs_read)
{
	return called(1);
}

KFUNC_PROBE(seq_printf)
{
	return called(2);
}

KPROBE(seq_printf)
{
	return called(3);
}

KFUNC_PROBE(bpfduet_missing)
{
	return called(-1);
}

KPROBE(vfs_write)
{
	return called(4);
}

KRETPROBE(vfs_write)
{
	return called(5);
}

LICENSE("Dual BSD/GPL");
