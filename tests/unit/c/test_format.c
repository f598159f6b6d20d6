// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Nothing is read beyond a record or a name, whatever the bound spec says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "output/render.h"

/* A record of 16 bytes, of which the columns or options that %s says read the last 8. */
#define RECORD(columns, options)                                                                   \
	"{\"bpfduet\":1,\"tool\":\"t\",\"version\":\"1\",\"help\":\"\",\"options\":[" options      \
	"],\"events\":{\"map\":\"m\",\"size\":16,\"fields\":["                                     \
	"{\"name\":\"n\",\"offset\":0,\"size\":4,\"kind\":\"uint\"},"                              \
	"{\"name\":\"s\",\"offset\":8,\"size\":8,\"kind\":\"string\"}],\"columns\":[" columns      \
	"]}}"

/* What a tool prints for one record of `n` bytes; false if it is too short to be one. */
static bool print(const char *text, const char *argument, const void *record, size_t n,
		  struct buf *out)
{
	char *argv[] = { "--one", (char *)argument };
	const struct run_clock clock = { 0 };
	struct buf error = { 0 };
	struct renderer renderer;
	struct options options;
	struct spec *spec;
	uint8_t *exact;
	bool taken;

	spec = spec__parse(text, strlen(text), &error);
	buf__putc(&error, '\0');
	if (!spec)
		fail_msg("%s", error.data);
	assert_int_equal(options__parse(&options, spec, argument ? 2 : 0, argv, out, &error),
			 OPTIONS_RUN);
	assert_true(renderer__init(&renderer, spec, &options, &clock, out, &error));
	/* A block of exactly that size lets the sanitizers see a read beyond it. */
	exact = malloc(n);
	assert_non_null(exact);
	memcpy(exact, record, n);
	taken = renderer__event(&renderer, exact, n);
	buf__putc(out, '\0');
	free(exact);
	renderer__free(&renderer);
	options__free(&options);
	spec__free(spec);
	buf__free(&error);
	return taken;
}

/* Names of signals that do not begin with SIG are shown whole. */
static void test_exit_names(void **state)
{
	static const char text[] = RECORD(
		"{\"name\":\"n\",\"offset\":0,\"size\":4,\"kind\":\"uint\",\"heading\":\"N\","
		"\"format\":\"exit\",\"values\":{\"1\":\"\",\"2\":\"X\",\"3\":\"SIG\","
		"\"4\":\"SIGILL\"}}",
		"");
	static const char *const lines[] = { "signal 1 ()\n", "signal 2 (X)\n", "signal 3 ()\n",
					     "signal 4 (ILL)\n", "signal 5 (unknown)\n" };
	struct buf out = { 0 };
	uint32_t record[4];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		memset(record, 0, sizeof(record));
		record[0] = (uint32_t)i + 1;
		out.len = 0;
		assert_true(print(text, NULL, record, sizeof(record), &out));
		assert_string_equal(out.data, lines[i]);
	}
	buf__free(&out);
}

/* A record may end in its last string, but not before a number that lies in that. */
static void test_short_records(void **state)
{
	static const char *const texts[][2] = {
		{ RECORD("{\"name\":\"n\",\"offset\":0,\"size\":4,\"kind\":\"uint\","
			 "\"heading\":\"N\",\"format\":\"percent\",\"whole\":"
			 "{\"name\":\"w\",\"offset\":8,\"size\":8,\"kind\":\"uint\"}}",
			 ""),
		  NULL },
		{ RECORD("", "{\"name\":\"one\",\"type\":\"numbers\",\"match\":{\"how\":\"one_of\","
			     "\"name\":\"w\",\"offset\":8,\"size\":8,\"kind\":\"uint\"}}"),
		  "5" },
	};
	static const uint8_t record[16] = { 0 };
	struct buf out = { 0 };
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (n = 1; n <= sizeof(record); n++)
			assert_int_equal(print(texts[i][0], texts[i][1], record, n, &out),
					 n == sizeof(record));
	}
	/* The string itself is no reason. */
	assert_true(print(RECORD("", ""), NULL, record, 8, &out));
	buf__free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_names),
		cmocka_unit_test(test_short_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
