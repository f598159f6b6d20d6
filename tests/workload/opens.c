// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * opens COUNT PATH [FLAGS]: open() the path COUNT times, by turns through open, openat
 * and openat2, and close what was opened. Prints "PID" and what the last call returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count, fd = -1;
	int flags, err = 0;

	if (argc < 3)
		return 2;
	count = atol(argv[1]);
	flags = argc > 3 ? (int)strtol(argv[3], NULL, 8) : O_RDONLY;
	for (long i = 0; i < count; i++) {
		struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 };

		if (i % 3 == 0)
			fd = syscall(SYS_openat, AT_FDCWD, argv[2], flags, 0600);
		else if (i % 3 == 1)
			fd = syscall(SYS_open, argv[2], flags, 0600);
		else
			fd = syscall(SYS_openat2, AT_FDCWD, argv[2], &how, sizeof(how));
		err = fd < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
	printf("%d %ld %d\n", getpid(), fd, err);
	return 0;
}
