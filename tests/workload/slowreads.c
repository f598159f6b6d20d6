// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * slowreads COUNT MS: COUNT times read() of one byte from a pipe that is empty. A child fills it,
 * each time MS after it has seen its parent asleep. Prints for each read the nanoseconds around it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The state of a process comes behind its name. */
static int is_asleep(const char *stat_path)
{
	int fd = open(stat_path, O_RDONLY);
	char text[512] = "", *end;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		_exit(1);
	close(fd);
	end = strrchr(text, ')');
	return end && end[2] == 'S';
}

static void fill(int fd, long count, long ms)
{
	struct timespec delay = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	char stat_path[64];

	prctl(PR_SET_NAME, "filler");
	snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", getppid());
	for (long i = 0; i < count; i++) {
		while (!is_asleep(stat_path))
			;
		nanosleep(&delay, NULL);
		if (write(fd, "x", 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	long count, ms;
	int fds[2], status;

	if (argc < 3 || pipe(fds))
		return 1;
	count = atol(argv[1]);
	ms = atol(argv[2]);
	if (fork() == 0)
		fill(fds[1], count, ms);
	close(fds[1]);
	for (long i = 0; i < count; i++) {
		long long began = now();
		char byte;

		if (read(fds[0], &byte, 1) != 1)
			return 1;
		printf("%lld\n", now() - began);
	}
	return wait(&status) < 0 || status;
}
