// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * phases [+]NAME:PAGES:NAPS...: under each name touches so many fresh pages and sleeps so often,
 * on the first CPU and the last one in turn; with a plus sign in a thread of its own. Each thread
 * has done it once before, under its old name, so that the code is there.
 *
 * Prints for each phase: TID, CPU, how often it left the CPU at most, that is from before its name
 * was given until after it was taken away.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct phase {
	char name[16];
	long pages, naps;
	int cpu;
};

static cpu_set_t all;

static int end_cpu(int last)
{
	int cpu = 0, i;

	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		cpu = i;
		if (!last)
			break;
	}
	return cpu;
}

static void move(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		exit(1);
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

static void work(const char *name, long pages, long naps)
{
	long size = sysconf(_SC_PAGESIZE), i;
	struct timespec nap = { .tv_nsec = 100000 };
	char old[16], *memory;

	memory = mmap(NULL, pages * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED || madvise(memory, pages * size, MADV_NOHUGEPAGE))
		exit(1);
	prctl(PR_GET_NAME, old);
	prctl(PR_SET_NAME, name ? name : old);
	for (i = 0; i < pages; i++)
		memory[i * size] = 1;
	for (i = 0; i < naps; i++)
		nanosleep(&nap, NULL);
	prctl(PR_SET_NAME, old);
	munmap(memory, pages * size);
}

static void *run(void *arg)
{
	const struct phase *phase = arg;
	long before;

	move(phase->cpu);
	work(NULL, 1, 1);
	before = switches();
	work(phase->name, phase->pages, phase->naps);
	printf("%d %d %ld\n", gettid(), phase->cpu, switches() - before);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int i, plus;

	sched_getaffinity(0, sizeof(all), &all);
	for (i = 1; i < argc; i++) {
		struct phase phase = { .cpu = end_cpu(i % 2 == 0) };

		plus = argv[i][0] == '+';
		if (sscanf(argv[i] + plus, "%15[^:]:%ld:%ld", phase.name, &phase.pages,
			   &phase.naps) != 3)
			return 2;
		if (!plus)
			run(&phase);
		else if (pthread_create(&thread, NULL, run, &phase) || pthread_join(thread, NULL))
			return 1;
	}
	return 0;
}
