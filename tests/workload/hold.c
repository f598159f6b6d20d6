// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * hold PROGRAM [ARGUMENT...]: wait for a byte on stdin, then become PROGRAM. Its PID is so
 * known before it does anything. Descriptors that it inherited are closed.
 */
#define _GNU_SOURCE
#include <unistd.h>

int main(int argc, char **argv)
{
	char go;

	if (argc < 2 || close_range(3, ~0U, 0) || read(STDIN_FILENO, &go, 1) != 1)
		return 2;
	execv(argv[1], argv + 1);
	return 127;
}
