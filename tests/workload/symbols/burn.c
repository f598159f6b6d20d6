// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * burn: uses the CPU by one chain of calls, main, burn_middle and burn_hot, until stdin ends; with
 * an argument in the vDSO, main, burn_clock and clock_gettime.
 */
#include <poll.h>
#include <stdint.h>
#include <time.h>

#include "chain.h"

static volatile uint64_t sink;

static FRAME void burn_hot(void)
{
	uint64_t i;

	for (i = 0; i < 2000000; i++)
		sink += i * i;
	STAY;
}

static FRAME void burn_middle(void)
{
	burn_hot();
	STAY;
}

static FRAME void burn_clock(void)
{
	struct timespec now;
	int i;

	for (i = 0; i < 100000; i++)
		clock_gettime(CLOCK_MONOTONIC, &now);
	STAY;
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	(void)argv;
	while (!poll(&input, 1, 0)) {
		if (argc > 1)
			burn_clock();
		else
			burn_middle();
	}
	return 0;
}
