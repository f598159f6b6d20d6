// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * guarded [COUNT]: passes app:guarded and app:other COUNT times each, while their semaphores say
 * that somebody looks. Without COUNT: for each line of standard input, which has it. Prints the
 * two semaphores each time.
 */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

__extension__ unsigned short app_guarded_semaphore __attribute__((section(".probes")));
__extension__ unsigned short app_other_semaphore __attribute__((section(".probes")));

static void pass(long count)
{
	volatile unsigned short *guarded = &app_guarded_semaphore, *other = &app_other_semaphore;

	for (long n = 0; n < count; n++) {
		if (*guarded)
			STAP_PROBE1(app, guarded, n);
		if (*other)
			STAP_PROBE2(app, other, n, -n);
	}
	printf("%d %d\n", *guarded, *other);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[32];

	if (argc > 1)
		pass(atol(argv[1]));
	while (argc == 1 && fgets(line, sizeof(line), stdin))
		pass(atol(line));
	return 0;
}
