// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* main COUNT: scatter(COUNT). Without COUNT: scatter(N) for each line N of standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void scatter(long count);

int main(int argc, char **argv)
{
	char line[32];

	if (argc > 1)
		scatter(atol(argv[1]));
	while (argc == 1 && fgets(line, sizeof(line), stdin)) {
		scatter(atol(line));
		puts(strtok(line, "\n"));
		fflush(stdout);
	}
	return 0;
}
