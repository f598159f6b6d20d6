// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/undo.h"

#include <assert.h>

void undo__push(struct undo *u, bool (*undo)(void *what, struct buf *error),
		void (*abandon)(const void *what), void *what)
{
	const struct undo_step step = { .undo = undo, .abandon = abandon, .what = what };
	size_t n = u->n;

	assert(n < UNDO_STEPS);
	u->steps[n] = step;
	u->n = n + 1;
}

bool undo__all(struct undo *u, struct buf *error)
{
	struct buf unsaid = { 0 };
	bool ok = true;

	for (; u->n; u->n--) {
		const struct undo_step *step = &u->steps[u->n - 1];

		/* It counts until it is done: a signal may cut it short. */
		ok = step->undo(step->what, error->len ? &unsaid : error) && ok;
	}
	buf__free(&unsaid);
	return ok;
}

void undo__abandon(const struct undo *u)
{
	size_t n;

	for (n = u->n; n; n--) {
		if (u->steps[n - 1].abandon)
			u->steps[n - 1].abandon(u->steps[n - 1].what);
	}
}
