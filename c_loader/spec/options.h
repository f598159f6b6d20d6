/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_OPTIONS_H
#define BPFDUET_OPTIONS_H

#include <regex.h>

#include "spec/spec.h"

/* What the command line said about one option. */
struct option_value {
	bool given;
	bool set; /* given, or it has a default: number or text are valid */
	json_int number;
	const char *text; /* as it was typed, or the default */
	regex_t regex;
	bool has_regex;
	json_int *numbers; /* of a list */
	size_t n_numbers;
};

struct options {
	const struct spec *spec;
	struct option_value *values; /* in the order of spec->options */
	uint32_t *sequence; /* options as they were given, left to right */
	size_t n_sequence;
	char **command; /* NULL-ended; NULL if there is none */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* --help and the like: `out` holds what to print; exit 0 */
	OPTIONS_WRONG, /* `err` holds a sentence, escaped; exit 2 */
};

/*
 * Read a command line (without the program's name). Borrows argv. The options must be freed
 * whatever the result.
 */
enum options_result options__parse(struct options *options, const struct spec *spec, int argc,
				   char **argv, struct buf *out, struct buf *err);
void options__free(struct options *options);

bool options__hold(const struct options *options, const struct conditions *when);

/*
 * Append `text` with what was typed for each {option}, or its default, in its place. false if one
 * of them has no value: nothing stands there then.
 */
bool options__fill(const struct options *options, const char *text, struct buf *out);

/* The number of the option with a role, `absent` if there is none or it is not set. */
json_int options__role_number(const struct options *options, enum role role, json_int absent);
/* Its argument, NULL if it was not given. */
const char *options__role_text(const struct options *options, enum role role);

/* What options make of one CONFIG constant of that size. false if they leave it as it is. */
bool options__constant(const struct options *options, const char *name, void *value, size_t size);

/* Write what options say into the image of the CONFIG constants. */
bool options__configure(const struct options *options, uint8_t *rodata, size_t size);

#endif
