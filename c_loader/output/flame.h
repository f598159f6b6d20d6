/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_FLAME_H
#define BPFDUET_FLAME_H

#include "base/buf.h"

/*
 * A stack from the outermost frame inwards: for each frame 'c', 'u' or 'k' (comm, user, kernel),
 * its name as text columns show it, and a NUL.
 */
struct flame_stack {
	const char *frames;
	size_t len;
	uint64_t value;
};

/* Append a flame graph in SVG. Reorders the stacks. */
void flame__draw(struct buf *out, const char *title, const char *unit, struct flame_stack *stacks,
		 size_t n);

/* Memory of stacks as they are sorted: frame by frame. */
int flame_stack__compare(const struct flame_stack *a, const struct flame_stack *b);

#endif
