// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * names COUNT: functions with the names that Rust's compiler gives, and one with a name that nobody
 * should give. Each calls the one before it.
 */
#include <stdlib.h>

#include "chain.h"

#define NAMED(function, name, next)                                                                \
	FRAME void function(void) __asm__(name);                                                   \
	FRAME void function(void)                                                                  \
	{                                                                                          \
		next();                                                                            \
		STAY;                                                                              \
	}

FRAME void chain_middle(void)
{
	chain_inner();
	STAY;
}

NAMED(plain, "_ZN5alpha4beta5gamma17h0123456789abcdefE", chain_middle)
NAMED(trait,
      "_ZN58_$LT$a..B$u20$as$u20$core..fmt..Debug$u5b$$RF$$C$$u5d$$GT$3fmt17hfedcba9876543210E",
      plain)
NAMED(suffix, "_ZN5alpha5delta17h0123456789abcdefE.llvm.123456", trait)
NAMED(newer, "_RNvMNtCs80nISGL7dYr_3vecu6p8sx0vNtB2_u11ncode_1pa8ku6_80akuc", suffix)
NAMED(generic, "_RINvNtC3vec6shapes4eachmKj3_NCNvB4_4main0EB4_.llvm.9", newer)
NAMED(no_hash, "_ZN5alpha7epsilonE", generic)
NAMED(broken, "_ZN5alpha99betaE", no_hash)
NAMED(hostile, "hostile_name", broken) /* the test puts worse bytes in its place */

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 1;

	while (left-- > 0)
		hostile();
	return wait_for_end();
}
