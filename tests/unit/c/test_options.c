// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spec/options.h"

#define MAX_ARGS 8

static const char spec_text[] =
	"{\"bpfduet\":1,\"tool\":\"t\",\"version\":\"1.2\",\"help\":\"the help\\n\",\"options\":["
	"{\"name\":\"pid\",\"short\":\"p\",\"type\":\"int\",\"min\":1,\"max\":42,"
	"\"config\":{\"name\":\"pid\",\"offset\":0,\"size\":4,\"kind\":\"uint\"}},"
	"{\"name\":\"timestamp\",\"short\":\"T\",\"type\":\"flag\"},"
	"{\"name\":\"duration\",\"short\":\"d\",\"type\":\"int\",\"role\":\"duration\","
	"\"min\":\"-9223372036854775808\",\"max\":\"9223372036854775807\"},"
	"{\"name\":\"dump\",\"type\":\"flag\"},"
	"{\"name\":\"format\",\"type\":\"choice\",\"role\":\"format\",\"default\":\"text\","
	"\"choices\":{\"text\":0,\"json\":1,\"csv\":2}},"
	"{\"name\":\"comm\",\"type\":\"string\","
	"\"config\":{\"name\":\"comm\",\"offset\":8,\"size\":16,\"kind\":\"string\"}},"
	"{\"name\":\"user\",\"type\":\"user\",\"min\":0,\"max\":4294967295},"
	"{\"name\":\"errno\",\"type\":\"errno\",\"choices\":{\"EPERM\":1,\"ENOENT\":2},"
	"\"config\":{\"name\":\"errno\",\"offset\":24,\"size\":4,\"kind\":\"int\"},"
	"\"min\":-2147483648,\"max\":2147483647},"
	"{\"name\":\"signal\",\"type\":\"signal\",\"choices\":{\"SIGTERM\":15}},"
	"{\"name\":\"syscall\",\"type\":\"syscall\",\"choices\":{\"read\":0}},"
	"{\"name\":\"flags\",\"short\":\"f\",\"type\":\"flags\",\"repeat\":true,"
	"\"choices\":{\"A\":1,\"B\":2,\"C\":4,\"D\":8,\"E\":16,\"F\":32,\"G\":64,\"H\":128,"
	"\"I\":256},\"config\":{\"name\":\"flags\",\"offset\":28,\"size\":4,\"kind\":\"uint\"}},"
	"{\"name\":\"name\",\"type\":\"string\",\"match\":{\"how\":\"regex\",\"format\":\"string\","
	"\"name\":\"s\",\"offset\":0,\"size\":8,\"kind\":\"string\"}},"
	"{\"name\":\"buffer-pages\",\"type\":\"int\",\"role\":\"buffer\",\"min\":1,\"max\":1024},"
	"{\"name\":\"help\",\"short\":\"h\",\"type\":\"flag\",\"role\":\"help\"},"
	"{\"name\":\"version\",\"type\":\"flag\",\"role\":\"version\"}],"
	"\"trace_pipe\":{}}";

struct fixture {
	struct spec *spec;
	struct options options;
	struct buf out, err;
	char *argv[MAX_ARGS + 1];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->spec = spec__parse(spec_text, sizeof(spec_text) - 1, &f->err);
	if (!f->spec)
		fail_msg("%.*s", (int)f->err.len, f->err.data);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	options__free(&f->options);
	spec__free(f->spec);
	buf__free(&f->out);
	buf__free(&f->err);
	free(f);
	return 0;
}

/* Parse a NULL-ended list of words. */
static enum options_result parse(struct fixture *f, const char *const *words)
{
	int argc = 0;

	options__free(&f->options);
	f->out.len = f->err.len = 0;
	for (; words[argc]; argc++)
		f->argv[argc] = (char *)words[argc];
	f->argv[argc] = NULL;
	return options__parse(&f->options, f->spec, argc, f->argv, &f->out, &f->err);
}

static struct option_value *value(struct fixture *f, const char *name)
{
	return &f->options.values[spec__find_option(f->spec, name)];
}

static void test_sentences(void **state)
{
	static const struct {
		const char *words[4], *sentence;
	} cases[] = {
		{ { "-Z" }, "unknown option '-Z'" },
		{ { "-TZ" }, "unknown option '-Z'" },
		{ { "--foo=bar" }, "unknown option '--foo'" },
		{ { "--pid" }, "option '--pid' needs an argument" },
		{ { "-Tp" }, "option '--pid' needs an argument" },
		{ { "--timestamp=1" }, "option '--timestamp' takes no argument" },
		{ { "--time=" }, "option '--timestamp' takes no argument" },
		{ { "--du" }, "option '--du' is ambiguous" },
		{ { "--pid", "abc" }, "'abc' is not a number for '--pid'" },
		{ { "-p", "" }, "'' is not a number for '--pid'" },
		{ { "-p 1" }, "' 1' is not a number for '--pid'" },
		{ { "-p0x" }, "'0x' is not a number for '--pid'" },
		{ { "-p", "99" }, "'99' is out of range for '--pid' (1 to 42)" },
		{ { "-p-0x1" }, "'-0x1' is out of range for '--pid' (1 to 42)" },
		{ { "-d", "99999999999999999999999999999999999999999999" },
		  "'99999999999999999999999999999999999999999999' is out of range for "
		  "'--duration' (-9223372036854775808 to 9223372036854775807)" },
		/* 2^128 + 5 */
		{ { "-p", "340282366920938463463374607431768211461" },
		  "'340282366920938463463374607431768211461' is out of range for '--pid' "
		  "(1 to 42)" },
		{ { "--format", "X" }, "'X' is not a value of '--format' (text, json, csv)" },
		{ { "-f", "A|X" }, "'X' is not a value of '--flags'" },
		{ { "--user", "no-such-user" }, "no such user 'no-such-user'" },
		{ { "--errno", "EX" }, "no such errno 'EX'" },
		{ { "--syscall", "raed" }, "no such syscall 'raed'" },
		{ { "--signal", "term" }, "no such signal 'term'" },
		{ { "--comm", "sixteen-bytes-xx" },
		  "'sixteen-bytes-xx' is too long for '--comm' (at most 15 bytes)" },
		{ { "--name", "a(" }, "bad pattern 'a(' for '--name'" },
		{ { "file" }, "unexpected argument 'file'" },
		{ { "-" }, "unexpected argument '-'" },
		{ { "x\x1b[31m\xff" }, "unexpected argument 'x\\x1b[31m\\xff'" },
		{ { "-\xc3\xa9" }, "unknown option '-\\xc3'" },
		{ { "--buffer-pages", "3" }, "'3' is not a power of two for '--buffer-pages'" },
		{ { "--" }, "no command after '--'" },
		{ { "-Z", "--help" }, "unknown option '-Z'" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(f, cases[i].words), OPTIONS_WRONG);
		buf__putc(&f->err, '\0');
		assert_string_equal(f->err.data, cases[i].sentence);
		assert_int_equal(f->out.len, 0);
	}
}

static void test_spellings(void **state)
{
	static const char *const cases[][4] = {
		{ "-p12" },	      { "-p", "12" },	   { "-Tp12" }, { "--pid=12" },
		{ "--pid", "12" },    { "--pi=12" },	   { "-p0xc" }, { "-p+12" },
		{ "-p", "99", NULL }, { "-p5", "-p0012" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i == 8) { /* the last one wins, but a wrong one ends it */
			assert_int_equal(parse(f, cases[i]), OPTIONS_WRONG);
			continue;
		}
		assert_int_equal(parse(f, cases[i]), OPTIONS_RUN);
		assert_true(value(f, "pid")->given);
		assert_true(value(f, "pid")->number == 12);
	}
}

static void test_values(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, (const char *[]){ "--errno=-2", "--signal=TERM", "--user=root",
						    "-fA|C", "-f", "B", NULL }),
			 OPTIONS_RUN);
	assert_true(value(f, "errno")->number == 2);
	assert_true(value(f, "signal")->number == 15);
	assert_true(value(f, "user")->number == 0);
	assert_true(value(f, "flags")->number == 7);
	assert_false(value(f, "format")->given);
	assert_true(options__role_number(&f->options, ROLE_FORMAT, 9) == 0);
	assert_true(options__role_number(&f->options, ROLE_DURATION, 9) == 9);
	assert_null(options__role_text(&f->options, ROLE_CGROUP));
}

static void test_command(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, (const char *[]){ "-T", "--", "ls", "-p", "--", NULL }),
			 OPTIONS_RUN);
	assert_non_null(f->options.command);
	assert_string_equal(f->options.command[0], "ls");
	assert_string_equal(f->options.command[2], "--");
	assert_null(f->options.command[3]);
	assert_false(value(f, "pid")->given);
	assert_int_equal(parse(f, (const char *[]){ "-T", NULL }), OPTIONS_RUN);
	assert_null(f->options.command);
}

static void test_replies(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, (const char *[]){ "-Th", "-Z", NULL }), OPTIONS_DONE);
	assert_int_equal(f->out.len, strlen("the help\n"));
	assert_int_equal(parse(f, (const char *[]){ "--version", NULL }), OPTIONS_DONE);
	buf__putc(&f->out, '\0');
	assert_string_equal(f->out.data, "t 1.2\n");
}

static void test_conditions(void **state)
{
	struct fixture *f = *state;
	struct condition terms[2] = {
		{ .option = (uint32_t)spec__find_option(f->spec, "timestamp") },
		{ .option = (uint32_t)spec__find_option(f->spec, "format"), .negated = true },
	};
	struct conditions both = { .list = terms, .n = 2 }, none = { 0 };

	assert_int_equal(parse(f, (const char *[]){ "-T", NULL }), OPTIONS_RUN);
	assert_true(options__hold(&f->options, &both));
	/* A default is not given; the default's own value, typed, is. */
	assert_int_equal(parse(f, (const char *[]){ "-T", "--format=text", NULL }), OPTIONS_RUN);
	assert_false(options__hold(&f->options, &both));
	assert_int_equal(parse(f, (const char *[]){ NULL }), OPTIONS_RUN);
	assert_false(options__hold(&f->options, &both));
	assert_true(options__hold(&f->options, &none));
}

static void test_configure(void **state)
{
	struct fixture *f = *state;
	uint8_t image[32];
	uint32_t number;

	memset(image, 0xee, sizeof(image));
	assert_int_equal(
		parse(f, (const char *[]){ "-p7", "--comm", "sh", "--errno", "ENOENT", NULL }),
		OPTIONS_RUN);
	assert_true(options__configure(&f->options, image, sizeof(image)));
	memcpy(&number, image, sizeof(number));
	assert_int_equal(number, 7);
	assert_int_equal(image[4], 0xee);
	assert_memory_equal(image + 8, "sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(image[24], 2);
	assert_int_equal(image[28], 0xee);
	/* An image that is too small is not written beyond. */
	assert_false(options__configure(&f->options, image, 3));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sentences), TEST(test_spellings), TEST(test_values),
		TEST(test_command),   TEST(test_replies),   TEST(test_conditions),
		TEST(test_configure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
