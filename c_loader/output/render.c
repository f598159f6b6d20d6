// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/render.h"

#include <string.h>

#include "output/trace.h"

bool renderer__init(struct renderer *r, const struct spec *spec, const struct options *options,
		    const struct run_clock *clock, struct buf *out, struct buf *err)
{
	size_t i;

	memset(r, 0, sizeof(*r));
	r->spec = spec;
	r->options = options;
	for (i = 0; i < spec->n_options; i++)
		r->has_matches |= spec->options[i].match != MATCH_NONE && options->values[i].set;
	return sink__init(&r->sink, spec, options, clock, out, err);
}

void renderer__free(struct renderer *r)
{
	sink__free(&r->sink);
	buf__free(&r->scratch);
}

void renderer__begin(struct renderer *r)
{
	if (r->sink.ops->begin)
		r->sink.ops->begin(&r->sink);
}

static bool is_one_of(const struct option_value *value, const struct field *field,
		      const uint8_t *record)
{
	uint64_t bits = field__load(field, record, 0);
	json_int number = field->kind == FIELD_INT ? (json_int)(int64_t)bits : (json_int)bits;
	size_t i;

	for (i = 0; i < value->n_numbers; i++) {
		if (value->numbers[i] == number)
			return true;
	}
	return false;
}

static bool matches(struct renderer *r, const uint8_t *record, size_t len)
{
	const struct spec *spec = r->spec;
	const char *text;
	size_t i, n;
	bool hit;

	for (i = 0; i < spec->n_options; i++) {
		const struct option_spec *o = &spec->options[i];
		const struct option_value *value = &r->options->values[i];

		if (o->match == MATCH_NONE || !value->set)
			continue;
		if (o->match == MATCH_ONE_OF) {
			if (!is_one_of(value, &o->match_field, record))
				return false;
			continue;
		}
		r->scratch.len = 0;
		format__plain(&r->scratch, o->match_format, &o->match_field, record, len);
		n = r->scratch.len;
		buf__putc(&r->scratch, '\0');
		text = r->scratch.failed ? "" : r->scratch.data;
		if (value->has_regex)
			hit = !regexec(&value->regex, text, 0, NULL, 0);
		else
			hit = memmem(text, n, value->text, strlen(value->text)) != NULL;
		if (!hit)
			return false;
	}
	return true;
}

/* The first record is where "elapsed since the first" counts from, shown or not. */
static void see_first(struct renderer *r, const uint8_t *record)
{
	const struct columns *columns = &r->spec->events.columns;
	size_t i;

	r->started = true;
	for (i = 0; i < columns->n; i++) {
		if (columns->list[i].format == FORMAT_ELAPSED && columns->list[i].since_first) {
			r->sink.formatter.first_ns =
				field__load(&columns->list[i].field, record, 0);
			return;
		}
	}
}

bool renderer__shows(struct renderer *r, const uint8_t *record, size_t len)
{
	return !r->has_matches || matches(r, record, len);
}

bool renderer__event(struct renderer *r, const uint8_t *record, size_t len)
{
	const struct events *events = &r->spec->events;

	if (len < events->least)
		return false;
	if (len > events->size)
		len = events->size;
	if (!r->started)
		see_first(r, record);
	if (renderer__shows(r, record, len))
		r->sink.ops->event(&r->sink, record, len);
	return true;
}

/* -- loss -------------------------------------------------------------------------------------- */

struct lost {
	enum loss kind;
	uint64_t count;
};

static const struct {
	const char *name, *before, *after;
} losses[N_LOSSES] = {
	[LOSS_RECORDS] = { "records", "lost ", " events" },
	[LOSS_SKIPPED] = { "skipped", "lost up to ",
			   " events: the kernel skipped a program that was still running" },
};

static void draw_lost(struct sink *s, const struct sink_view *view)
{
	const struct lost *lost = view->data;

	buf__puts(s->err, s->spec->tool);
	buf__puts(s->err, ": ");
	buf__puts(s->err, losses[lost->kind].before);
	buf__unsigned(s->err, lost->count);
	buf__puts(s->err, losses[lost->kind].after);
	buf__putc(s->err, '\n');
}

static void tell_lost(struct sink *s, const struct sink_view *view)
{
	static const struct sink_column list[] = { { "count", 1 }, { "kind", 2 } };
	static const struct sink_columns columns = { list, 2 };
	const struct lost *lost = view->data;
	const struct sink_value values[] = {
		sink_value__int((json_int)lost->count),
		sink_value__word(losses[lost->kind].name),
	};

	s->ops->row(s, &columns, values);
}

void renderer__lost(struct renderer *r, enum loss kind, uint64_t count)
{
	const struct lost lost = { .kind = kind, .count = count };
	const struct sink_view view = { .type = "lost_events",
					.shape = SHAPE_ROW,
					.data = &lost,
					.draw = draw_lost,
					.tell = tell_lost };

	r->sink.ops->notice(&r->sink, &view);
}

uint64_t renderer__trace(struct renderer *r, const char *line, size_t len)
{
	return trace__show(&r->sink, line, len);
}

void renderer__report(struct renderer *r, const struct report *report, struct entries *entries,
		      uint64_t now_wall_ns)
{
	report__show(&r->sink, report, entries, now_wall_ns);
}
