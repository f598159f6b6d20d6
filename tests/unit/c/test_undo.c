// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Steps are undone from the last one backwards, all of them, and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/undo.h"

/* What was called, in the order of the calls. */
static struct buf calls;
static struct undo *undoing;

static bool fine(void *what, struct buf *error)
{
	(void)error;
	buf__puts(&calls, what);
	return true;
}

static bool fails(void *what, struct buf *error)
{
	buf__puts(&calls, what);
	buf__printf(error, "%s is left", (const char *)what);
	return false;
}

static void abandon(const void *what)
{
	buf__putc(&calls, '!');
	buf__puts(&calls, what);
}

/* A signal comes while it is at work. */
static bool interrupted(void *what, struct buf *error)
{
	(void)error;
	buf__puts(&calls, what);
	undo__abandon(undoing);
	return true;
}

static void expect(const char *text)
{
	buf__putc(&calls, '\0');
	assert_string_equal(calls.data, text);
	buf__free(&calls);
}

static void test_backwards_and_once(void **state)
{
	struct undo undo = { 0 };
	struct buf error = { 0 };

	(void)state;
	undo__push(&undo, fine, NULL, "a");
	undo__push(&undo, fine, abandon, "b");
	undo__push(&undo, fine, NULL, "c");
	assert_true(undo__all(&undo, &error));
	assert_true(undo__all(&undo, &error));
	undo__abandon(&undo);
	expect("cba");
	assert_int_equal(error.len, 0);
	undo__push(&undo, fine, NULL, "d");
	assert_true(undo__all(&undo, &error));
	expect("d");
}

/* One that fails keeps none from being undone; the first sentence is told. */
static void test_failures(void **state)
{
	struct undo undo = { 0 };
	struct buf error = { 0 };

	(void)state;
	undo__push(&undo, fine, NULL, "a");
	undo__push(&undo, fails, NULL, "b");
	undo__push(&undo, fails, NULL, "c");
	assert_false(undo__all(&undo, &error));
	expect("cba");
	buf__putc(&error, '\0');
	assert_string_equal(error.data, "c is left");
	buf__free(&error);
}

/* Of what is being undone when the signal comes, too. */
static void test_abandon(void **state)
{
	struct undo undo = { 0 };
	struct buf error = { 0 };

	(void)state;
	undoing = &undo;
	undo__push(&undo, fine, abandon, "a");
	undo__push(&undo, fine, NULL, "b");
	undo__push(&undo, interrupted, abandon, "c");
	undo__push(&undo, fine, abandon, "d");
	assert_true(undo__all(&undo, &error));
	expect("dc!c!aba");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backwards_and_once),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_abandon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
