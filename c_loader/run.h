/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_RUN_H
#define BPFDUET_RUN_H

#include "duet.h"
#include "options.h"

/* What run__tool() returns with a `caller` if the kernel refuses an object of BCC's. */
#define RUN_REFUSED DUET_REFUSED

/*
 * Load, attach, print until the end. Returns the exit status; errors are on stderr. `foreign`: an
 * object without a bound spec.
 */
int run__tool(const void *elf, size_t size, const struct options *options, bool foreign,
	      const struct duet_caller *caller);

/* "TOOL: SENTENCE" on stderr, hostile bytes escaped. */
void run__complain(const char *tool, const struct buf *sentence);

#endif
