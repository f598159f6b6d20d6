// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "symbols/symbol_table.h"

#include <search.h>
#include <stdlib.h>

#include "symbols/demangle.h"

#define CUT "..."
#define NO_NAME UINT32_MAX

struct symbol {
	uint64_t start, size;
	uint32_t name; /* place in `names` */
	uint32_t number; /* in the order in which they were added */
};

/* What is between this address and the next place is of one symbol, or of none. */
struct place {
	uint64_t start;
	uint32_t name;
};

/* A name as it is shown. */
struct shown {
	uint32_t name;
	char *demangled; /* NULL if that is no other */
};

/* One that was just added, which hundreds may share, is not stored again. */
static bool add_name(struct symbol_table *t, const char *name, size_t len, uint32_t *place)
{
	const struct symbol *before = t->n ? &t->list[t->n - 1] : NULL;
	const char *last = before ? t->names.data + before->name : NULL;
	bool cut = len > SYMBOL_NAME_BYTES;

	if (cut)
		len = SYMBOL_NAME_BYTES;
	if (last && !strncmp(last, name, len) && !strcmp(last + len, cut ? CUT : "")) {
		*place = before->name;
		return true;
	}
	if (t->names.len + len + sizeof(CUT) > SYMBOL_TABLE_NAME_BYTES ||
	    !buf__reserve(&t->names, len + sizeof(CUT)))
		return false;
	*place = (uint32_t)t->names.len;
	buf__write(&t->names, name, len);
	if (cut)
		buf__puts(&t->names, CUT);
	buf__putc(&t->names, '\0');
	return true;
}

static bool make_room(struct symbol_table *t)
{
	size_t room = t->room ? t->room * 2 : 256;
	struct symbol *list;

	if (t->n < t->room)
		return true;
	list = t->n < SYMBOL_TABLE_SYMBOLS ? reallocarray(t->list, room, sizeof(*list)) : NULL;
	if (!list)
		return false;
	t->list = list;
	t->room = room;
	return true;
}

void symbol_table__add(struct symbol_table *t, uint64_t start, uint64_t size, const char *name,
		       size_t len)
{
	uint32_t place;

	if (!len || t->cut)
		return;
	if (!make_room(t) || !add_name(t, name, len, &place)) {
		t->cut = true;
		return;
	}
	t->list[t->n] = (struct symbol){ start, size, place, (uint32_t)t->n };
	t->n++;
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
	if (x->name == y->name)
		return 0;
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
	return x->number > y->number ? -1 : x->number < y->number;
}

static void keep_first(struct symbol_table *t)
{
	size_t i, kept = 0;

	for (i = 1; i < t->n; i++) {
		if (t->list[i].start != t->list[kept].start)
			t->list[++kept] = t->list[i];
	}
	t->n = kept + 1;
}

static uint64_t last_of(const struct symbol *s)
{
	return s->size - 1 > UINT64_MAX - s->start ? UINT64_MAX : s->start + s->size - 1;
}

static void add_place(struct symbol_table *t, uint64_t start, uint32_t name)
{
	if (t->n_places && t->places[t->n_places - 1].start == start)
		t->n_places--;
	t->places[t->n_places++] = (struct place){ start, name };
}

/*
 * Symbols that hold one address, in the order of their beginnings; some that end before it are
 * still among them, below.
 */
struct holders {
	const struct symbol **list;
	size_t n;
};

/* Go on to an address: each symbol that ends before it leaves a place to one that goes on. */
static void holders__end(struct holders *h, struct symbol_table *t, uint64_t before)
{
	uint64_t last;

	while (h->n && (last = last_of(h->list[h->n - 1])) < before) {
		while (h->n && last_of(h->list[h->n - 1]) <= last)
			h->n--;
		add_place(t, last + 1, h->n ? h->list[h->n - 1]->name : NO_NAME);
	}
}

/* From symbols, which may lie in each other or overlap, to places, which do not. */
static bool make_places(struct symbol_table *t)
{
	struct holders holders = { .list = calloc(t->n, sizeof(*holders.list)) };
	size_t i;

	t->places = reallocarray(NULL, t->n, 2 * sizeof(*t->places));
	if (!holders.list || !t->places) {
		free(holders.list);
		return false;
	}
	for (i = 0; i < t->n; i++) {
		if (!t->list[i].size)
			continue;
		holders__end(&holders, t, t->list[i].start);
		add_place(t, t->list[i].start, t->list[i].name);
		holders.list[holders.n++] = &t->list[i];
	}
	holders__end(&holders, t, UINT64_MAX);
	free(holders.list);
	return true;
}

void symbol_table__sort(struct symbol_table *t, bool latest)
{
	struct place *fewer;

	if (!t->n)
		return;
	if (latest)
		qsort(t->list, t->n, sizeof(*t->list), latest_first);
	else
		qsort_r(t->list, t->n, sizeof(*t->list), by_rank, t);
	keep_first(t);
	t->cut |= !make_places(t);
	free(t->list);
	t->list = NULL;
	t->n = t->room = 0;
	fewer = t->n_places ? reallocarray(t->places, t->n_places, sizeof(*fewer)) : NULL;
	if (fewer)
		t->places = fewer;
}

static int compare_shown(const void *a, const void *b)
{
	uint32_t x = ((const struct shown *)a)->name, y = ((const struct shown *)b)->name;

	return (x > y) - (x < y);
}

static void free_shown(void *node)
{
	struct shown *shown = node;

	free(shown->demangled);
	free(shown);
}

static const char *name_of(struct symbol_table *t, uint32_t name)
{
	struct shown key = { .name = name }, *shown, **node;
	const char *whole = t->names.data + name;

	node = tfind(&key, &t->shown, compare_shown);
	shown = node ? *node : malloc(sizeof(*shown));
	if (!shown)
		return whole;
	if (!node) {
		*shown = (struct shown){ name, demangle(whole) };
		if (!tsearch(shown, &t->shown, compare_shown)) {
			free_shown(shown);
			return whole;
		}
	}
	return shown->demangled ? shown->demangled : whole;
}

const char *symbol_table__find(struct symbol_table *t, uint64_t address)
{
	size_t low = 0, high = t->n_places, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->places[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low && t->places[low - 1].name != NO_NAME ? name_of(t, t->places[low - 1].name)
							 : NULL;
}

size_t symbol_table__bytes(const struct symbol_table *t)
{
	return t->n_places * sizeof(*t->places) + t->names.cap;
}

void symbol_table__free(struct symbol_table *t)
{
	tdestroy(t->shown, free_shown);
	free(t->list);
	free(t->places);
	buf__free(&t->names);
	memset(t, 0, sizeof(*t));
}
