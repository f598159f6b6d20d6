// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * nested CALLS DEPTH: CALLS times nested_call(), which calls itself until it is DEPTH calls deep.
 * Prints a line for each call: its level from 0, and how many ns it took as seen from inside and
 * from outside. What traces the function sees something in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct call {
	int level;
	long long inside, outside;
};

static struct call *log_of_calls;
static int calls;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void timed_call(int level, int depth);

__attribute__((noipa)) long long nested_call(int level, int depth)
{
	struct timespec nap = { .tv_nsec = 1000 << 2 * level };
	long long begin = now();

	nanosleep(&nap, NULL);
	if (level + 1 < depth)
		timed_call(level + 1, depth);
	return now() - begin;
}

static void timed_call(int level, int depth)
{
	struct call *call = &log_of_calls[calls++];
	long long begin = now();

	call->level = level;
	call->inside = nested_call(level, depth);
	call->outside = now() - begin;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, depth = argc > 2 ? atoi(argv[2]) : 1, i;

	log_of_calls = calloc((size_t)count * (size_t)depth, sizeof(*log_of_calls));
	if (!log_of_calls)
		return 1;
	for (i = 0; i < count; i++)
		timed_call(0, depth);
	for (i = 0; i < calls; i++)
		printf("%d %lld %lld\n", log_of_calls[i].level, log_of_calls[i].inside,
		       log_of_calls[i].outside);
	return 0;
}
