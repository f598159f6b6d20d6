// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "symbol_table.h"

#include <stdlib.h>

#include "demangle.h"

struct symbol {
	uint64_t start, size;
	size_t name; /* place in `names` */
	char *demangled; /* once it was asked for, and if it is another one */
	bool asked;
};

void symbol_table__add(struct symbol_table *t, uint64_t start, uint64_t size, const char *name,
		       size_t len)
{
	struct symbol *list;

	if (!len)
		return;
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 256;
		list = reallocarray(t->list, t->room, sizeof(*list));
		if (!list) {
			t->room = t->n;
			t->failed = true;
			return;
		}
		t->list = list;
	}
	if (!buf__reserve(&t->names, len + 1)) {
		t->failed = true;
		return;
	}
	t->list[t->n++] = (struct symbol){ .start = start, .size = size, .name = t->names.len };
	buf__write(&t->names, name, len);
	buf__putc(&t->names, '\0');
}

/* Of symbols that begin at one address the best one comes first. */
static int by_rank(const void *a, const void *b, void *table)
{
	const struct symbol_table *t = table;
	const struct symbol *x = a, *y = b;
	const char *p = t->names.data + x->name, *q = t->names.data + y->name;
	size_t m, n;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	m = strspn(p, "_");
	n = strspn(q, "_");
	if (m == n) {
		m = strlen(p);
		n = strlen(q);
	}
	if (m != n)
		return m < n ? -1 : 1;
	return strcmp(p, q);
}

static int latest_first(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->name > y->name ? -1 : x->name < y->name;
}

void symbol_table__sort(struct symbol_table *t, bool latest)
{
	size_t i, kept = 0;

	if (!t->n)
		return;
	if (latest)
		qsort(t->list, t->n, sizeof(*t->list), latest_first);
	else
		qsort_r(t->list, t->n, sizeof(*t->list), by_rank, t);
	for (i = 1; i < t->n; i++) {
		if (t->list[i].start != t->list[kept].start)
			t->list[++kept] = t->list[i];
	}
	t->n = kept + 1;
}

static const char *name_of(struct symbol_table *t, struct symbol *symbol)
{
	const char *name = t->names.data + symbol->name;

	if (!symbol->asked) {
		symbol->demangled = demangle(name);
		symbol->asked = true;
	}
	return symbol->demangled ? symbol->demangled : name;
}

const char *symbol_table__find(struct symbol_table *t, uint64_t address)
{
	size_t low = 0, high = t->n, mid, i;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->list[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	for (i = low; i-- > 0;) {
		struct symbol *s = &t->list[i];

		if (address - s->start < s->size)
			return name_of(t, s);
		/* One that ends before the nearest begins holds none of what follows it. */
		if (s->size < t->list[low - 1].start - s->start)
			return NULL;
	}
	return NULL;
}

void symbol_table__free(struct symbol_table *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		free(t->list[i].demangled);
	free(t->list);
	buf__free(&t->names);
	memset(t, 0, sizeof(*t));
}
