// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * spend STEP...: calls spend_call() with a STEP each, and once before with nothing to do.
 *   PAGES         touches so many fresh pages, half of them on each of two CPUs if there are two
 *   nap:MS        sleeps
 *   burn:MS       burns CPU time
 * Prints a line for each call: the page faults that the kernel counts for it, the ns it took seen
 * from outside, and of these the CPU's, which the thread knows for sure.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* To one of the CPUs that this process may use: the first or the last. */
static void move(int last)
{
	static cpu_set_t all;
	cpu_set_t one;
	int cpu = 0, i;

	if (!CPU_COUNT(&all))
		sched_getaffinity(0, sizeof(all), &all);
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &all)) {
			cpu = i;
			if (!last)
				break;
		}
	}
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void touch(char *memory, long pages)
{
	long size = sysconf(_SC_PAGESIZE), i;

	for (i = 0; i < pages; i++) {
		if (i == pages / 2)
			move(1);
		memory[i * size] = 1;
	}
}

static void nap(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void burn(long ms)
{
	long long end = now(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000LL;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* Returns the CPU time that it knows to have been spent inside. */
__attribute__((noipa)) long long spend_call(char *memory, long pages, long nap_ms, long burn_ms)
{
	long long begin = now(CLOCK_THREAD_CPUTIME_ID);

	if (pages)
		touch(memory, pages);
	if (nap_ms)
		nap(nap_ms);
	if (burn_ms)
		burn(burn_ms);
	return now(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static int run(const char *step)
{
	long pages = 0, nap_ms = 0, burn_ms = 0, before, size = sysconf(_SC_PAGESIZE);
	char *memory = NULL;
	long long begin, inside;

	if (sscanf(step, "nap:%ld", &nap_ms) != 1 && sscanf(step, "burn:%ld", &burn_ms) != 1)
		pages = atol(step);
	if (pages) {
		memory = mmap(NULL, (size_t)(pages * size), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED ||
		    madvise(memory, (size_t)(pages * size), MADV_NOHUGEPAGE))
			return 1;
	}
	move(0);
	before = faults();
	begin = now(CLOCK_MONOTONIC);
	inside = spend_call(memory, pages, nap_ms, burn_ms);
	begin = now(CLOCK_MONOTONIC) - begin;
	before = faults() - before;
	return printf("%ld %lld %lld\n", before, begin, inside) < 0;
}

int main(int argc, char **argv)
{
	int failed = run("0"), i;

	for (i = 1; i < argc && !failed; i++)
		failed = run(argv[i]);
	if (failed)
		perror("spend");
	return failed;
}
