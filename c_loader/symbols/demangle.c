// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "symbols/demangle.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if __has_include(<libiberty/demangle.h>)
#include <libiberty/demangle.h>
#else
#include <demangle.h> /* where Fedora has it */
#endif

#include "base/buf.h"

/*
 * A program that is traced chooses its names, and a few bytes can stand for gigabytes, or for
 * years of work. What is beyond one of these limits is not demangled. The library has some of its
 * own: 1024 bytes for a C++ name, 1024 parts within each other for both languages.
 */
#define MAX_MANGLED 4096
#define MAX_DEMANGLED (16 << 10)
#define MAX_WAYS (1 << 20)
#define MAX_SUBSTITUTIONS 1024

#define DECIMAL "0123456789"
#define HEX DECIMAL "abcdef"
#define BASE_36 DECIMAL "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define BASE_62 BASE_36 "abcdefghijklmnopqrstuvwxyz"

typedef int demangler(const char *name, int options, demangle_callbackref callback, void *opaque);

struct answer {
	struct buf text;
	jmp_buf stop;
	bool given_up;
	bool keeps_memory; /* the library does, while it hands over a part that is not ASCII */
};

static bool is_base_62(char c)
{
	return c && strchr(BASE_62, c);
}

static bool is_ascii(const char *text, size_t len)
{
	while (len && (unsigned char)text[len - 1] < 0x80)
		len--;
	return !len;
}

/*
 * The library cannot be told to stop, but it may be left: it has no state, and its one piece of
 * memory is a Rust identifier that was not ASCII. The part after such a one is ASCII again.
 */
static void collect(const char *text, size_t len, void *opaque)
{
	struct answer *answer = opaque;

	if (!answer->given_up && len <= MAX_DEMANGLED - answer->text.len) {
		buf__write(&answer->text, text, len);
		if (!answer->text.failed)
			return;
	}
	answer->given_up = true;
	if (!answer->keeps_memory || is_ascii(text, len))
		longjmp(answer->stop, 1);
}

static bool ask(demangler *library, const char *name, struct answer *answer)
{
	answer->text.len = 0;
	if (setjmp(answer->stop))
		return false;
	return library(name, DMGL_PARAMS | DMGL_ANSI, collect, answer) && !answer->given_up;
}

/*
 * Nothing is called while the library looks for a pack in what a name repeats by substitutions
 * (S_, S0_, ...), nor while it reads a conversion's template arguments, at each level twice. So
 * count in how many ways a part can be reached. An identifier may look like a substitution; then
 * there are fewer.
 */
static bool is_cplusplus_bounded(const char *name)
{
	unsigned short uses[MAX_SUBSTITUTIONS] = { 0 };
	bool converts = strstr(name, "cv");
	uint64_t ways = 1;
	size_t digits, i, n;
	const char *p;

	for (p = name; *p && ways <= MAX_WAYS; p++) {
		if (*p == 'T' && converts) {
			digits = strspn(p + 1, DECIMAL);
			if (p[1 + digits] == '_' && p[2 + digits] == 'I')
				ways *= 2;
		}
		if (*p != 'S')
			continue;
		digits = strspn(p + 1, BASE_36);
		if (p[1 + digits] != '_')
			continue;
		for (i = 0, n = 0; i < digits && n < MAX_SUBSTITUTIONS; i++)
			n = n * 36 + (size_t)(strchr(BASE_36, p[1 + i]) - BASE_36);
		if (digits)
			n++;
		/* a name of the library's length has no such */
		if (n >= MAX_SUBSTITUTIONS)
			continue;
		ways = ways / (1 + uses[n]) * (2 + uses[n]);
		uses[n]++;
	}
	return ways <= MAX_WAYS;
}

/*
 * Nothing is called either while the library counts lifetimes that are not shown: those in the
 * place of an implementation. They come behind a type's F or D, as G and a number to base 62. No
 * more than 11 are let in. The same letters in a crate's hash (Cs, base 62, _) are no lifetimes;
 * the hash is not shown and may as well be zeros.
 */
static bool is_rust_bounded(char *name)
{
	char *p, *hash = NULL;
	size_t digits;

	for (p = name; *p; p++) {
		if (!is_base_62(*p))
			hash = NULL;
		if (p[0] == 'C' && p[1] == 's')
			hash = p + 2;
		if ((p[0] != 'F' && p[0] != 'D') || p[1] != 'G')
			continue;
		digits = strspn(p + 2, BASE_62);
		if (p[2 + digits] != '_' || !digits || (digits == 1 && strspn(p + 2, DECIMAL)))
			continue;
		if (!hash || !strspn(p + 2 + digits + 1, DECIMAL))
			return false;
		memset(hash, '0', (size_t)(p + 2 + digits - hash));
	}
	return true;
}

/* The library shows a number of more than 64 bits without its first digit. */
static bool has_wide_number(const char *name)
{
	size_t digits;

	for (; *name; name += digits ? digits : 1) {
		digits = strspn(name, HEX);
		if (digits > 16 && name[digits] == '_')
			return true;
	}
	return false;
}

char *demangle(const char *name)
{
	size_t len = strnlen(name, MAX_MANGLED + 1);
	char copy[MAX_MANGLED + 1], *result = NULL;
	struct answer answer = { 0 };
	bool known = false;

	if (len > MAX_MANGLED)
		return NULL;
	memcpy(copy, name, len + 1);
	if (!strncmp(name, "_R", 2)) {
		answer.keeps_memory = true;
		known = !has_wide_number(copy) && is_rust_bounded(copy) &&
			ask(rust_demangle_callback, copy, &answer);
	} else if (!strncmp(name, "_Z", 2)) {
		/* Rust's older names are C++ names, too. */
		known = ask(rust_demangle_callback, name, &answer) ||
			(is_cplusplus_bounded(name) &&
			 ask(cplus_demangle_v3_callback, name, &answer));
	}
	/* A crate may be called nothing. */
	known = known && answer.text.len;
	buf__putc(&answer.text, '\0');
	if (known && !answer.text.failed) {
		result = answer.text.data;
		answer.text.data = NULL;
	}
	buf__free(&answer.text);
	return result;
}
