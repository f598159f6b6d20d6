// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * scatter(COUNT): probes that have several places, with their argument in another register at
 * each, or that have it where not every reader finds it. For a program of a fixed address, one of
 * any, and a library.
 */
#include <sys/sdt.h>

int scattered_counter = 1000;

/* int at one place, long at the other */
__attribute__((noinline)) static void narrow(int n)
{
	STAP_PROBE1(app, twice, n);
}

__attribute__((noinline)) static void wide(long unused, long n)
{
	__asm__ volatile("" : : "r"(unused));
	STAP_PROBE1(app, twice, n);
}

/* At the same offset of two pages. */
__attribute__((noinline, aligned(4096))) static void first(long n)
{
	STAP_PROBE1(app, far, n);
}

__attribute__((noinline, aligned(4096))) static void second(long unused, long n)
{
	(void)unused;
	STAP_PROBE1(app, far, n);
}

void scatter(long count)
{
	for (long n = 0; n < count; n++) {
		narrow((int)-n);
		wide(0, n << 40);
		first(n);
		second(7, -n);
		scattered_counter++;
		STAP_PROBE1(app, global, scattered_counter);
		STAP_PROBE2(app, mixed, (double)n, n);
	}
}
