/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_PIN_H
#define BPFDUET_PIN_H

#include <bpf/libbpf.h>
#include <stdbool.h>

#include "base/buf.h"

/*
 * Maps under names in a bpf file system, for others to read while the tool runs. Zeroed there
 * are none.
 */
struct pins {
	char *folder; /* NULL: nothing is pinned */
	bool made; /* the folder is ours */
	char **paths;
	size_t n;
};

/*
 * Pin the object's own maps as FOLDER/NAME; the folder is made if it is not there. false with one
 * sentence in `error`; what was pinned before is to be removed all the same.
 */
bool pins__make(struct pins *pins, const struct bpf_object *obj, const char *folder,
		struct buf *error);

/* Remove the names, and the folder if it was made for them. */
void pins__remove(struct pins *pins);
/* The same from a signal handler, at once; memory is left. */
void pins__abandon(const struct pins *pins);

#endif
