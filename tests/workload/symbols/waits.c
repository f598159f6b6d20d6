// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* waits COUNT MILLISECONDS: sleeps so many times by one chain of calls, main, wait_middle,
 * wait_here. */
#include <stdlib.h>
#include <time.h>

#include "chain.h"

static FRAME void wait_here(long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	nanosleep(&time, NULL);
	STAY;
}

static FRAME void wait_middle(long milliseconds)
{
	wait_here(milliseconds);
	STAY;
}

int main(int argc, char **argv)
{
	int left = argc > 2 ? atoi(argv[1]) : 0;

	while (left-- > 0)
		wait_middle(atol(argv[2]));
	return wait_for_end();
}
