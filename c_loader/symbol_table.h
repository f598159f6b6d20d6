/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_SYMBOL_TABLE_H
#define BPFDUET_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Functions by address: filled, sorted once, then asked. Zeroed memory is an empty one. */
struct symbol_table {
	struct symbol *list;
	size_t n, room;
	struct buf names;
	bool failed; /* out of memory: symbols are missing */
};

/* A name of `len` bytes without NULs. One that is empty is no symbol. */
void symbol_table__add(struct symbol_table *t, uint64_t start, uint64_t size, const char *name,
		       size_t len);

/*
 * Of symbols that begin at one address one is kept: the latest one, or by docs/output.md, "Names
 * of functions".
 */
void symbol_table__sort(struct symbol_table *t, bool latest);

/*
 * The name, demangled, of the innermost symbol that holds an address; NULL if there is none. It
 * lives as long as the table.
 */
const char *symbol_table__find(struct symbol_table *t, uint64_t address);
void symbol_table__free(struct symbol_table *t);

#endif
