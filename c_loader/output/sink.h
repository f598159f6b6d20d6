/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_SINK_H
#define BPFDUET_SINK_H

#include "output/format.h"

/*
 * Where all that a tool prints goes. A format is a set of operations, in a file of its own
 * (sink_NAME.c); whoever has something to show knows none of them. What people read is drawn, for
 * each kind of report has a picture of its own; other formats are told names and values.
 */
struct sink;
struct sink_view;

/* The name of a value. */
struct sink_column {
	const char *name;
	unsigned int place; /* from 1, where a row is one line; 0: it is not in it */
};

struct sink_columns {
	const struct sink_column *list;
	size_t n;
};

enum value_kind {
	VALUE_UNSIGNED,
	VALUE_SIGNED,
	VALUE_SECONDS, /* and millionths */
	VALUE_WORD, /* the spec's own, which needs no escaping */
	VALUE_BYTES, /* anybody's */
	VALUE_STACK, /* functions */
};

struct sink_value {
	enum value_kind kind;
	union {
		uint64_t number;
		const char *word;
		struct {
			uint64_t seconds, millionths;
		};
		struct {
			const char *bytes;
			size_t len;
		};
		struct {
			const char *const *names; /* from the innermost outwards */
			size_t n;
			bool missed; /* it should be there and is not */
		};
	};
};

/* Rows that have something in common. */
struct sink_group {
	const struct columns *fields; /* of it, in the key; there may be none */
	const struct shown_columns *shown;
	const uint8_t *key;
	size_t key_size;
	const char *unit;
	const char *rows; /* what they are */
};

/* What its values are together. */
enum sink_shape { SHAPE_ROW, SHAPE_ROWS, SHAPE_PAIRS };

/* Something to show, in both ways: a report, or what stands alone. */
struct sink_view {
	const char *type;
	enum sink_shape shape;
	const struct report *report; /* NULL if it is none */
	uint64_t now_wall_ns;
	bool nothing; /* all of its values are zero */
	const void *data;
	void (*draw)(struct sink *s, const struct sink_view *view);
	void (*tell)(struct sink *s, const struct sink_view *view);
};

struct sink_operations {
	size_t state_size;
	void (*free)(struct sink *s); /* what is in the state; NULL if that is nothing */

	/* Before everything else. NULL: nothing. */
	void (*begin)(struct sink *s);
	/* A record. */
	void (*event)(struct sink *s, const uint8_t *record, size_t len);
	/* A view: by its draw(), or by its tell(), which uses the operations below. */
	void (*show)(struct sink *s, const struct sink_view *view);
	/* What is no data: drawn on stderr if the format has no place for it. */
	void (*notice)(struct sink *s, const struct sink_view *view);

	/* The names of the rows' values, before the first one. NULL: there are none. */
	void (*headings)(struct sink *s, const struct shown_columns *group,
			 const struct sink_columns *columns);
	void (*begin_group)(struct sink *s, const struct sink_group *group);
	void (*end_group)(struct sink *s); /* NULL: nothing stands there */
	void (*row)(struct sink *s, const struct sink_columns *columns,
		    const struct sink_value *values);
	void (*pair)(struct sink *s, const char *name, const struct sink_value *value);

	/* Entries of a map as they are, which are drawn by these, too. NULL: they have no headings.
	 */
	void (*table)(struct sink *s, const struct shown_columns *columns);
	void (*entry)(struct sink *s, const struct shown_columns *columns, const uint8_t *key,
		      const uint8_t *value);
};

extern const struct sink_operations sink_text, sink_json, sink_csv;

struct sink {
	const struct sink_operations *ops;
	const struct spec *spec;
	const struct options *options;
	struct buf *out, *err; /* what goes to stdout, and to stderr */
	struct formatter formatter;
	struct shown_columns columns; /* of events */
	const struct sink_view *view; /* the one that is being shown */
	void *state; /* the format's own */
};

/* Takes the format that the options ask for. false if there is no memory; sink__free() in any case.
 */
bool sink__init(struct sink *s, const struct spec *spec, const struct options *options,
		const struct run_clock *clock, struct buf *out, struct buf *err);
void sink__free(struct sink *s);

void sink__show(struct sink *s, const struct sink_view *view);

/* Operations that a format may lack. */
void sink__headings(struct sink *s, const struct shown_columns *group,
		    const struct sink_columns *columns);
void sink__end_group(struct sink *s);
void sink__table(struct sink *s, const struct shown_columns *columns);

/* A number of either sign. */
struct sink_value sink_value__int(json_int v);
/* A scalar field's. */
struct sink_value sink_value__field(const struct field *field, const uint8_t *base);
struct sink_value sink_value__word(const char *word);
struct sink_value sink_value__bytes(const char *bytes, size_t len);

/* Append a value that is a number; false if it is none. */
bool sink_value__put_number(struct buf *out, const struct sink_value *value);

#endif
