/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_BUF_H
#define BPFDUET_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A growing byte buffer. Appending never fails visibly: when memory runs out `failed` is set,
 * what does not fit is dropped, and whoever writes the buffer out checks `failed` once.
 */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf__free(struct buf *b);

/* Make room for n more bytes; false (and b->failed) if there is no memory. */
bool buf__grow(struct buf *b, size_t n);

static inline bool buf__reserve(struct buf *b, size_t n)
{
	return b->cap - b->len >= n || buf__grow(b, n);
}

static inline void buf__write(struct buf *b, const void *p, size_t n)
{
	if (n && buf__reserve(b, n)) {
		memcpy(b->data + b->len, p, n);
		b->len += n;
	}
}

static inline void buf__putc(struct buf *b, char c)
{
	if (buf__reserve(b, 1))
		b->data[b->len++] = c;
}

static inline void buf__puts(struct buf *b, const char *s)
{
	buf__write(b, s, strlen(s));
}

void buf__repeat(struct buf *b, char c, size_t n);
void buf__printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void buf__unsigned(struct buf *b, uint64_t v);
void buf__signed(struct buf *b, int64_t v);
void buf__hex(struct buf *b, uint64_t v);
/* At least `digits` digits, filled with zeros. */
void buf__octal(struct buf *b, uint64_t v, unsigned int digits);
void buf__zero_filled(struct buf *b, uint64_t v, unsigned int digits);

/*
 * v / 10^scale with `digits` after the point, as printf("%.*f") prints the double nearest to the
 * quotient. `digits` is at most BUF_MAX_DIGITS.
 */
#define BUF_MAX_DIGITS 20
void buf__decimal(struct buf *b, bool negative, uint64_t v, unsigned int scale,
		  unsigned int digits);

/*
 * Length of the valid UTF-8 sequence at s (at most n bytes), its code point in *cp;
 * 0 if there is none.
 */
size_t utf8__decode(const void *s, size_t n, uint32_t *cp);

/* The other way; how many bytes that made. */
size_t utf8__encode(char to[4], uint32_t cp);

/* Whether a code point may be shown on a terminal as it is (docs/output.md, Escaping). */
bool utf8__printable(uint32_t cp);

/* Untrusted bytes as text: what is not printable UTF-8 becomes \xNN, byte by byte. */
void buf__escaped(struct buf *b, const void *s, size_t n);

/* The same bytes as a JSON string, quotes included: what is not printable is \uXXXX. */
void buf__json_string(struct buf *b, const void *s, size_t n);

/* Pad what was appended since `start` to `width` bytes. */
void buf__pad(struct buf *b, size_t start, size_t width, bool right);

/* Quote what was appended since `start` for CSV, if it needs it. */
void buf__csv_quote(struct buf *b, size_t start);

#endif
