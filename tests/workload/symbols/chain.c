// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* chain COUNT: main, chain_outer, chain_middle, chain_inner. */
#include <stdlib.h>

#include "chain.h"

static FRAME void chain_middle(void)
{
	chain_inner();
	STAY;
}

static FRAME void chain_outer(void)
{
	chain_middle();
	STAY;
}

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 1;

	while (left-- > 0)
		chain_outer();
	return wait_for_end();
}
