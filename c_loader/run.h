/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_RUN_H
#define BPFDUET_RUN_H

#include "options.h"

/* Load, attach, print until the end. Returns the exit status; errors are on stderr. */
int run__tool(const void *elf, size_t size, const struct options *options, bool foreign);

/* "TOOL: SENTENCE" on stderr, hostile bytes escaped. */
void run__complain(const char *tool, const struct buf *sentence);

#endif
