// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * diskio DEVICE [r|w COUNT BYTES]...: so many reads or writes of this size, past the page cache,
 * each of them one request to the device if it takes that much at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int transfer(int fd, char what, long count, long bytes)
{
	void *data;

	if (posix_memalign(&data, 4096, bytes))
		return 1;
	memset(data, 0, bytes);
	while (count--) {
		if ((what == 'r' ? pread(fd, data, bytes, 0) : pwrite(fd, data, bytes, 0)) != bytes)
			return 1;
	}
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_DIRECT) : -1;

	if (fd < 0)
		return 1;
	for (int i = 2; i + 2 < argc; i += 3) {
		if (transfer(fd, argv[i][0], atol(argv[i + 1]), atol(argv[i + 2])))
			return 1;
	}
	return close(fd);
}
