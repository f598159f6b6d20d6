/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_BCC_OBJECT_H
#define BPFDUET_BCC_OBJECT_H

#include <bpf/libbpf.h>
#include <stdio.h>

#include "options.h"

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

/* Write what the compiler wrote to stderr. Files are named from where `source` was; NULL: unknown.
 */
void bcc_object__tell_said(const struct bcc_object *b, const char *source, FILE *file);

/*
 * Put the values of `image` into the code. false, with a sentence, if one was compiled in that is
 * another now, or if the table does not fit the code.
 */
bool bcc_object__fill(struct bcc_object *b, struct bpf_object *obj, const struct options *options,
		      struct buf *error);

#endif
