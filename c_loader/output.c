// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define FLUSH_NS NS_PER_S
/* How long a reader has, once the run is to end, to take the next bytes. */
#define PATIENCE_NS (2 * NS_PER_S)

void output_stream__init(struct output_stream *out, int fd, uint64_t now_ns)
{
	struct stat info;

	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->at_once = isatty(fd);
	out->limited = fstat(fd, &info) || !(S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
	out->pipe_bytes = fcntl(fd, F_GETPIPE_SZ);
	if (out->pipe_bytes < 0)
		out->pipe_bytes = 0;
	out->written_ns = now_ns;
}

static int until_ms(uint64_t end_ns, uint64_t now_ns)
{
	uint64_t ms = end_ns > now_ns ? (end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;

	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/*
 * Wait until the stream takes something, or an end of it is seen. false once the run is to end
 * and the reader has let its time pass.
 */
static bool wait_writable(const struct output_stream *out)
{
	const struct output_wait *wait = out->wait;
	struct pollfd fds[2] = {
		{ .fd = out->fd, .events = POLLOUT },
		{ .fd = wait ? wait->wake_fd : -1, .events = POLLIN },
	};
	uint64_t now, end = wait ? wait->ended_ns : UINT64_MAX;
	bool ended = false;

	if (poll(fds, 1, 0) > 0)
		return true;
	for (;;) {
		now = clock__ns(CLOCK_MONOTONIC);
		if (ended && now >= end)
			return false;
		if (wait && !ended && (now >= end || wait->ended(wait->ctx))) {
			ended = true;
			end = now + PATIENCE_NS;
		}
		/* What wakes has said what there is once the run is to end. */
		if (poll(fds, ended ? 1 : 2, until_ms(end, now)) > 0 && fds[0].revents)
			return true;
	}
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

bool output_stream__wanted(const struct output_stream *out)
{
	return !out->closed && !out->error && !out->unread;
}

/* The reader does not read: this is what it did not get. */
static void give_up(struct output_stream *out, size_t done)
{
	size_t i;

	out->unread = out->buf.len - done;
	for (i = done; i < out->buf.len; i++)
		out->unread_lines += out->buf.data[i] == '\n';
}

bool output_stream__flush(struct output_stream *out, uint64_t now_ns)
{
	size_t done = 0, size;
	ssize_t n;

	if (out->buf.failed && !out->error)
		out->error = ENOMEM;
	while (output_stream__wanted(out) && done < out->buf.len) {
		if (out->limited && !wait_writable(out)) {
			give_up(out, done);
			break;
		}
		size = room(out);
		if (size > out->buf.len - done)
			size = out->buf.len - done;
		n = write(out->fd, out->buf.data + done, size);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE)
			out->closed = true;
		else if (errno != EINTR && errno != EAGAIN)
			out->error = errno;
	}
	out->buf.len = 0;
	out->written_ns = now_ns;
	return output_stream__wanted(out);
}

bool output_stream__tick(struct output_stream *out, uint64_t now_ns)
{
	bool due = out->at_once || now_ns - out->written_ns >= FLUSH_NS;

	if (out->buf.failed || (out->buf.len && due))
		return output_stream__flush(out, now_ns);
	return output_stream__wanted(out);
}
