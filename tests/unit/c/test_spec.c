// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spec/spec.h"

/* One of everything. */
static const char whole[] =
	"{\"bpfduet\":1,\"tool\":\"t\",\"version\":\"1\",\"help\":\"h\\n\","
	"\"requires\":[\"tracepoint:a:b\"],\"banner\":[{\"text\":\"x\",\"when\":[\"!pid\"]}],"
	"\"arguments\":[\"pid\"],\"counters\":[{\"map\":\"m\",\"event\":\"cpu-cycles\"}],"
	"\"programs\":[{\"name\":\"p\",\"when\":[\"pid\"],\"fallback\":[\"q\"],"
	"\"target\":\"x:y\",\"process\":\"{pid}\",\"direction\":\"egress\"}],"
	"\"options\":[{\"name\":\"pid\",\"short\":\"p\",\"type\":\"int\",\"min\":1,"
	"\"max\":\"18446744073709551615\",\"default\":7,"
	"\"config\":{\"name\":\"c\",\"offset\":0,\"size\":8,\"kind\":\"uint\"}},"
	"{\"name\":\"kind\",\"type\":\"choice\",\"choices\":{\"A\":1,\"B\":\"-2\"}},"
	"{\"name\":\"name\",\"type\":\"string\",\"match\":{\"how\":\"regex\",\"format\":\"string\","
	"\"name\":\"s\",\"offset\":8,\"size\":8,\"kind\":\"string\",\"count\":0}}],"
	"\"configs\":[{\"name\":\"c\",\"offset\":0,\"size\":8,\"kind\":\"uint\"}],"
	"\"events\":{\"map\":\"events\",\"transport\":\"perf\",\"size\":16,\"fields\":["
	"{\"name\":\"n\",\"offset\":0,\"size\":8,\"kind\":\"uint\",\"count\":0},"
	"{\"name\":\"s\",\"offset\":8,\"size\":8,\"kind\":\"string\"}],"
	"\"columns\":[{\"name\":\"n\",\"offset\":0,\"size\":8,\"kind\":\"uint\",\"heading\":\"N\","
	"\"format\":\"enum\",\"width\":6,\"align\":\"right\",\"gap\":2,\"when\":[\"pid\"],"
	"\"values\":{\"9\":\"nine\",\"-1\":\"minus\",\"2\":\"two\"},\"of\":\"event\"}]},"
	"\"reports\":[{\"name\":\"r\",\"map\":\"m\",\"kind\":\"table\",\"map_kind\":\"hash\","
	"\"percpu\":true,\"entries\":64,\"clear\":true,\"key\":{\"size\":4,\"fields\":["
	"{\"name\":\"key\",\"offset\":0,\"size\":4,\"kind\":\"uint\"}]},\"value\":{\"size\":8,"
	"\"fields\":[{\"name\":\"value\",\"offset\":0,\"size\":8,\"kind\":\"uint\"}]},"
	"\"columns\":[],\"sort\":[{\"when\":[],\"of\":\"value\",\"name\":\"value\",\"offset\":0,"
	"\"size\":8,\"kind\":\"uint\"}]}],\"trace_pipe\":null}";

static struct spec *parse(const char *text, struct buf *error)
{
	size_t n = strlen(text);
	struct spec *spec;
	char *exact;

	/* A block of exactly that size lets the sanitizers see a read beyond it. */
	exact = malloc(n ? n : 1);
	assert_non_null(exact);
	memcpy(exact, text, n);
	spec = spec__parse(exact, n, error);
	free(exact);
	return spec;
}

static void test_whole(void **state)
{
	struct buf error = { 0 };
	struct spec *spec = parse(whole, &error);

	(void)state;
	assert_non_null(spec);
	assert_int_equal(error.len, 0);
	assert_string_equal(spec->tool, "t");
	assert_int_equal(spec->n_options, 3);
	assert_true(spec->options[0].max == UINT64_MAX);
	assert_string_equal(spec->options[0].preset, "7");
	assert_true(spec->options[1].choices.list[1].number == -2);
	assert_int_equal(spec->options[2].match, MATCH_REGEX);
	assert_int_equal(spec->arguments[0], 0);
	assert_string_equal(spec->counters[0].event, "cpu-cycles");
	assert_ptr_equal(spec__find_program(spec, "p"), &spec->programs[0]);
	assert_null(spec__find_program(spec, "q"));
	assert_string_equal(spec->programs[0].fallback[0], "q");
	assert_string_equal(spec->programs[0].process, "{pid}");
	assert_null(spec->programs[0].interface);
	assert_true(spec->programs[0].egress);
	assert_true(spec->events.perf);
	assert_true(spec->events.columns.list[0].right);
	/* A record may end in its last string. */
	assert_int_equal(spec->events.least, 8);
	assert_string_equal(names__find(&spec->events.columns.list[0].values, -1), "minus");
	assert_string_equal(names__find(&spec->events.columns.list[0].values, 9), "nine");
	assert_null(names__find(&spec->events.columns.list[0].values, 3));
	assert_true(spec->reports[0].percpu);
	assert_int_equal(spec->reports[0].sorts[0].of, PART_VALUE);
	assert_false(spec->trace_pipe.present);
	assert_non_null(spec__find_config(spec, "c"));
	assert_null(spec__find_config(spec, "d"));
	spec__free(spec);
	buf__free(&error);
}

/* Cut off anywhere, it is refused with one sentence. */
static void test_truncated(void **state)
{
	struct buf error = { 0 };
	char *text = strdup(whole);
	size_t n;

	(void)state;
	assert_non_null(text);
	for (n = strlen(text) - 1; n > 0; n--) {
		text[n] = '\0';
		error.len = 0;
		assert_null(parse(text, &error));
		assert_true(error.len > 0);
		assert_null(memchr(error.data, '\n', error.len));
	}
	free(text);
	buf__free(&error);
}

/* Any byte replaced: refused or not, but never a crash. */
static void test_damaged(void **state)
{
	static const char damage[] = "\"{}[]:,0-9x\\\xff";
	struct buf error = { 0 };
	char *text = strdup(whole);
	size_t i, j;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < sizeof(whole) - 1; i++) {
		for (j = 0; j < sizeof(damage) - 1; j++) {
			text[i] = damage[j];
			error.len = 0;
			spec__free(parse(text, &error));
		}
		text[i] = whole[i];
	}
	free(text);
	buf__free(&error);
}

/* Each replaces one piece of the whole with something that must be refused. */
static void test_refused(void **state)
{
	static const char *const cases[][3] = {
		{ "\"bpfduet\":1", "\"bpfduet\":2", "version is not 1" },
		{ "\"tool\":\"t\"", "\"tool\":5", "'tool' is not a string" },
		{ "\"when\":[\"!pid\"]", "\"when\":[\"!pod\"]", "names no option" },
		{ "\"arguments\":[\"pid\"]", "\"arguments\":[\"pod\"]", "cannot name 'pod'" },
		{ "\"type\":\"int\",", "", "cannot name 'pid'" },
		{ "\"how\":\"regex\"", "\"how\":\"one_of\"", "a field of another kind" },
		{ "\"direction\":\"egress\"", "\"direction\":\"up\"", "'direction' cannot be" },
		{ "\"event\":\"cpu-cycles\"", "\"x\":1", "'event' is missing" },
		{ "\"width\":6", "\"width\":-6", "'width' is out of range" },
		{ "\"width\":6", "\"width\":6.5", "'width' is not a whole number" },
		{ "\"width\":6", "\"width\":100000000000000000000", "too big integer" },
		{ "\"format\":\"enum\"", "\"format\":\"frob\"", "'format' cannot be 'frob'" },
		{ "\"format\":\"enum\"", "\"format\":\"ipv6\"", "cannot be shown as 'ipv6'" },
		{ "\"format\":\"enum\"", "\"format\":\"string\"", "cannot be shown as 'string'" },
		{ "\"format\":\"enum\"", "\"format\":\"percent\"", "cannot be shown as 'percent'" },
		{ "\"transport\":\"perf\",\"size\":16", "\"transport\":\"perf\",\"size\":15",
		  "lies outside" },
		{ "\"transport\":\"perf\"", "\"transport\":\"pigeon\"", "'transport' cannot be" },
		{ "\"offset\":8,\"size\":8", "\"offset\":4294967288,\"size\":8", "out of range" },
		{ "\"key\":{\"size\":4", "\"key\":{\"size\":0", "has no size" },
		{ "\"values\":{\"9\"", "\"values\":{\"nine\"", "bad entry" },
		{ "\"B\":\"-2\"", "\"B\":\"two\"", "bad entry" },
		{ "\"of\":\"value\"", "\"of\":\"middle\"", "'of' cannot be 'middle'" },
		{ "\"name\":\"kind\"", "\"name\":\"pid\"", "two options are called 'pid'" },
		/* of itself, of nothing, of one that gives */
		{ "\"name\":\"kind\"", "\"name\":\"kind\",\"gives\":[\"kind\",\"A\"]",
		  "'kind' cannot give 'kind'" },
		{ "\"name\":\"kind\"", "\"name\":\"kind\",\"gives\":[\"kinds\",\"A\"]",
		  "'kind' cannot give 'kinds'" },
		{ "\"short\":\"p\"",
		  "\"short\":\"p\",\"gives\":[\"k\",\"A\"]},{\"name\":\"k\",\"gives\":[\"kind\","
		  "\"A\"]",
		  "'pid' cannot give 'k'" },
		{ "\"size\":8,\"kind\":\"string\"}]",
		  "\"size\":0,\"kind\":\"string\",\"count\":9}]", "array of nothing" },
		/* columns with the name of a field and another place, size or kind */
		{ "[{\"name\":\"n\",\"offset\":0", "[{\"name\":\"n\",\"offset\":1",
		  "another field 'n'" },
		{ "\"size\":8,\"kind\":\"uint\",\"heading\"",
		  "\"size\":4,\"kind\":\"uint\",\"heading\"", "another field 'n'" },
		{ "\"kind\":\"uint\",\"heading\"", "\"kind\":\"int\",\"heading\"",
		  "another field 'n'" },
		{ "\"clear\":true", "\"clear\":1", "'clear' is not true or false" },
		{ "\"size\":8,\"kind\":\"uint\",\"heading\"",
		  "\"size\":7,\"kind\":\"uint\",\"heading\"", "no size of an integer" },
		{ "h\\n", "h\\x", "invalid escape" },
		{ "h\\n", "h\\ud800", "invalid Unicode" },
		{ "h\\n", "h\\u0000", "NUL" },
		{ "null}", "null}}", "end of file expected" },
	};
	struct buf error = { 0 };
	char text[sizeof(whole) + 64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *at = strstr(whole, cases[i][0]);

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, cases[i][1],
			 at + strlen(cases[i][0]));
		error.len = 0;
		assert_null(parse(text, &error));
		buf__putc(&error, '\0');
		if (!strstr(error.data, cases[i][2]))
			fail_msg("%s: %s", cases[i][1], error.data);
	}
	buf__free(&error);
}

static void test_nesting(void **state)
{
	struct buf text = { 0 }, error = { 0 };

	(void)state;
	buf__repeat(&text, '[', 100000);
	buf__putc(&text, '\0');
	assert_null(parse(text.data, &error));
	assert_true(error.len > 0);
	buf__free(&text);
	buf__free(&error);
}

static void test_load(void **state)
{
	const uint8_t bytes[] = { 0xaa, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	struct field f = { .offset = 1, .size = 2, .kind = FIELD_INT };

	(void)state;
	assert_true((int64_t)field__load(&f, bytes, 0) == -2);
	assert_true(field__bits(&f, bytes) == 0xfffe);
	f.kind = FIELD_UINT;
	assert_true(field__load(&f, bytes, 0) == 0xfffe);
	f.size = 8;
	f.kind = FIELD_INT;
	assert_true((int64_t)field__load(&f, bytes, 0) == -2);
	f.offset = 9;
	f.size = 1;
	f.kind = FIELD_BOOL;
	assert_true(field__load(&f, bytes, 0) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nesting), cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
