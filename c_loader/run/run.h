/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_RUN_H
#define BPFDUET_RUN_H

#include "base/undo.h"
#include "bpfduet.h"
#include "kernel/load.h"
#include "output/render.h"
#include "output/stacks.h"
#include "run/command.h"

/* Where what comes out goes; a function that is NULL gets nothing. */
struct sinks {
	bpfduet_write_fn write;
	void *write_ctx;
	uint64_t delay_ns; /* how long data may gather */
	bpfduet_record_fn take; /* in the place of data, for events */
	void *take_ctx;
};

/* What a run is to do: borrowed, and as it is until run__close(). */
struct order {
	const void *elf;
	size_t size;
	const struct options *options;
	bool foreign; /* without a bound spec */
	const char *source; /* as kernel_half has it */
	struct buf *log; /* as kernel_half has it */
	struct sinks sinks;
};

/* One run of a tool. Functions that fail leave one sentence in `error`. */
struct run {
	const struct order *order;
	const struct spec *spec;
	const struct options *options;
	struct undo undo; /* what run__start() has made */
	struct command command;
	struct kernel_half kernel;
	struct renderer renderer;
	struct buf out, err; /* what the renderer has made of it */
	uint64_t written_ns; /* when data was last written */
	bool unwanted; /* no more data is */
	struct buf error;
	struct ring_buffer *ring;
	struct perf_buffer *perf;
	struct stacks *stacks; /* NULL if no report is of that kind */
	uint64_t look_ns; /* at the processes whose stacks there are */
	int trace_fd;
	struct buf trace; /* the beginning of a line */
	uint8_t *record; /* a record of full size */
	int epoll_fd, timer_fd;
	int poll_ms; /* -1: only when something is due */
	int batch; /* events left in this batch */
	uint64_t now_ns;
	uint64_t deadline_ns, due_ns, interval_ns;
	uint64_t prints_left; /* reports until --count is reached; 0: no limit */
	uint64_t dropped; /* records lost on this side */
	uint64_t told[N_LOSSES], tell_ns; /* of the loss */
};

/* All that a run has before run__start(). */
void run__init(struct run *run, const struct order *order);
/* The same results as those of the functions of bpfduet.h. */
int run__start(struct run *run);
int run__poll(struct run *run, int timeout_ms);
bool run__over(struct run *run);
int run__report(struct run *run);
int run__stop(struct run *run, bool terminate);
uint64_t run__lost(const struct run *run, enum loss kind);
/* Undo and free all but the error's sentence; may be called again. */
int run__close(struct run *run);
/* From a signal handler: undo what would outlive the process. */
void run__abandon(const struct run *run);

#endif
