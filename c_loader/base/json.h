/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_JSON_H
#define BPFDUET_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * JSON documents as plain trees that can be walked without a library call for each step.
 * jansson parses them: it keeps whole numbers of 64 bits exact.
 */

/* Wide enough for every int64_t and every uint64_t. */
typedef __int128 json_int;

enum json_type {
	JSON_IS_NULL,
	JSON_IS_BOOL,
	JSON_IS_INT,
	JSON_IS_REAL, /* has a fraction or an exponent; nobody here needs its value */
	JSON_IS_STRING,
	JSON_IS_ARRAY,
	JSON_IS_OBJECT,
};

struct json {
	enum json_type type;
	bool boolean;
	json_int integer;
	const char *string; /* UTF-8; ends with NUL and holds no other */
	const char *name; /* of an object's member, else NULL */
	struct json *child; /* first element or member, in the document's order */
	struct json *next;
};

struct json_doc;

/*
 * Parse exactly one document; blanks and NULs may follow it. NULL on failure, with `why` set to
 * a sentence that names the place.
 */
struct json_doc *json_doc__parse(const char *text, size_t len, char why[256]);
void json_doc__free(struct json_doc *doc);
const struct json *json_doc__root(const struct json_doc *doc);

/* Member of an object, NULL if it is absent, null, or `object` is no object. */
const struct json *json__get(const struct json *object, const char *name);

/* Accepts numbers, and strings that hold one (64-bit numbers survive any reader as strings). */
bool json__to_int(const struct json *json, json_int *value);

/* Decimal number with an optional minus sign and nothing else. */
bool json__parse_int(const char *text, json_int *value);

#define json__for_each(item, list)                                                                 \
	for ((item) = (list) ? (list)->child : NULL; (item); (item) = (item)->next)

#endif
