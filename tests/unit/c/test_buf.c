// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static void expect(struct buf *b, const char *text)
{
	assert_false(b->failed);
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(b->data, text, b->len);
	b->len = 0;
}

/* UTF-8 of a code point, whatever it is. */
static size_t encode(uint32_t c, uint8_t *to)
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* docs/output.md, Escaping, written a second time. */
static bool shown_as_it_is(uint32_t c)
{
	return !(c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) ||
		 c == 0x2026 || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
		 c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f) ||
		 (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xffff) == 0xfffe || (c & 0xffff) == 0xffff ||
		 (c >= 0xd800 && c <= 0xdfff));
}

static void test_every_code_point(void **state)
{
	struct buf b = { 0 };
	char wanted[32];
	uint8_t utf8[4];
	uint32_t c;
	size_t n, i;

	(void)state;
	for (c = 0; c <= 0x10ffff; c++) {
		n = encode(c, utf8);
		for (i = 0; i < n; i++)
			sprintf(wanted + 4 * i, "\\x%02x", utf8[i]);
		if (shown_as_it_is(c)) {
			memcpy(wanted, utf8, n);
			wanted[n] = '\0';
		}
		b.len = 0;
		buf__escaped(&b, utf8, n);
		if (b.len != strlen(wanted) || memcmp(b.data, wanted, b.len))
			fail_msg("U+%04X is shown as %.*s", c, (int)b.len, b.data);
	}
	buf__free(&b);
}

static void test_invalid_utf8(void **state)
{
	static const char *const cases[][2] = {
		{ "\xff", "\\xff" }, /* never a byte of UTF-8 */
		{ "a\x80z", "a\\x80z" }, /* nothing begins there */
		{ "\xc0\xaf", "\\xc0\\xaf" }, /* overlong '/' */
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
		{ "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
		{ "\xe2\x82", "\\xe2\\x82" }, /* cut off */
		{ "\xe2\x82"
		  "A",
		  "\\xe2\\x82A" },
		{ "\xe2\xc3\xa9", "\\xe2\xc3\xa9" }, /* the next one is whole */
		{ "\xc3\xa9\x1b[31m", "\xc3\xa9\\x1b[31m" },
	};
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		buf__escaped(&b, cases[i][0], strlen(cases[i][0]));
		expect(&b, cases[i][1]);
	}
	buf__free(&b);
}

/* A sequence that goes on behind the end is not one: the byte there is not looked at. */
static void test_no_read_beyond(void **state)
{
	struct buf b = { 0 };
	char *p = malloc(1);

	(void)state;
	assert_non_null(p);
	*p = (char)0xc3;
	buf__escaped(&b, p, 1);
	expect(&b, "\\xc3");
	buf__json_string(&b, p, 1);
	expect(&b, "\"\\\\xc3\"");
	free(p);
	buf__free(&b);
}

static void test_json_string(void **state)
{
	static const char bytes[] = "a\"\\\x01\x1f\x7f\t\xc2\x80\xe2\x80\x8b\xff/"
				    "\xc3\xa9\xf3\xa0\x80\x81";
	struct buf b = { 0 };

	(void)state;
	buf__json_string(&b, bytes, sizeof(bytes) - 1);
	expect(&b, "\"a\\\"\\\\\\u0001\\u001f\\u007f\\u0009\\u0080\\u200b\\\\xff/"
		   "\xc3\xa9\\udb40\\udc01\"");
	buf__free(&b);
}

static void test_numbers(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf__unsigned(&b, UINT64_MAX);
	expect(&b, "18446744073709551615");
	buf__signed(&b, INT64_MIN);
	expect(&b, "-9223372036854775808");
	buf__hex(&b, 0);
	expect(&b, "0x0");
	buf__hex(&b, UINT64_MAX);
	expect(&b, "0xffffffffffffffff");
	buf__octal(&b, 0644, 8);
	expect(&b, "00000644");
	buf__octal(&b, UINT64_MAX, 1);
	expect(&b, "1777777777777777777777");
	buf__zero_filled(&b, 42, 6);
	expect(&b, "000042");
	buf__zero_filled(&b, 1234567, 6);
	expect(&b, "1234567");
	buf__free(&b);
}

/* The short way must give what printf gives for the nearest double. */
static void test_decimal(void **state)
{
	static const unsigned int scales[] = { 0, 3, 6, 9 };
	struct buf b = { 0 };
	char exact[64], wanted[64];
	uint64_t v = 88172645463325252ULL;
	unsigned int i, digits;

	(void)state;
	for (i = 0; i < 200000; i++) {
		unsigned int scale = scales[i % 4];
		uint64_t number;

		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		number = v >> (i % 61);
		if (i % 3 == 0) /* ties are where it may go wrong */
			number = number / 1000 * 1000 + 500;
		digits = i / 7 % 10;
		snprintf(exact, sizeof(exact), "%llue-%u", (unsigned long long)number, scale);
		snprintf(wanted, sizeof(wanted), "%.*f", (int)digits, strtod(exact, NULL));
		buf__decimal(&b, false, number, scale, digits);
		expect(&b, wanted);
	}
	buf__decimal(&b, true, 100, 6, 3);
	expect(&b, "-0.000");
	buf__decimal(&b, true, 1500, 3, 0);
	expect(&b, "-2");
	buf__free(&b);
}

static void test_pad(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf__puts(&b, "ab");
	buf__pad(&b, 1, 4, false);
	expect(&b, "ab   ");
	buf__puts(&b, "ab");
	buf__pad(&b, 1, 4, true);
	expect(&b, "a   b");
	buf__puts(&b, "abcdef");
	buf__pad(&b, 0, 4, true);
	expect(&b, "abcdef");
	buf__free(&b);
}

static void test_csv_quote(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },	      { "plain text", "plain text" },	    { "a,b", "\"a,b\"" },
		{ "\"", "\"\"\"\"" }, { "say \"x\"", "\"say \"\"x\"\"\"" }, { "a\nb", "\"a\nb\"" },
	};
	struct buf b = { 0 };
	char wanted[64];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		buf__puts(&b, "x,"); /* what stands before is left as it is */
		buf__puts(&b, cases[i][0]);
		buf__csv_quote(&b, 2);
		snprintf(wanted, sizeof(wanted), "x,%s", cases[i][1]);
		expect(&b, wanted);
	}
	buf__free(&b);
}

static void test_growth(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf__repeat(&b, 'x', 100000);
	buf__putc(&b, 'y');
	assert_int_equal(b.len, 100001);
	assert_int_equal(b.data[99999], 'x');
	assert_int_equal(b.data[100000], 'y');
	/* More than there is memory for: dropped, and remembered. */
	assert_false(buf__reserve(&b, SIZE_MAX / 2));
	assert_true(b.failed);
	assert_int_equal(b.len, 100001);
	buf__free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_no_read_beyond),
		cmocka_unit_test(test_json_string),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_decimal),
		cmocka_unit_test(test_pad),
		cmocka_unit_test(test_csv_quote),
		cmocka_unit_test(test_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
