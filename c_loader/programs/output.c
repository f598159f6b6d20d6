// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "programs/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* How long a reader has, once the run is to end, to take the next bytes. */
#define PATIENCE_NS (2 * NS_PER_S)
/* How often to ask, until then, whether it is. */
#define ASK_MS 50

void output_stream__init(struct output_stream *out, int fd, bool (*ended)(void *ctx), void *ctx)
{
	struct stat info;

	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->ended = ended;
	out->ctx = ctx;
	out->limited = fstat(fd, &info) || !(S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
	out->pipe_bytes = fcntl(fd, F_GETPIPE_SZ);
	if (out->pipe_bytes < 0)
		out->pipe_bytes = 0;
}

/*
 * Wait until the stream takes something, or an end of it is seen. false once the run is to end
 * and the reader has let its time pass.
 */
static bool wait_writable(const struct output_stream *out)
{
	struct pollfd room = { .fd = out->fd, .events = POLLOUT };
	uint64_t now, end = 0;

	while (poll(&room, 1, out->ended ? ASK_MS : -1) <= 0) {
		if (!out->ended || (!end && !out->ended(out->ctx)))
			continue;
		now = clock__ns(CLOCK_MONOTONIC);
		if (!end)
			end = now + PATIENCE_NS;
		if (now >= end)
			return false;
	}
	return true;
}

/* How many bytes a write() does not have to wait for, after a poll() that found room. */
static size_t room(const struct output_stream *out)
{
	int unread;

	if (!out->limited)
		return SIZE_MAX;
	if (out->pipe_bytes && !ioctl(out->fd, FIONREAD, &unread) && !unread)
		return (size_t)out->pipe_bytes;
	return PIPE_BUF;
}

static bool wanted(const struct output_stream *out)
{
	return !out->closed && !out->error && !out->unread;
}

size_t output_stream__write(struct output_stream *out, const char *data, size_t size)
{
	size_t done = 0, part;
	ssize_t n;

	while (wanted(out) && done < size) {
		if (out->limited && !wait_writable(out)) {
			out->unread = size - done;
			break;
		}
		part = room(out);
		if (part > size - done)
			part = size - done;
		n = write(out->fd, data + done, part);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE)
			out->closed = true;
		else if (errno != EINTR && errno != EAGAIN)
			out->error = errno;
	}
	return done;
}
