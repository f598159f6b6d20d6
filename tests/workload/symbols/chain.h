/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the programs here share: each calls chain_inner() COUNT times by a way that is its own. */
#include <stdio.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C"
#endif
	void
	chain_inner(void);

/* A function that is neither inlined nor left by a jump, and sets up a frame even if it is a leaf.
 */
#define FRAME __attribute__((noinline))
#define STAY __asm__ volatile("" : : "r"(__builtin_frame_address(0)) : "memory")

/* Say that all is done, and stay until stdin ends: names are looked up in a process that runs. */
static inline int wait_for_end(void)
{
	char byte;

	puts("done");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
