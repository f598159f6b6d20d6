// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * threads THREADS COUNT [FILE]: so many threads at once, spread over the CPUs, and each opens
 * COUNT files that do not exist, /bpfduet/THREAD/NUMBER, or FILE so often. Prints "PID TID THREAD"
 * of each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t start;
static long count;
static const char *file;

static void *work(void *number)
{
	long thread = (long)number;
	char name[64];
	cpu_set_t cpu;
	long fd;

	CPU_ZERO(&cpu);
	CPU_SET(thread % sysconf(_SC_NPROCESSORS_ONLN), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	pthread_barrier_wait(&start);
	for (long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "/bpfduet/%ld/%ld", thread, i);
		fd = syscall(SYS_openat, AT_FDCWD, file ? file : name, O_RDONLY);
		if (fd >= 0)
			close(fd);
	}
	printf("%d %ld %ld\n", getpid(), syscall(SYS_gettid), thread);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	long n = argc > 1 ? atol(argv[1]) : 0;

	if (argc < 3 || n < 1 || n > 64 || pthread_barrier_init(&start, NULL, n))
		return 2;
	count = atol(argv[2]);
	file = argv[3];
	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 3;
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
