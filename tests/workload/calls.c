// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * calls COUNT [PID]: COUNT times getpgid(PID), 0 if absent, and as often an access() that
 * fails with ENOENT.
 * Prints the PID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0, pid = argc > 2 ? atol(argv[2]) : 0;

	for (long i = 0; i < count; i++) {
		syscall(SYS_getpgid, pid);
		syscall(SYS_access, "/bpfduet/missing", F_OK);
	}
	printf("%d\n", getpid());
	return 0;
}
