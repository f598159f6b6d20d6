/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_REPORT_H
#define BPFDUET_REPORT_H

#include "kernel/entries.h"
#include "output/sink.h"

/* One report, if the options want it; `entries` are reordered. Those of stacks are stacks.c's. */
void report__show(struct sink *s, const struct report *report, struct entries *entries,
		  uint64_t now_wall_ns);

/* Each kind. */
void histogram__show(struct sink *s, const struct report *report, struct entries *entries,
		     uint64_t now_wall_ns);
void table__show(struct sink *s, const struct report *report, struct entries *entries,
		 uint64_t now_wall_ns);
void counters__show(struct sink *s, const struct report *report, struct entries *entries,
		    uint64_t now_wall_ns);
void average__show(struct sink *s, const struct report *report, struct entries *entries,
		   uint64_t now_wall_ns);

#endif
