// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * beacons COUNT: passes each of its USDT probes COUNT times, with arguments of several widths.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>

static char long_name[300];

static const char *const names[] = { "plain", "\033[31m\377", "", long_name };

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;

	memset(long_name, 'l', sizeof(long_name) - 1);
	for (long n = 0; n < count; n++) {
		const char *name = names[n % 4];

		/* In a register: libbpf 1.1 knows no argument with an index. */
		__asm__ volatile("" : "+r"(name));
		DTRACE_PROBE(beacons, none);
		DTRACE_PROBE1(beacons, one, n);
		DTRACE_PROBE3(beacons, narrow, (int)-n, (uint8_t)200, (int16_t)-30000);
		DTRACE_PROBE4(beacons, wide, n << 40, -n * (1L << 40), (uint32_t)(4000000000u + n),
			      n);
		DTRACE_PROBE2(beacons, named, n, name);
	}
	return 0;
}
