/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_TRACE_H
#define BPFDUET_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct sink;
struct sink_columns;

/* What a line of the kernel's trace pipe has. */
extern const struct sink_columns trace_columns;
void trace__draw_headings(struct buf *out);

/* One line, without its line end. Returns how many it says were lost. */
uint64_t trace__show(struct sink *s, const char *line, size_t len);

#endif
