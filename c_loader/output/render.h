/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_RENDER_H
#define BPFDUET_RENDER_H

#include "kernel/entries.h"
#include "output/report.h"
#include "output/sink.h"

/*
 * Turns records, maps and trace lines into output. stdout's bytes are appended to `out`,
 * stderr's to `err`; whoever owns the buffers writes and empties them.
 */
struct renderer {
	const struct spec *spec;
	const struct options *options;
	struct sink sink;
	struct buf scratch;
	bool has_matches, started;
};

/* false if there is no memory. renderer__free() in any case. */
bool renderer__init(struct renderer *r, const struct spec *spec, const struct options *options,
		    const struct run_clock *clock, struct buf *out, struct buf *err);
void renderer__free(struct renderer *r);

/* What stands before everything else: banner and header. */
void renderer__begin(struct renderer *r);
/* One record. false if it is too short to be one: it counts as lost. */
bool renderer__event(struct renderer *r, const uint8_t *record, size_t len);
/* Whether the options want a record shown. It is not too short. */
bool renderer__shows(struct renderer *r, const uint8_t *record, size_t len);
/* What can be lost: records without room, and events of which the kernel skipped the program. */
enum loss { LOSS_RECORDS, LOSS_SKIPPED, N_LOSSES };
/* More was lost. */
void renderer__lost(struct renderer *r, enum loss kind, uint64_t count);
/* One line of the trace pipe, without its line end. Returns how many it says were lost. */
uint64_t renderer__trace(struct renderer *r, const char *line, size_t len);
/* One report; `entries` are reordered. */
void renderer__report(struct renderer *r, const struct report *report, struct entries *entries,
		      uint64_t now_wall_ns);

#endif
