/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_HANDLE_H
#define BPFDUET_HANDLE_H

#include "run/run.h"

struct symbols;

/* What is behind the public header. */
struct bpfduet {
	struct order order;
	struct spec *spec;
	const char *spec_text;
	size_t spec_size;
	char **words; /* the command line; the first n_set of them are ours */
	size_t n_set;
	struct options options;
	bool parsed, ready; /* a command line was read, and asks for a run */
	bool begun, running; /* bpfduet__start() was called; bpfduet__close() was not */
	struct run run;
	struct buf error, shown; /* the sentence, and the same as a string */
	struct buf reply, log;
	char *binary; /* the one found last */
	struct symbols *symbols; /* NULL until they are asked for */
	void (*free_symbols)(struct symbols *s);
};

/* Set the sentence; returns -1. */
int bpfduet__failed(struct bpfduet *d, const char *sentence);

#endif
