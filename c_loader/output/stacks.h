/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_STACKS_H
#define BPFDUET_STACKS_H

#include "kernel/load.h"
#include "output/sink.h"

struct stacks;

/*
 * Reports of kind "stacks". Only tools that have one link this (the Makefile says how): the others
 * need no tables of symbols and no demangler. Functions that fail leave one sentence in `error`.
 */
struct stacks_operations {
	/* Opens the file of the flame graph, if one was asked for. */
	struct stacks *(*begin)(const struct options *options, struct buf *error);
	/* Remember the processes of the keys, while they run. To be called at look_ns. */
	bool (*look)(struct stacks *s, const struct kernel_half *kernel, struct buf *error);
	bool (*print)(struct stacks *s, const struct kernel_half *kernel, struct sink *sink,
		      const struct report *report, uint64_t now_wall_ns, struct buf *error);
	void (*end)(struct stacks *s);
};

extern const struct stacks_operations duet_stacks __attribute__((weak));

/* How often to look: a share of the time at most. */
#define STACKS_LOOK_NS 100000000ULL
#define STACKS_LOOK_SHARE 20

#endif
