// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * reads COUNT SIZE [COUNT SIZE]...: COUNT times read() of SIZE bytes from a pipe that
 * holds just so many. Prints the PID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static char buffer[65536];

int main(int argc, char **argv)
{
	int fds[2];

	if (pipe(fds))
		return 1;
	for (int i = 1; i + 1 < argc; i += 2) {
		long count = atol(argv[i]);
		ssize_t size = atol(argv[i + 1]);

		for (long n = 0; n < count; n++) {
			if (size && write(fds[1], buffer, size) != size)
				return 1;
			if (read(fds[0], buffer, size) != size)
				return 1;
		}
	}
	printf("%d\n", getpid());
	return 0;
}
