// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * queue CHILDREN MS: so many children that want the same CPU, in real-time order: each runs for MS
 * while those behind it wait. Prints the CPU.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void spin(long ms)
{
	long until = now_ms() + ms;

	while (now_ms() < until)
		;
}

int main(int argc, char **argv)
{
	struct sched_param first = { .sched_priority = 1 };
	int cpu = sched_getcpu(), status;
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (argc != 3 || sched_setaffinity(0, sizeof(here), &here) ||
	    sched_setscheduler(0, SCHED_FIFO, &first))
		return 2;
	for (long i = 0; i < atol(argv[1]); i++) {
		if (!fork()) {
			spin(atol(argv[2]));
			_exit(0);
		}
	}
	while (wait(&status) > 0) {
		if (status)
			return 1;
	}
	printf("%d\n", cpu);
	return 0;
}
