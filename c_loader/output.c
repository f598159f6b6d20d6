// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define FLUSH_NS 1000000000ULL

void output_stream__init(struct output_stream *out, int fd, uint64_t now_ns)
{
	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->at_once = isatty(fd);
	out->written_ns = now_ns;
}

/* For a non-blocking stdout, as some callers hand down. */
static void wait_writable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	poll(&pfd, 1, -1);
}

bool output_stream__flush(struct output_stream *out, uint64_t now_ns)
{
	size_t done = 0;
	ssize_t n;

	if (out->buf.failed && !out->error)
		out->error = ENOMEM;
	while (!out->closed && !out->error && done < out->buf.len) {
		n = write(out->fd, out->buf.data + done, out->buf.len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE)
			out->closed = true;
		else if (errno == EAGAIN)
			wait_writable(out->fd);
		else if (errno != EINTR)
			out->error = errno;
	}
	out->buf.len = 0;
	out->written_ns = now_ns;
	return !out->closed && !out->error;
}

bool output_stream__tick(struct output_stream *out, uint64_t now_ns)
{
	bool due = out->at_once || now_ns - out->written_ns >= FLUSH_NS;

	if (out->buf.failed || (out->buf.len && due))
		return output_stream__flush(out, now_ns);
	return !out->closed && !out->error;
}
