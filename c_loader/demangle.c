// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "demangle.h"

#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "rust_v0.h"

#define RUST_HASH_LEN 17 /* h and 16 digits */

/* Of the C++ library. */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *size, int *status);

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_rust_hash(const char *part, size_t len)
{
	size_t i;

	if (len != RUST_HASH_LEN || part[0] != 'h')
		return false;
	for (i = 1; i < len; i++) {
		if (!is_hex(part[i]))
			return false;
	}
	return true;
}

/* Undo an escape at `part`; its length, 0 if there is none. */
static size_t put_rust_special(struct buf *out, const char *part, size_t len)
{
	static const char *const escapes[][2] = {
		{ "$SP$", "@" }, { "$BP$", "*" }, { "$RF$", "&" }, { "$LT$", "<" },
		{ "$GT$", ">" }, { "$LP$", "(" }, { "$RP$", ")" }, { "$C$", "," },
	};
	char text[4];
	unsigned long code;
	size_t i, n;

	if (len >= 2 && !memcmp(part, "..", 2)) {
		buf__puts(out, "::");
		return 2;
	}
	for (i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		n = strlen(escapes[i][0]);
		if (len >= n && !memcmp(part, escapes[i][0], n)) {
			buf__puts(out, escapes[i][1]);
			return n;
		}
	}
	if (len < 4 || memcmp(part, "$u", 2))
		return 0;
	for (n = 2; n < len && n < 8 && is_hex(part[n]);)
		n++;
	if (n == 2 || n == len || part[n] != '$')
		return 0;
	code = strtoul(part + 2, NULL, 16);
	if (!code || (code >= 0xd800 && code <= 0xdfff) || code >= 0x110000)
		return 0;
	buf__write(out, text, utf8__encode(text, (uint32_t)code));
	return n + 1;
}

static void put_rust_identifier(struct buf *out, const char *part, size_t len)
{
	size_t i = 0, n;

	/* An identifier cannot begin with $. */
	if (len >= 2 && !memcmp(part, "_$", 2))
		i = 1;
	for (; i < len; i += n) {
		n = put_rust_special(out, part + i, len - i);
		if (!n) {
			buf__putc(out, part[i]);
			n = 1;
		}
	}
}

/*
 * _ZN, identifiers each with its length before it, the last one a hash, E; then perhaps a suffix
 * of LLVM's.
 */
static char *demangle_rust(const char *name)
{
	const char *end = name + strlen(name), *p = name + 3, *part;
	struct buf out = { 0 };
	bool hash = false;
	size_t parts = 0, len, digits;
	char *result = NULL;

	if (strncmp(name, "_ZN", 3))
		return NULL;
	while (*p != 'E') {
		digits = strspn(p, "0123456789");
		if (!digits || digits > 6 || *p == '0')
			goto cleanup;
		len = strtoul(p, NULL, 10);
		part = p + digits;
		if (len >= (size_t)(end - part))
			goto cleanup;
		p = part + len;
		hash = is_rust_hash(part, len);
		if (hash && *p == 'E')
			break;
		if (parts++)
			buf__puts(&out, "::");
		put_rust_identifier(&out, part, len);
	}
	if (!hash || !parts || (p[1] && p[1] != '.'))
		goto cleanup;
	buf__putc(&out, '\0');
	if (!out.failed) {
		result = out.data;
		out.data = NULL;
	}
cleanup:
	buf__free(&out);
	return result;
}

char *demangle(const char *name)
{
	char *result;

	if (!strncmp(name, "_R", 2))
		return rust_v0__demangle(name);
	if (strncmp(name, "_Z", 2))
		return NULL;
	result = demangle_rust(name);
	return result ? result : __cxa_demangle(name, NULL, NULL, NULL);
}
