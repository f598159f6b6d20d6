// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Names for addresses, in a file of their own: who does not ask for them does not link them. */
#include "handle.h"
#include "symbols/symbols.h"

static bool begin(struct bpfduet *d)
{
	if (!d->symbols) {
		d->symbols = symbols__new();
		d->free_symbols = symbols__free;
	}
	if (!d->symbols)
		bpfduet__failed(d, "out of memory");
	return d->symbols;
}

int bpfduet__remember(struct bpfduet *d, uint32_t pid)
{
	if (!begin(d))
		return -1;
	symbols__remember(d->symbols, pid, true);
	return 0;
}

const char *bpfduet__symbol(struct bpfduet *d, uint32_t pid, uint64_t address)
{
	if (!begin(d))
		return NULL;
	if (!pid)
		return symbols__kernel(d->symbols, address);
	symbols__remember(d->symbols, pid, false);
	return symbols__user(d->symbols, pid, address);
}
