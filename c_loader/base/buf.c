// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf__free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

bool buf__grow(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 1024;
	char *data;

	if (b->failed || n > SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return false;
	}
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf__repeat(struct buf *b, char c, size_t n)
{
	if (n && buf__reserve(b, n)) {
		memset(b->data + b->len, c, n);
		b->len += n;
	}
}

void buf__printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0) {
		b->failed = true;
	} else if (buf__reserve(b, (size_t)n + 1)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

/* Enough for 2^64 in octal. */
#define NUMBER_ROOM 24

void buf__unsigned(struct buf *b, uint64_t v)
{
	char text[NUMBER_ROOM], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf__write(b, p, (size_t)(text + sizeof(text) - p));
}

void buf__signed(struct buf *b, int64_t v)
{
	if (v < 0)
		buf__putc(b, '-');
	buf__unsigned(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void buf__hex(struct buf *b, uint64_t v)
{
	char text[NUMBER_ROOM], *p = text + sizeof(text);

	do {
		*--p = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	*--p = 'x';
	*--p = '0';
	buf__write(b, p, (size_t)(text + sizeof(text) - p));
}

void buf__octal(struct buf *b, uint64_t v, unsigned int digits)
{
	char text[NUMBER_ROOM], *p = text + sizeof(text);
	size_t n;

	do {
		*--p = (char)('0' + (v & 7));
		v >>= 3;
	} while (v);
	n = (size_t)(text + sizeof(text) - p);
	if (digits > n)
		buf__repeat(b, '0', digits - n);
	buf__write(b, p, n);
}

void buf__zero_filled(struct buf *b, uint64_t v, unsigned int digits)
{
	size_t start = b->len, n;

	buf__unsigned(b, v);
	n = b->len - start;
	if (digits > n && buf__reserve(b, digits - n)) {
		memmove(b->data + start + digits - n, b->data + start, n);
		memset(b->data + start, '0', digits - n);
		b->len = start + digits;
	}
}

static const uint64_t powers_of_ten[] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
};

void buf__decimal(struct buf *b, bool negative, uint64_t v, unsigned int scale, unsigned int digits)
{
	char exact[64], text[64];
	uint64_t unit, rest;
	int n;

	/*
	 * Below 2^50 the double is so near to the true quotient that rounding the integer gives
	 * printf's digits, except at a tie, where the double's own error decides.
	 */
	if (v < 1ULL << 50 && digits <= scale && scale < 10) {
		unit = powers_of_ten[scale - digits];
		rest = v % unit;
		if (unit == 1 || rest * 2 != unit) {
			v = v / unit + (rest * 2 > unit);
			if (negative)
				buf__putc(b, '-');
			unit = powers_of_ten[digits];
			buf__unsigned(b, v / unit);
			if (digits) {
				buf__putc(b, '.');
				buf__zero_filled(b, v % unit, digits);
			}
			return;
		}
	}
	/* strtod is correctly rounded: it makes the nearest double of the exact decimal. */
	snprintf(exact, sizeof(exact), "%s%llue-%u", negative ? "-" : "", (unsigned long long)v,
		 scale);
	n = snprintf(text, sizeof(text), "%.*f", (int)digits, strtod(exact, NULL));
	buf__write(b, text, (size_t)n);
}

size_t utf8__decode(const void *s, size_t n, uint32_t *cp)
{
	const uint8_t *p = s;
	uint32_t c, least;
	size_t len, i;

	if (!n)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] < 0xe0) {
		len = 2;
		c = p[0] & 0x1f;
		least = 0x80;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		len = 3;
		c = p[0] & 0x0f;
		least = 0x800;
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		len = 4;
		c = p[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (n < len)
		return 0;
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*cp = c;
	return len;
}

size_t utf8__encode(char to[4], uint32_t cp)
{
	size_t n = 0;

	if (cp < 0x80) {
		to[n++] = (char)cp;
		return n;
	}
	if (cp >= 0x10000) {
		to[n++] = (char)(0xf0 | cp >> 18);
		to[n++] = (char)(0x80 | (cp >> 12 & 0x3f));
	} else if (cp >= 0x800) {
		to[n++] = (char)(0xe0 | cp >> 12);
	}
	to[n++] = (char)(cp >= 0x800 ? 0x80 | (cp >> 6 & 0x3f) : 0xc0 | cp >> 6);
	to[n++] = (char)(0x80 | (cp & 0x3f));
	return n;
}

bool utf8__printable(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x0000, 0x001f }, { 0x007f, 0x009f },	  { 0x200b, 0x200f }, { 0x2026, 0x2026 },
		{ 0x2028, 0x202e }, { 0x2060, 0x206f },	  { 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};
	size_t i;

	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (cp >= hidden[i].first && cp <= hidden[i].last)
			return false;
	}
	return (cp & 0xfffe) != 0xfffe;
}

static void put_hex_byte(struct buf *b, const char *prefix, uint8_t c)
{
	buf__puts(b, prefix);
	buf__putc(b, "0123456789abcdef"[c >> 4]);
	buf__putc(b, "0123456789abcdef"[c & 15]);
}

void buf__escaped(struct buf *b, const void *s, size_t n)
{
	const uint8_t *p = s, *end = p + n, *run;
	size_t len, i;
	uint32_t cp;

	while (p < end) {
		/* Nearly every name is plain ASCII: copy runs of it. */
		for (run = p; p < end && *p >= 0x20 && *p < 0x7f; p++)
			;
		buf__write(b, run, (size_t)(p - run));
		if (p == end)
			break;
		len = utf8__decode(p, (size_t)(end - p), &cp);
		if (len && utf8__printable(cp)) {
			buf__write(b, p, len);
		} else {
			len = len ? len : 1;
			for (i = 0; i < len; i++)
				put_hex_byte(b, "\\x", p[i]);
		}
		p += len;
	}
}

/* \uXXXX; beyond U+FFFF as UTF-16's two. */
static void put_json_escape(struct buf *b, uint32_t cp)
{
	if (cp > 0xffff) {
		put_json_escape(b, 0xd800 + ((cp - 0x10000) >> 10));
		put_json_escape(b, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		return;
	}
	put_hex_byte(b, "\\u", (uint8_t)(cp >> 8));
	put_hex_byte(b, "", (uint8_t)cp);
}

void buf__json_string(struct buf *b, const void *s, size_t n)
{
	const uint8_t *p = s, *end = p + n, *run;
	size_t len;
	uint32_t cp;

	buf__putc(b, '"');
	while (p < end) {
		for (run = p; p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\'; p++)
			;
		buf__write(b, run, (size_t)(p - run));
		if (p == end)
			break;
		len = utf8__decode(p, (size_t)(end - p), &cp);
		if (!len) {
			put_hex_byte(b, "\\\\x", *p);
			len = 1;
		} else if (cp == '"' || cp == '\\') {
			buf__putc(b, '\\');
			buf__putc(b, (char)cp);
		} else if (!utf8__printable(cp)) {
			put_json_escape(b, cp);
		} else {
			buf__write(b, p, len);
		}
		p += len;
	}
	buf__putc(b, '"');
}

void buf__pad(struct buf *b, size_t start, size_t width, bool right)
{
	size_t n = b->len - start, blanks;

	if (n >= width)
		return;
	blanks = width - n;
	if (!buf__reserve(b, blanks))
		return;
	if (right) {
		memmove(b->data + start + blanks, b->data + start, n);
		memset(b->data + start, ' ', blanks);
	} else {
		memset(b->data + b->len, ' ', blanks);
	}
	b->len += blanks;
}

void buf__csv_quote(struct buf *b, size_t start)
{
	size_t n = b->len - start, quotes = 0, i, to;
	bool needed = false;
	char c;

	for (i = start; i < b->len; i++) {
		c = b->data[i];
		quotes += c == '"';
		needed |= c == '"' || c == ',' || c == '\n' || c == '\r';
	}
	if (!needed || !buf__reserve(b, quotes + 2))
		return;
	/* From the end, so that nothing is overwritten before it was moved. */
	to = start + n + quotes + 2;
	b->len = to;
	b->data[--to] = '"';
	for (i = start + n; i-- > start;) {
		c = b->data[i];
		b->data[--to] = c;
		if (c == '"')
			b->data[--to] = '"';
	}
	b->data[--to] = '"';
}
