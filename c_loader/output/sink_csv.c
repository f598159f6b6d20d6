// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A header and lines, RFC 4180 (docs/output.md). */
#include <string.h>

#include "output/sink.h"
#include "output/trace.h"

struct csv_state {
	struct buf group; /* what the lines of a group begin with */
};

static void csv_free(struct sink *s)
{
	struct csv_state *state = s->state;

	buf__free(&state->group);
}

/* End the cell that began at `start`. */
static void end_cell(struct buf *out, size_t start, bool last)
{
	buf__csv_quote(out, start);
	buf__putc(out, last ? '\n' : ',');
}

static void put_word(struct buf *out, const char *word, bool last)
{
	size_t start = out->len;

	buf__puts(out, word);
	end_cell(out, start, last);
}

static void put_column(struct sink *s, struct buf *out, const struct shown_column *shown,
		       const uint8_t *base, size_t len, bool last)
{
	size_t start = out->len;

	formatter__text(&s->formatter, out, shown, base, len);
	end_cell(out, start, last);
}

/* The column that stands at a place of a line; columns.n: there is none. */
static size_t at_place(const struct sink_columns *columns, unsigned int place)
{
	size_t i;

	for (i = 0; i < columns->n && columns->list[i].place != place; i++)
		;
	return i;
}

static void csv_headings(struct sink *s, const struct shown_columns *group,
			 const struct sink_columns *columns)
{
	unsigned int place = 1;
	size_t i;

	if (s->view)
		buf__puts(s->out, "report,");
	for (i = 0; group && i < group->n; i++)
		put_word(s->out, group->list[i].column->label, false);
	for (i = at_place(columns, place); i < columns->n; i = at_place(columns, place)) {
		buf__puts(s->out, place > 1 ? "," : "");
		buf__puts(s->out, columns->list[i].name);
		place++;
	}
	buf__putc(s->out, '\n');
}

static void csv_table(struct sink *s, const struct shown_columns *columns)
{
	size_t i;

	for (i = 0; i < columns->n; i++)
		put_word(s->out, columns->list[i].column->label, i + 1 == columns->n);
}

static void csv_begin(struct sink *s)
{
	if (s->spec->has_events)
		csv_table(s, &s->columns);
	if (s->spec->trace_pipe.present)
		csv_headings(s, NULL, &trace_columns);
}

static void csv_event(struct sink *s, const uint8_t *record, size_t len)
{
	size_t i;

	for (i = 0; i < s->columns.n; i++)
		put_column(s, s->out, &s->columns.list[i], record, len, i + 1 == s->columns.n);
}

static void csv_show(struct sink *s, const struct sink_view *view)
{
	struct csv_state *state = s->state;

	state->group.len = 0;
	view->tell(s, view);
}

static void csv_notice(struct sink *s, const struct sink_view *view)
{
	view->draw(s, view);
}

static void csv_begin_group(struct sink *s, const struct sink_group *group)
{
	struct csv_state *state = s->state;
	size_t i;

	state->group.len = 0;
	for (i = 0; i < group->shown->n; i++)
		put_column(s, &state->group, &group->shown->list[i], group->key, group->key_size,
			   false);
	s->out->failed |= state->group.failed;
}

/* From the outermost function inwards. */
static void put_stack(struct buf *out, const struct sink_value *stack)
{
	size_t i;

	if (stack->missed)
		buf__puts(out, "[missed]");
	for (i = stack->n; i-- > 0;) {
		format__folded(out, stack->names[i], strlen(stack->names[i]));
		if (i)
			buf__putc(out, ';');
	}
}

static void put_value(struct buf *out, const struct sink_value *value)
{
	size_t start = out->len;

	if (sink_value__put_number(out, value))
		return;
	if (value->kind == VALUE_WORD)
		buf__puts(out, value->word);
	else if (value->kind == VALUE_STACK)
		put_stack(out, value);
	else
		buf__escaped(out, value->bytes, value->len);
	buf__csv_quote(out, start);
}

static void begin_row(struct sink *s)
{
	const struct csv_state *state = s->state;

	if (s->view->report)
		put_word(s->out, s->view->report->name, false);
	buf__write(s->out, state->group.data, state->group.len);
}

static void csv_row(struct sink *s, const struct sink_columns *columns,
		    const struct sink_value *values)
{
	unsigned int place = 1;
	size_t i;

	if (s->view->nothing)
		return;
	begin_row(s);
	for (i = at_place(columns, place); i < columns->n; i = at_place(columns, place)) {
		if (place++ > 1)
			buf__putc(s->out, ',');
		put_value(s->out, &values[i]);
	}
	buf__putc(s->out, '\n');
}

static void csv_pair(struct sink *s, const char *name, const struct sink_value *value)
{
	begin_row(s);
	put_word(s->out, name, false);
	put_value(s->out, value);
	buf__putc(s->out, '\n');
}

static void csv_entry(struct sink *s, const struct shown_columns *columns, const uint8_t *key,
		      const uint8_t *value)
{
	const struct report *report = s->view->report;
	size_t i;

	for (i = 0; i < columns->n; i++) {
		bool of_key = columns->list[i].column->of == PART_KEY;

		put_column(s, s->out, &columns->list[i], of_key ? key : value,
			   of_key ? report->key.size : report->value.size, i + 1 == columns->n);
	}
}

const struct sink_operations sink_csv = {
	.state_size = sizeof(struct csv_state),
	.free = csv_free,
	.begin = csv_begin,
	.event = csv_event,
	.show = csv_show,
	.notice = csv_notice,
	.headings = csv_headings,
	.begin_group = csv_begin_group,
	.row = csv_row,
	.pair = csv_pair,
	.table = csv_table,
	.entry = csv_entry,
};
