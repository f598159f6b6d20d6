// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * opener: the traced process of the benchmark. Reads lines "COUNT RATE" from stdin and
 * opens a missing path COUNT times, RATE a second (0: as fast as it can). Answers each
 * with the nanoseconds that it took.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define PATH "/bpfduet-benchmark/no/such/file"
#define STEP_NS 1000000 /* pacing: a burst each millisecond */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int main(void)
{
	uint64_t start, done, due;
	long count, rate;

	while (scanf("%ld %ld", &count, &rate) == 2) {
		start = now();
		for (done = 0; done < (uint64_t)count;) {
			due = rate ? (uint64_t)rate * (now() - start + STEP_NS) / 1000000000
				   : (uint64_t)count;
			if (due > (uint64_t)count)
				due = (uint64_t)count;
			for (; done < due; done++)
				if (open(PATH, O_RDONLY) >= 0)
					return 1;
			if (rate && done < (uint64_t)count)
				sleep_until(start + done * 1000000000 / (uint64_t)rate);
		}
		printf("%lu\n", (unsigned long)(now() - start));
		fflush(stdout);
	}
	return 0;
}
