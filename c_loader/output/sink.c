// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/sink.h"

#include <stdlib.h>
#include <string.h>

/* By the number that --format has in shared_bpf/common.toml; one that is not here is text. */
static const struct sink_operations *const formats[] = { &sink_text, &sink_json, &sink_csv };
#define N_FORMATS (json_int)(sizeof(formats) / sizeof(formats[0]))

bool sink__init(struct sink *s, const struct spec *spec, const struct options *options,
		const struct run_clock *clock, struct buf *out, struct buf *err)
{
	json_int format = options__role_number(options, ROLE_FORMAT, 0);

	memset(s, 0, sizeof(*s));
	s->ops = format >= 0 && format < N_FORMATS ? formats[format] : &sink_text;
	s->spec = spec;
	s->options = options;
	s->out = out;
	s->err = err;
	s->formatter.clock = *clock;
	s->formatter.first_ns = clock->start_mono_ns; /* until there is a first record */
	s->state = calloc(1, s->ops->state_size);
	return s->state && shown_columns__init(&s->columns, &spec->events.columns, options);
}

void sink__free(struct sink *s)
{
	if (s->state && s->ops->free)
		s->ops->free(s);
	free(s->state);
	s->state = NULL;
	shown_columns__free(&s->columns);
	formatter__free(&s->formatter);
}

void sink__show(struct sink *s, const struct sink_view *view)
{
	s->view = view;
	s->ops->show(s, view);
	s->view = NULL;
}

void sink__headings(struct sink *s, const struct shown_columns *group,
		    const struct sink_columns *columns)
{
	if (s->ops->headings)
		s->ops->headings(s, group, columns);
}

void sink__end_group(struct sink *s)
{
	if (s->ops->end_group)
		s->ops->end_group(s);
}

void sink__table(struct sink *s, const struct shown_columns *columns)
{
	if (s->ops->table)
		s->ops->table(s, columns);
}

struct sink_value sink_value__int(json_int v)
{
	struct sink_value value = { .kind = v < 0 ? VALUE_SIGNED : VALUE_UNSIGNED,
				    .number = (uint64_t)v };

	return value;
}

struct sink_value sink_value__field(const struct field *field, const uint8_t *base)
{
	struct sink_value value = {
		.kind = field->kind == FIELD_INT ? VALUE_SIGNED : VALUE_UNSIGNED,
		.number = field__load(field, base, 0),
	};

	return value;
}

struct sink_value sink_value__word(const char *word)
{
	struct sink_value value = { .kind = VALUE_WORD, .word = word };

	return value;
}

struct sink_value sink_value__bytes(const char *bytes, size_t len)
{
	struct sink_value value = { .kind = VALUE_BYTES, .bytes = bytes, .len = len };

	return value;
}

bool sink_value__put_number(struct buf *out, const struct sink_value *value)
{
	switch (value->kind) {
	case VALUE_UNSIGNED:
		buf__unsigned(out, value->number);
		return true;
	case VALUE_SIGNED:
		buf__signed(out, (int64_t)value->number);
		return true;
	case VALUE_SECONDS:
		buf__unsigned(out, value->seconds);
		buf__putc(out, '.');
		buf__zero_filled(out, value->millionths, 6);
		return true;
	default:
		return false;
	}
}
