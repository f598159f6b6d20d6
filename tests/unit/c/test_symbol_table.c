// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "symbols/demangle.h"
#include "symbols/symbol_table.h"

/* Without a demangler: names as they are. */
char *demangle(const char *name)
{
	(void)name;
	return NULL;
}

struct symbol {
	uint64_t start, size;
	const char *name;
};

static void fill(struct symbol_table *t, const struct symbol *list, size_t n, bool latest)
{
	size_t i;

	for (i = 0; i < n; i++)
		symbol_table__add(t, list[i].start, list[i].size, list[i].name,
				  strlen(list[i].name));
	symbol_table__sort(t, latest);
}

static const char *found(struct symbol_table *t, uint64_t address)
{
	const char *name = symbol_table__find(t, address);

	return name ? name : "-";
}

/* One function with others in it: between and behind them it is its own again. */
static void test_nested(void **state)
{
	static const struct symbol list[] = {
		{ 0x100, 0x100, "outer" }, { 0x110, 0x20, "first" },  { 0x118, 8, "inner" },
		{ 0x130, 0x10, "second" }, { 0x1f0, 0x10, "last" },   { 0x1f8, 8, "same_end" },
		{ 0x300, 0x20, "before" }, { 0x310, 0x20, "behind" }, { 0x400, 0, "nothing" },
	};
	static const struct {
		uint64_t address;
		const char *name;
	} places[] = {
		{ 0, "-" },
		{ 0xff, "-" },
		{ 0x100, "outer" },
		{ 0x110, "first" },
		{ 0x118, "inner" },
		{ 0x11f, "inner" },
		{ 0x120, "first" },
		{ 0x12f, "first" },
		{ 0x130, "second" },
		{ 0x140, "outer" },
		{ 0x1ef, "outer" },
		{ 0x1f0, "last" },
		{ 0x1f8, "same_end" },
		{ 0x1ff, "same_end" },
		{ 0x200, "-" },
		{ 0x300, "before" },
		{ 0x310, "behind" },
		{ 0x320, "behind" },
		{ 0x32f, "behind" },
		{ 0x330, "-" },
		{ 0x400, "-" },
		{ UINT64_MAX, "-" },
	};
	struct symbol_table table = { 0 };
	size_t i;

	(void)state;
	fill(&table, list, sizeof(list) / sizeof(list[0]), false);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_string_equal(found(&table, places[i].address), places[i].name);
	assert_false(table.cut);
	symbol_table__free(&table);
}

/* Against every symbol in turn: of those that hold an address the one that begins last. */
static void test_random(void **state)
{
	enum { SYMBOLS = 12, ROOM = 64 };
	static char names[SYMBOLS][8];
	struct symbol list[SYMBOLS];
	struct symbol_table table;
	unsigned int seed, i, at;
	const char *expected;
	uint64_t best;

	(void)state;
	for (i = 0; i < SYMBOLS; i++)
		snprintf(names[i], sizeof(names[i]), "s%u", i);
	for (seed = 0; seed < 3000; seed++) {
		srand(seed);
		for (i = 0; i < SYMBOLS; i++) {
			/* No two begin at one place: which of those counts is another question. */
			list[i].start = (uint64_t)i * 5 + (uint64_t)rand() % 5;
			list[i].size = (uint64_t)rand() % (seed % 2 ? 8 : ROOM);
			if (!(rand() % 16))
				list[i].size = UINT64_MAX;
			list[i].name = names[i];
		}
		table = (struct symbol_table){ 0 };
		fill(&table, list, SYMBOLS, seed % 3 == 0);
		for (at = 0; at < 2 * ROOM; at++) {
			expected = "-";
			best = 0;
			for (i = 0; i < SYMBOLS; i++) {
				if (at < list[i].start || at - list[i].start >= list[i].size ||
				    list[i].start < best)
					continue;
				best = list[i].start;
				expected = list[i].name;
			}
			assert_string_equal(found(&table, at), expected);
		}
		symbol_table__free(&table);
	}
}

/* The last one written counts, though others had its name before. */
static void test_latest(void **state)
{
	static const struct symbol list[] = {
		{ 0x10, 8, "a" }, { 0x20, 8, "a" }, { 0x10, 4, "b" }, { 0x10, 16, "b" },
		{ 0x20, 4, "a" }, { 0x30, 8, "c" }, { 0x30, 0, "c" },
	};
	struct symbol_table table = { 0 };

	(void)state;
	fill(&table, list, sizeof(list) / sizeof(list[0]), true);
	assert_string_equal(found(&table, 0x1f), "b");
	assert_string_equal(found(&table, 0x23), "a");
	assert_string_equal(found(&table, 0x24), "-");
	assert_string_equal(found(&table, 0x30), "-");
	symbol_table__free(&table);
}

/* Names that are long, and more than there is room for. */
static void test_bounds(void **state)
{
	static char name[2 * SYMBOL_NAME_BYTES + 1];
	struct symbol_table table = { 0 };
	const char *shown;
	uint64_t i;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	for (i = 1; i <= 100000; i++)
		symbol_table__add(&table, i, 1, name, sizeof(name) - 1);
	/* One name, kept once and cut. */
	assert_true(table.names.len < 2 * SYMBOL_NAME_BYTES);
	assert_false(table.cut);
	for (; !table.cut; i++) {
		snprintf(name, 16, "%015d", (int)i);
		name[15] = 'x';
		symbol_table__add(&table, i, 1, name, sizeof(name) - 1);
	}
	assert_true(table.names.len <= SYMBOL_TABLE_NAME_BYTES);
	symbol_table__sort(&table, false);
	shown = found(&table, 100000);
	assert_int_equal(strlen(shown), SYMBOL_NAME_BYTES + 3);
	assert_string_equal(shown + SYMBOL_NAME_BYTES, "...");
	assert_string_equal(found(&table, i), "-");
	symbol_table__free(&table);

	for (i = 0; !table.cut; i++)
		symbol_table__add(&table, i, 1, "y", 1);
	assert_int_equal(i, SYMBOL_TABLE_SYMBOLS + 1);
	symbol_table__sort(&table, false);
	assert_string_equal(found(&table, SYMBOL_TABLE_SYMBOLS - 1), "y");
	symbol_table__free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
