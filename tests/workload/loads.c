// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * loads COUNT: read /proc/loadavg COUNT times, and then write a line.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	char text[128];

	for (long i = 0; i < count; i++) {
		int fd = open("/proc/loadavg", O_RDONLY);

		if (read(fd, text, sizeof(text)) <= 0 || close(fd))
			return 1;
	}
	return write(STDOUT_FILENO, "1\n", 2) != 2;
}
