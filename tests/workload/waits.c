// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * waits CHILDREN SLEEPS US: one child after the other, each with a second thread that sleeps so
 * often. All run on one CPU in real-time order, so nobody waits for a CPU but for the other two,
 * and a child waits US microseconds at first, in which its parent spins.
 * Prints "PID TID WAITS LEAST": how often each of a child's threads waited for the CPU, and how
 * long at least, the longest time in us.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long sleeps;

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* It waited when it was new, and each time that it had left the CPU. */
static void tell(long least)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	dprintf(STDOUT_FILENO, "%d %d %ld %ld\n", getpid(), gettid(),
		1 + usage.ru_nvcsw + usage.ru_nivcsw, least);
}

static void *sleeper(void *unused)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };

	for (long i = 0; i < sleeps; i++)
		nanosleep(&ms, NULL);
	tell(0);
	return unused;
}

static void child(long least)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleeper, NULL) || pthread_join(thread, NULL))
		_exit(1);
	tell(least);
	_exit(0);
}

static int run_child(long spin_us)
{
	long until = now_us() + spin_us;
	int status;

	if (!fork())
		child(spin_us);
	while (now_us() < until)
		;
	return wait(&status) < 0 || status;
}

static int order(void)
{
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	return sched_setaffinity(0, sizeof(here), &here) ||
	       sched_setscheduler(0, SCHED_FIFO, &first);
}

int main(int argc, char **argv)
{
	if (argc != 4 || order())
		return 2;
	sleeps = atol(argv[2]);
	for (long i = 0; i < atol(argv[1]); i++) {
		if (run_child(atol(argv[3])))
			return 1;
	}
	return 0;
}
