// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For people: columns, and what each kind of report draws. */
#include <string.h>

#include "output/sink.h"
#include "output/trace.h"

struct text_state {
	size_t cell_end; /* where in the output the last cell ended, with its gap */
};

/* Columns without a gap do not touch, also if what is in them is wider than they are. */
static void part_cells(const struct text_state *state, struct buf *out, size_t start)
{
	if (!start || start != state->cell_end || start == out->len || out->data[start] == ' ' ||
	    strchr(" \n", out->data[start - 1]) || !buf__reserve(out, 1))
		return;
	memmove(out->data + start + 1, out->data + start, out->len++ - start);
	out->data[start] = ' ';
}

/* End a column's text, which began at `start`. */
static void end_cell(struct sink *s, const struct column *c, bool last, size_t start)
{
	struct text_state *state = s->state;
	bool mark = !*c->heading; /* marks are to touch */
	struct buf *out = s->out;

	if (c->right || !last)
		buf__pad(out, start, c->width, c->right);
	if (!mark)
		part_cells(state, out, start);
	if (last)
		buf__putc(out, '\n');
	else
		buf__repeat(out, ' ', c->gap);
	state->cell_end = mark ? 0 : out->len;
}

static void cell(struct sink *s, const struct shown_columns *columns, size_t i, const uint8_t *base,
		 size_t len)
{
	const struct column *c = columns->list[i].column;
	size_t start = s->out->len;

	if (c->cut && len > c->field.offset + c->cut)
		len = c->field.offset + c->cut;
	formatter__text(&s->formatter, s->out, &columns->list[i], base, len);
	end_cell(s, c, i + 1 == columns->n, start);
}

static void text_event(struct sink *s, const uint8_t *record, size_t len)
{
	size_t i;

	for (i = 0; i < s->columns.n; i++)
		cell(s, &s->columns, i, record, len);
}

static void header(struct sink *s, const struct shown_columns *columns)
{
	size_t i, start;

	for (i = 0; i < columns->n; i++) {
		start = s->out->len;
		formatter__heading(&s->formatter, s->out, columns->list[i].column);
		end_cell(s, columns->list[i].column, i + 1 == columns->n, start);
	}
}

static void put_banners(struct sink *s)
{
	struct buf text = { 0 };
	size_t i;

	for (i = 0; i < s->spec->n_banners; i++) {
		const struct banner *banner = &s->spec->banners[i];

		if (!options__hold(s->options, &banner->when))
			continue;
		text.len = 0;
		options__fill(s->options, banner->text, &text);
		buf__escaped(s->err, text.data, text.len);
		if (!banner->more)
			buf__putc(s->err, '\n');
	}
	s->err->failed |= text.failed;
	buf__free(&text);
}

static void text_begin(struct sink *s)
{
	put_banners(s);
	if (s->spec->has_events && s->columns.n)
		header(s, &s->columns);
	if (s->spec->trace_pipe.present && s->spec->trace_pipe.columns)
		trace__draw_headings(s->out);
}

static void lead(struct sink *s, const struct sink_view *view)
{
	const struct report *report = view->report;
	time_t now = (time_t)(view->now_wall_ns / 1000000000);
	char text[256];
	struct tm tm;

	if (report->blank_before)
		buf__putc(s->out, '\n');
	if (report->time && options__hold(s->options, &report->time_when) &&
	    localtime_r(&now, &tm)) {
		buf__write(s->out, text, strftime(text, sizeof(text), report->time, &tm));
		buf__putc(s->out, '\n');
	}
	if (report->title) {
		buf__puts(s->out, report->title);
		buf__putc(s->out, '\n');
	}
}

static void text_show(struct sink *s, const struct sink_view *view)
{
	if (view->nothing)
		return;
	if (view->report)
		lead(s, view);
	view->draw(s, view);
	if (view->report && view->report->blank_after)
		buf__putc(s->out, '\n');
}

static void text_notice(struct sink *s, const struct sink_view *view)
{
	view->draw(s, view);
}

static void text_table(struct sink *s, const struct shown_columns *columns)
{
	if (!s->view->report->inline_headings)
		header(s, columns);
}

static void text_entry(struct sink *s, const struct shown_columns *columns, const uint8_t *key,
		       const uint8_t *value)
{
	const struct report *report = s->view->report;
	size_t i;

	for (i = 0; i < columns->n; i++) {
		const struct column *c = columns->list[i].column;
		bool of_key = c->of == PART_KEY;

		if (report->inline_headings)
			formatter__heading(&s->formatter, s->out, c);
		cell(s, columns, i, of_key ? key : value,
		     of_key ? report->key.size : report->value.size);
	}
}

const struct sink_operations sink_text = {
	.state_size = sizeof(struct text_state),
	.begin = text_begin,
	.event = text_event,
	.show = text_show,
	.notice = text_notice,
	.table = text_table,
	.entry = text_entry,
};
