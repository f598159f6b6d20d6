/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_OUTPUT_H
#define BPFDUET_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* A program's output. Of a run that ends, a reader that does not read gets no more. */
struct output_stream {
	int fd;
	bool (*ended)(void *ctx); /* whether the run is to end; NULL: wait as long as it takes */
	void *ctx;
	int pipe_bytes; /* what an empty pipe takes; 0: it is no pipe */
	bool limited; /* it takes no more than there is room for: no file on a disk */
	bool closed; /* the reader has gone: nothing more is wanted */
	size_t unread; /* what a reader that does not read did not get */
	int error; /* errno of a failed write */
};

void output_stream__init(struct output_stream *out, int fd, bool (*ended)(void *ctx), void *ctx);
/* Write `size` bytes. How many were: fewer if the stream is closed or broken, or nobody reads. */
size_t output_stream__write(struct output_stream *out, const char *data, size_t size);

#endif
