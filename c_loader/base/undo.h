/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_UNDO_H
#define BPFDUET_UNDO_H

#include <stdatomic.h>

#include "base/buf.h"

/*
 * What is to be undone at the end, however that comes: from the last step backwards. A step is
 * pushed before what it undoes is begun, so it must bear with half of it; all zero it is empty.
 */
struct undo_step {
	/* false if it failed, with one sentence in `error`. */
	bool (*undo)(void *what, struct buf *error);
	/* As much of it as must not outlive the process, from a signal handler. NULL: nothing. */
	void (*abandon)(const void *what);
	void *what;
};

#define UNDO_STEPS 16

struct undo {
	struct undo_step steps[UNDO_STEPS];
	atomic_size_t n;
};

void undo__push(struct undo *u, bool (*undo)(void *what, struct buf *error),
		void (*abandon)(const void *what), void *what);

/* Undo all, each once. false if any of it failed; `error` has the first sentence, or the one
 * before. */
bool undo__all(struct undo *u, struct buf *error);

/* From a signal handler, which may have come while undo__all() is at work. */
void undo__abandon(const struct undo *u);

#endif
