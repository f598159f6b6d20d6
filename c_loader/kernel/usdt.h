/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_USDT_H
#define BPFDUET_USDT_H

#include "kernel/bcc_object.h"

/* A static probe in its binary: what BINARY:PROVIDER:NAME names. */
struct usdt_target {
	const char *binary, *provider, *name; /* as they were given; in one piece of memory */
	char *path; /* the file */
	int fd; /* of it */
};

/* `text` is copied. A target that could not be opened is closed; false with one sentence. */
bool usdt_target__open(struct usdt_target *t, const char *text, int pid, struct buf *error);
void usdt_target__close(struct usdt_target *t);

/*
 * Whether an object of BCC's was compiled for this probe of this binary: only there are the
 * arguments where its code reads them. false with one sentence if not.
 */
bool usdt_target__fits(const struct usdt_target *t, const struct bcc_probe *probe,
		       struct buf *error);

/* The sentence that there is no such probe. */
void usdt_target__missing(const struct usdt_target *t, struct buf *error);

#endif
