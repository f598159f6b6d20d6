/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_BCC_OBJECT_H
#define BPFDUET_BCC_OBJECT_H

#include <bpf/libbpf.h>

#include "base/json.h"
#include "spec/options.h"

/*
 * What an object that BCC has compiled says of itself in its section .bpfduet.bcc
 * (docs/start-up.md): what it is good for, and where its code has CONFIG constants. All zero for
 * any other object.
 */
struct bcc_object {
	struct json_doc *doc;
	/* The constants' values, as .rodata has them in objects of clang: to be written to. */
	uint8_t *image;
	uint8_t *compiled; /* the same as it was in the object */
	size_t size;
};

/* false, with a sentence, for one that this kernel or this program cannot use. */
bool bcc_object__open(struct bcc_object *b, const void *elf, size_t size, struct buf *error);
void bcc_object__free(struct bcc_object *b);

/* Append what the compiler wrote to stderr. Files are named from where `source` was, if known. */
void bcc_object__tell_said(const struct bcc_object *b, const char *source, struct buf *out);

/*
 * A USDT probe whose arguments a program reads where one binary has them. The binary is known by
 * its build id, or by size and date if that is "". The strings are the object's.
 */
struct bcc_probe {
	const char *provider, *name;
	const char *build_id; /* the section's content, in hexadecimal digits */
	uint64_t size, changed_ns;
	const struct json *places;
};

/* One of its places; offsets are those in the file. */
struct bcc_place {
	uint64_t offset;
	uint64_t semaphore; /* 0: none */
	uint64_t cookie; /* what tells the program which place it is; 0: it need not be told */
};

/* false if the program has none; then all is empty, which fits no binary. */
bool bcc_object__find_probe(const struct bcc_object *b, const char *program,
			    struct bcc_probe *probe);
bool bcc_place__read(struct bcc_place *place, const struct json *entry);

/*
 * Have maps that the source declares as pinned taken from where they are pinned; libbpf pins those
 * that are not there, and they stay. false with one sentence if the table does not fit the object.
 */
bool bcc_object__share_maps(const struct bcc_object *b, struct bpf_object *obj, struct buf *error);

/*
 * Put the values of `image` into the code. false, with a sentence, if one was compiled in that is
 * another now, or if the table does not fit the code.
 */
bool bcc_object__fill(struct bcc_object *b, struct bpf_object *obj, const struct options *options,
		      struct buf *error);

#endif
