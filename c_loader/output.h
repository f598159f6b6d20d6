/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_OUTPUT_H
#define BPFDUET_OUTPUT_H

#include "buf.h"

/* stdout in large writes. */
struct output_stream {
	struct buf buf;
	int fd;
	bool at_once; /* a terminal: written after each batch */
	bool closed; /* the reader has gone: nothing more is wanted */
	int error; /* errno of a failed write */
	uint64_t written_ns; /* when, on the monotonic clock */
};

void output_stream__init(struct output_stream *out, int fd, uint64_t now_ns);
/* Write all that is in the buffer. false if the stream is closed or broken. */
bool output_stream__flush(struct output_stream *out, uint64_t now_ns);
/* The same if it is time to. */
bool output_stream__tick(struct output_stream *out, uint64_t now_ns);

#endif
