// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * entries COUNT: sched_yield() COUNT times, and by the 32-bit entry, if the kernel has it,
 * twice as often the call that has its number there (getuid). Prints "PID" and how many were
 * made by the 32-bit entry.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf refused;

static void refuse(int signal)
{
	siglongjmp(refused, signal);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	volatile long made = 0;
	long result;

	if (count < 1)
		return 2;
	for (long i = 0; i < count; i++)
		sched_yield();
	signal(SIGSEGV, refuse);
	if (!sigsetjmp(refused, 1)) {
		for (long i = 0; i < 2 * count; i++) {
			asm volatile("int $0x80"
				     : "=a"(result)
				     : "a"(SYS_sched_yield)
				     : "memory", "r8", "r9", "r10", "r11");
			made++;
		}
	}
	printf("%d %ld\n", getpid(), made);
	return 0;
}
