/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_OUTPUT_H
#define BPFDUET_OUTPUT_H

#include "buf.h"

/*
 * What a wait for the reader looks at meanwhile: `ended` says whether the run is to end, `wake_fd`
 * is readable when that may have changed (-1: nothing is), and `ended_ns` is when it will at the
 * latest, on the monotonic clock (UINT64_MAX: not by the clock).
 */
struct output_wait {
	bool (*ended)(void *ctx);
	void *ctx;
	int wake_fd;
	uint64_t ended_ns;
};

/* stdout in large writes. Of a run that ends, a reader that does not read gets no more. */
struct output_stream {
	struct buf buf;
	int fd;
	const struct output_wait *wait; /* NULL: wait for the reader as long as it takes */
	int pipe_bytes; /* what an empty pipe takes; 0: it is no pipe */
	bool limited; /* it takes no more than there is room for: no file on a disk */
	bool at_once; /* a terminal: written after each batch */
	bool closed; /* the reader has gone: nothing more is wanted */
	size_t unread, unread_lines; /* what a reader that does not read did not get whole */
	int error; /* errno of a failed write */
	uint64_t written_ns; /* when, on the monotonic clock */
};

void output_stream__init(struct output_stream *out, int fd, uint64_t now_ns);
/* Write all that is in the buffer. false if the stream is closed or broken, or nobody reads. */
bool output_stream__flush(struct output_stream *out, uint64_t now_ns);
/* The same if it is time to. */
bool output_stream__tick(struct output_stream *out, uint64_t now_ns);
/* Whether more can be written. */
bool output_stream__wanted(const struct output_stream *out);

#endif
