/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_SYMBOLS_H
#define BPFDUET_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Names for addresses. A process must be remembered while it runs, to have names later. What is
 * missing for want of memory or rights has no name.
 */
struct symbols;

struct symbols *symbols__new(void);
void symbols__free(struct symbols *s);

/*
 * Look at what a process has mapped, if it is new or that has changed, or `again` if it still is
 * there.
 */
void symbols__remember(struct symbols *s, uint32_t pid, bool again);

/*
 * The function at an address of the kernel or of a process, NULL if it is not known. Names of the
 * kernel live as long as `s`, those of a process until that is remembered again.
 */
const char *symbols__kernel(struct symbols *s, uint64_t address);
const char *symbols__user(struct symbols *s, uint32_t pid, uint64_t address);

/* A report is done. A process that has not been remembered for some of them is forgotten. */
void symbols__end_round(struct symbols *s);

/* Whether there was more than may be read of what the processes chose: some names are missing. */
bool symbols__cut(const struct symbols *s);

#endif
