/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_FORMAT_H
#define BPFDUET_FORMAT_H

#include <string.h>
#include <time.h>

#include "spec/options.h"
#include "spec/spec.h"

/* When the run began, on both clocks. */
struct run_clock {
	uint64_t start_mono_ns;
	int64_t wall_minus_mono_ns;
};

/* A column that the options let show. */
struct shown_column {
	const struct column *column;
	bool quote;
};

struct shown_columns {
	struct shown_column *list;
	size_t n;
};

struct user {
	uint32_t uid;
	uint32_t line;
	char *name;
};

/* A second in words; most records share theirs with the one before. */
struct clock_face {
	json_int second;
	char hms[16];
};

/* What columns need beside the record. */
struct formatter {
	struct run_clock clock;
	uint64_t first_ns; /* what "elapsed since the first" counts from */
	struct clock_face faces[2]; /* local time and UTC */
	struct user *users;
	size_t n_users;
	bool users_read;
};

/* false if there is no memory. */
bool shown_columns__init(struct shown_columns *shown, const struct columns *columns,
			 const struct options *options);
void shown_columns__free(struct shown_columns *shown);

void formatter__free(struct formatter *f);

/*
 * Append a column's text without padding. `base` is the record, key or value that the column
 * reads; `len` its length, which only a string at its end may exceed.
 */
void formatter__text(struct formatter *f, struct buf *out, const struct shown_column *shown,
		     const uint8_t *base, size_t len);

/* "HH:MM:SS" of wall clock time, in the local zone or in UTC. */
const char *formatter__hms(struct formatter *f, json_int wall_ns, bool utc);

/* A column's heading, with the name of the zone that its times are in. */
void formatter__heading(struct formatter *f, struct buf *out, const struct column *c);

/* A string, path or args field as plain bytes: neither quoted nor escaped. */
void format__plain(struct buf *out, enum format format, const struct field *field,
		   const uint8_t *base, size_t len);

/* The strings of an args field, each but the last with its NUL: `n` bytes. */
const char *format__args(const struct field *field, const uint8_t *base, size_t len, size_t *n);

/* Append an address that lies at p: FORMAT_IPV4, FORMAT_IPV6 or FORMAT_IP. */
void format__address(struct buf *out, enum format format, const uint8_t *p);

/* Whether a field only fills up. */
static inline bool format__is_filling(const struct field *field)
{
	return field->name[0] == '_' || !strncmp(field->name, "pad", 3);
}

/* Append a name of a folded stack, whose names ; parts. */
void format__folded(struct buf *out, const char *name, size_t len);

#endif
