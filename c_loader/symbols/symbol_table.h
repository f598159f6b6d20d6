/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_SYMBOL_TABLE_H
#define BPFDUET_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Functions by address: filled, sorted once, then asked. Zeroed memory is an empty one. What it
 * holds comes from traced processes, so it has bounds: of a longer name only the beginning is
 * kept, with "..." behind it, and what there is no room for is left out.
 */
#define SYMBOL_NAME_BYTES 4096u
#define SYMBOL_TABLE_SYMBOLS (1u << 20)
#define SYMBOL_TABLE_NAME_BYTES (32u << 20)

struct symbol_table {
	struct symbol *list; /* until it is sorted */
	size_t n, room;
	struct place *places; /* from then on */
	size_t n_places;
	struct buf names;
	void *shown; /* a tree of names that were asked for */
	bool cut; /* symbols were left out, or there was no memory for them */
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
 * The name, demangled, of the innermost symbol that holds an address, which is the one that begins
 * last; NULL if there is none. It lives as long as the table.
 */
const char *symbol_table__find(struct symbol_table *t, uint64_t address);
/* The memory that a sorted one takes, but for the names that were asked for. */
size_t symbol_table__bytes(const struct symbol_table *t);
void symbol_table__free(struct symbol_table *t);

#endif
