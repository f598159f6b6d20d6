// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * hello: a line in the kernel's trace pipe at the start, and whenever a process runs a new program.
 * The smallest thing that works: copy it to begin a tool of your own.
 */
#include "bpfduet.h"

BEGIN(greet)
{
	bpf_printk("Hello, I am watching!");
	return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
	if (task_matches())
		bpf_printk("Hello, World!");
	return 0;
}

LICENSE("Dual BSD/GPL");
