// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The end of every chain: what is probed. */
#include "chain.h"

FRAME void chain_inner(void)
{
	STAY;
}
