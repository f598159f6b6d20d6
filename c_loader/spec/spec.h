/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_SPEC_H
#define BPFDUET_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

/*
 * The bound spec (docs/spec.md, last chapter) as structs. All strings belong to the spec.
 * Absent strings are NULL, absent lists have count 0.
 */

enum field_kind { FIELD_UINT, FIELD_INT, FIELD_BOOL, FIELD_STRING, FIELD_STRUCT };

struct field {
	const char *name;
	uint32_t offset; /* from what holds it: record, key, value or enclosing struct */
	uint32_t size; /* of one element */
	uint32_t count; /* of elements if it is an array, else 0 */
	enum field_kind kind;
	struct field *fields;
	size_t n_fields;
	/* The column whose format decides how JSON shows the field; NULL: as what it is. */
	const struct column *column;
};

enum format {
	FORMAT_NUMBER,
	FORMAT_HEX,
	FORMAT_OCTAL,
	FORMAT_STRING,
	FORMAT_PATH,
	FORMAT_ARGS,
	FORMAT_WALL,
	FORMAT_ELAPSED,
	FORMAT_DURATION,
	FORMAT_BYTES,
	FORMAT_IPV4,
	FORMAT_IPV6,
	FORMAT_PORT,
	FORMAT_ERRNO,
	FORMAT_SIGNAL,
	FORMAT_SYSCALL,
	FORMAT_CAPABILITY,
	FORMAT_DEVICE,
	FORMAT_USER,
	FORMAT_ENUM,
	FORMAT_FLAGS,
	FORMAT_IP,
	FORMAT_DISK,
	FORMAT_EXIT,
	FORMAT_PERCENT,
};

/* Which part of a record or map entry a column reads. */
enum part { PART_EVENT, PART_KEY, PART_VALUE };

/* One "when" term: index of an option, and whether it must be absent. */
struct condition {
	uint32_t option;
	bool negated;
};

struct conditions {
	struct condition *list;
	size_t n;
};

struct named_number {
	const char *name;
	json_int number;
};

struct names {
	struct named_number *list; /* in the order of the spec */
	struct named_number *sorted; /* by number, for look-ups; NULL for choices */
	size_t n;
};

struct column {
	struct field field;
	enum part of;
	const char *heading;
	const char *label;
	enum format format;
	uint32_t width;
	uint32_t gap;
	bool right;
	struct conditions when;
	const char *zero;
	uint32_t digits;
	uint32_t scale; /* of a duration: the unit is 10^scale ns */
	bool since_first; /* of elapsed: else since the start of the run */
	const char *join; /* of flags: what stands between the names */
	uint32_t cut; /* of a string in text: bytes that are shown at most, 0 for all */
	bool utc; /* of wall: else in the local zone */
	int quote; /* of args: index of the option, -1 if none */
	struct field whole; /* of percent: the field that is 100% */
	bool rest; /* of percent: what is left of the whole */
	struct names values;
};

struct columns {
	struct column *list;
	size_t n;
};

/* A CONFIG constant of the kernel half. */
struct config {
	const char *name;
	uint32_t offset; /* in .rodata */
	uint32_t size;
	enum field_kind kind;
	bool in_object; /* false if the bound spec gives no offset */
};

enum option_type {
	OPTION_FLAG,
	OPTION_INT,
	OPTION_STRING,
	OPTION_PATH,
	OPTION_USER,
	OPTION_ERRNO,
	OPTION_SYSCALL,
	OPTION_SIGNAL,
	OPTION_FLAGS,
	OPTION_CHOICE,
	OPTION_NUMBERS,
	OPTION_DISK,
};

enum role {
	ROLE_NONE,
	ROLE_DURATION,
	ROLE_INTERVAL,
	ROLE_COUNT,
	ROLE_TOP,
	ROLE_FORMAT,
	ROLE_BUFFER,
	ROLE_CGROUP,
	ROLE_VERBOSE,
	ROLE_HELP,
	ROLE_VERSION,
	ROLE_LIST,
	ROLE_BTF,
	ROLE_PIN,
	ROLE_FOLDED,
	ROLE_DELIMITED,
	ROLE_ANNOTATE,
	ROLE_FLAME,
	ROLE_OUTPUT,
	ROLES
};

enum match { MATCH_NONE, MATCH_CONTAINS, MATCH_REGEX, MATCH_ONE_OF };

struct option_spec {
	const char *name;
	char letter; /* 0 if it has none */
	enum option_type type;
	enum role role;
	bool has_min, has_max, repeat, required;
	json_int min, max;
	const char *preset; /* the default as it would be typed, NULL if there is none */
	json_int value; /* what a flag writes into its config */
	struct names choices;
	bool has_config;
	struct config config;
	const char *map;
	const char *entries; /* map whose size it is */
	const char *set; /* map that gets its numbers as keys */
	const char *gives, *gift; /* an option, and the argument that it gets with this one */
	const char *text; /* role list: what the option prints */
	enum match match;
	enum format match_format; /* string, path or args: the text that is matched */
	struct field match_field;
};

/*
 * What the spec says of a program of the kernel half. Texts hold {option}s; they are NULL where
 * the spec says nothing.
 */
struct program {
	const char *name;
	struct conditions when;
	const char **fallback; /* programs in its place */
	size_t n_fallback;
	const char **also; /* further tracepoints where it is, CATEGORY:EVENT */
	size_t n_also;
	const char *target; /* BINARY:SYMBOL or BINARY:PROVIDER:PROBE */
	const char *process; /* PID */
	const char *event, *frequency, *period; /* of a perf event; Hz, events */
	const char *interface;
	bool egress; /* of tc: else ingress */
};

/* A perf event array, and the event that each CPU counts in it. */
struct counter {
	const char *map, *event;
};

struct banner {
	const char *text;
	bool more; /* the next one goes on in the same line */
	struct conditions when;
};

struct events {
	const char *map;
	bool perf; /* perf buffer, else ring buffer */
	uint32_t size;
	struct field *fields;
	size_t n_fields;
	struct columns columns;
	/* The shortest record that holds every field, but a string at its end. */
	uint32_t least;
};

enum report_kind {
	REPORT_LOG2,
	REPORT_LINEAR,
	REPORT_TABLE,
	REPORT_COUNTERS,
	REPORT_STACKS,
	REPORT_AVERAGE
};

struct map_side {
	uint32_t size;
	struct field *fields;
	size_t n_fields;
};

struct sort {
	struct field field;
	enum part of;
	struct conditions when;
	bool ascending;
};

/* A heading under conditions. */
struct heading {
	const char *text;
	struct conditions when;
};

/* Of a report of stacks: fields of its key. Those that it does not have have no name. */
struct stack_fields {
	const char *map;
	uint32_t depth;
	struct field kernel, user; /* ids in the map */
	struct field process; /* whose address space the user's stack is in */
	struct field task; /* the number that is shown */
	struct field comm;
};

struct report {
	const char *name;
	const char *map;
	enum report_kind kind;
	bool array, percpu, clear, blank_before, blank_after;
	bool locked; /* a value holds a spin lock, which is taken to read it */
	uint32_t entries;
	struct conditions when;
	const char *time;
	struct conditions time_when;
	const char *title;
	struct map_side key, value;
	struct field slot;
	struct heading *headings; /* the first one whose conditions hold, else ... */
	size_t n_headings;
	const char *heading;
	int64_t base, step;
	struct columns sections, columns;
	struct sort *sorts;
	size_t n_sorts;
	bool inline_headings; /* of a table: in each row, not above */
	bool sum; /* of a table: one row, all entries added up */
	const char **labels;
	size_t n_labels;
	struct stack_fields stacks;
	struct field total, count; /* of the value */
	uint64_t divisor;
};

struct trace_pipe {
	bool present, columns;
};

struct spec {
	const char *tool, *version, *help;
	const char **requires;
	size_t n_requires;
	struct banner *banners;
	size_t n_banners;
	struct program *programs;
	size_t n_programs;
	struct counter *counters;
	size_t n_counters;
	struct option_spec *options;
	size_t n_options;
	uint32_t *arguments; /* options that words without a dash are for, in this order */
	size_t n_arguments;
	int roles[ROLES]; /* index of the option with that role, -1 if none */
	struct config *configs;
	size_t n_configs;
	bool has_events;
	struct events events;
	struct report *reports;
	size_t n_reports;
	struct trace_pipe trace_pipe;

	struct json_doc *doc; /* set if the spec owns it */
	void *allocations;
};

/*
 * Read a bound spec. NULL if it is malformed, with one sentence in `error`.
 * spec__from_json() borrows the strings of `json`, which must outlive the spec.
 */
struct spec *spec__parse(const char *text, size_t len, struct buf *error);
struct spec *spec__from_json(const struct json *json, struct buf *error);
void spec__free(struct spec *spec);

/* Index of an option by its long name, -1 if there is none. */
int spec__find_option(const struct spec *spec, const char *name);
const struct config *spec__find_config(const struct spec *spec, const char *name);
const struct program *spec__find_program(const struct spec *spec, const char *name);
/* The name of a number, NULL if it has none. */
const char *names__find(const struct names *names, json_int number);

/* Whether JSON shows the format's text, or numbers of it, in place of the field's own value. */
bool format__changes_json(enum format format);

/* A scalar of at most 8 bytes, sign-extended if it is signed; i is the element of an array. */
uint64_t field__load(const struct field *field, const uint8_t *base, uint32_t i);
/* The same without sign extension. */
uint64_t field__bits(const struct field *field, const uint8_t *base);
/* Bytes of a field with all its elements. */
uint64_t field__total(const struct field *field);
/* <0, 0, >0: by value, strings by their bytes, structs field by field. */
int field__compare(const struct field *field, const uint8_t *a, const uint8_t *b);

#endif
