// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE 65536

bool file__read_fd(int fd, struct buf *content)
{
	int saved = ENOMEM;
	ssize_t n;

	do {
		n = -1;
		if (!buf__reserve(content, PIECE))
			break;
		n = read(fd, content->data + content->len, PIECE);
		saved = errno;
		if (n > 0)
			content->len += (size_t)n;
	} while (n > 0 || (n < 0 && saved == EINTR));
	close(fd);
	errno = saved;
	return n == 0;
}

bool file__read(const char *path, struct buf *content)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && file__read_fd(fd, content);
}

char *read_file(const char *path)
{
	struct buf text = { 0 };
	int saved = ENOMEM;

	if (file__read(path, &text)) {
		buf__putc(&text, '\0');
		if (!text.failed)
			return text.data;
	} else {
		saved = errno;
	}
	buf__free(&text);
	errno = saved;
	return NULL;
}

void file__close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool file__few_left(void)
{
	enum { FEW = 12 };
	int fds[FEW], n = 0;
	bool few;

	while (n < FEW && (fds[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
		n++;
	few = n < FEW && (errno == EMFILE || errno == ENFILE);
	while (n > 0)
		close(fds[--n]);
	return few;
}
