// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * badreads COUNT: read() of a directory COUNT times, which fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	char byte;

	for (long i = 0; i < count; i++) {
		if (read(fd, &byte, 1) != -1 || errno != EISDIR)
			return 1;
	}
	return 0;
}
