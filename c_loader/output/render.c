// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/render.h"

#include <stdlib.h>
#include <string.h>

bool renderer__init(struct renderer *r, const struct spec *spec, const struct options *options,
		    const struct run_clock *clock, struct buf *out, struct buf *err)
{
	size_t i;

	memset(r, 0, sizeof(*r));
	r->spec = spec;
	r->options = options;
	r->out = out;
	r->err = err;
	r->output = (enum output)options__role_number(options, ROLE_FORMAT, OUTPUT_TEXT);
	r->formatter.clock = *clock;
	r->formatter.first_ns = clock->start_mono_ns; /* until there is a first record */
	for (i = 0; i < spec->n_options; i++)
		r->has_matches |= spec->options[i].match != MATCH_NONE && options->values[i].set;
	return shown_columns__init(&r->columns, &spec->events.columns, options);
}

void renderer__free(struct renderer *r)
{
	shown_columns__free(&r->columns);
	formatter__free(&r->formatter);
	buf__free(&r->scratch);
}

void renderer__json_head(struct renderer *r, const char *type)
{
	buf__puts(r->out, "{\"type\":\"");
	buf__puts(r->out, type);
	buf__puts(r->out, "\",\"tool\":");
	buf__json_string(r->out, r->spec->tool, strlen(r->spec->tool));
}

/* Columns without a gap do not touch, also if what is in them is wider than they are. */
static void part_cells(struct renderer *r, size_t start)
{
	struct buf *out = r->out;

	if (!start || start != r->cell_end || start == out->len || out->data[start] == ' ' ||
	    strchr(" \n", out->data[start - 1]) || !buf__reserve(out, 1))
		return;
	memmove(out->data + start + 1, out->data + start, out->len++ - start);
	out->data[start] = ' ';
}

/* End one column's text, which began at `start`. */
static void end_cell(struct renderer *r, const struct shown_columns *columns, size_t i,
		     size_t start)
{
	const struct column *c = columns->list[i].column;
	bool last = i + 1 == columns->n, mark = !*c->heading; /* marks are to touch */

	if (r->output == OUTPUT_CSV) {
		buf__csv_quote(r->out, start);
		buf__putc(r->out, last ? '\n' : ',');
		return;
	}
	if (c->right || !last)
		buf__pad(r->out, start, c->width, c->right);
	if (!mark)
		part_cells(r, start);
	if (last)
		buf__putc(r->out, '\n');
	else
		buf__repeat(r->out, ' ', c->gap);
	r->cell_end = mark ? 0 : r->out->len;
}

void renderer__cell(struct renderer *r, const struct shown_columns *columns, size_t i,
		    const uint8_t *base, size_t len)
{
	const struct column *c = columns->list[i].column;
	size_t start = r->out->len;

	if (c->cut && r->output == OUTPUT_TEXT && len > c->field.offset + c->cut)
		len = c->field.offset + c->cut;
	formatter__text(&r->formatter, r->out, &columns->list[i], base, len);
	end_cell(r, columns, i, start);
}

void renderer__header(struct renderer *r, const struct shown_columns *columns)
{
	size_t i, start;

	for (i = 0; i < columns->n; i++) {
		const struct column *c = columns->list[i].column;

		start = r->out->len;
		if (r->output == OUTPUT_CSV)
			buf__puts(r->out, c->label);
		else
			formatter__heading(&r->formatter, r->out, c);
		end_cell(r, columns, i, start);
	}
}

static void put_banner(struct renderer *r, const struct banner *banner)
{
	r->scratch.len = 0;
	options__fill(r->options, banner->text, &r->scratch);
	buf__escaped(r->err, r->scratch.data, r->scratch.len);
	if (!banner->more)
		buf__putc(r->err, '\n');
}

void renderer__begin(struct renderer *r)
{
	const struct spec *spec = r->spec;
	size_t i;

	if (r->output == OUTPUT_TEXT) {
		for (i = 0; i < spec->n_banners; i++) {
			if (options__hold(r->options, &spec->banners[i].when))
				put_banner(r, &spec->banners[i]);
		}
	}
	if (r->output == OUTPUT_JSON)
		return;
	if (spec->has_events && r->columns.n)
		renderer__header(r, &r->columns);
	if (spec->trace_pipe.present && r->output == OUTPUT_CSV)
		buf__puts(r->out, "time,comm,pid,cpu,message\n");
	else if (spec->trace_pipe.present && spec->trace_pipe.columns)
		buf__printf(r->out, "%-18s %-16s %-6s %s\n", "TIME(s)", "COMM", "PID", "MESSAGE");
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
			r->formatter.first_ns = field__load(&columns->list[i].field, record, 0);
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
	size_t i;

	if (len < events->least)
		return false;
	if (len > events->size)
		len = events->size;
	if (!r->started)
		see_first(r, record);
	if (!renderer__shows(r, record, len))
		return true;
	if (r->output == OUTPUT_JSON) {
		renderer__json_head(r, "event");
		buf__puts(r->out, ",\"data\":");
		format__json_object(r->out, events->fields, events->n_fields, record, len);
		buf__puts(r->out, "}\n");
		return true;
	}
	for (i = 0; i < r->columns.n; i++)
		renderer__cell(r, &r->columns, i, record, len);
	return true;
}

void renderer__lost(struct renderer *r, enum loss kind, uint64_t count)
{
	static const struct {
		const char *kind, *before, *after;
	} told[N_LOSSES] = {
		[LOSS_RECORDS] = { "records", "lost ", " events" },
		[LOSS_SKIPPED] = { "skipped", "lost up to ",
				   " events: the kernel skipped a program that was still running" },
	};

	if (r->output == OUTPUT_JSON) {
		renderer__json_head(r, "lost_events");
		buf__puts(r->out, ",\"data\":{\"count\":");
		buf__unsigned(r->out, count);
		buf__puts(r->out, ",\"kind\":\"");
		buf__puts(r->out, told[kind].kind);
		buf__puts(r->out, "\"}}\n");
		return;
	}
	buf__puts(r->err, r->spec->tool);
	buf__puts(r->err, ": ");
	buf__puts(r->err, told[kind].before);
	buf__unsigned(r->err, count);
	buf__puts(r->err, told[kind].after);
	buf__putc(r->err, '\n');
}

struct trace_line {
	const char *comm, *message;
	size_t comm_len, message_len;
	uint64_t pid, cpu, seconds, microseconds;
};

static bool take_number(const char **p, const char *end, uint64_t *value)
{
	const char *start = *p;
	uint64_t v = 0;

	while (*p < end && **p >= '0' && **p <= '9' && *p - start < 19)
		v = v * 10 + (uint64_t)(*(*p)++ - '0');
	*value = v;
	return *p > start;
}

static bool take_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* Whether there were any. */
static bool skip_blanks(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && **p == ' ')
		(*p)++;
	return *p > start;
}

static void skip_to(const char **p, const char *end, char c)
{
	while (*p < end && **p != c)
		(*p)++;
}

#define TRACE_COMM_WIDTH 16

/* "            bash-1234    (   1234) [000] d..31  12.345678: bpf_trace_printk: message" */
static bool parse_trace_line(const char *p, size_t len, struct trace_line *t)
{
	const char *end = p + len, *digits;

	if (len <= TRACE_COMM_WIDTH)
		return false;
	t->comm = p;
	p += TRACE_COMM_WIDTH;
	skip_blanks(&t->comm, p);
	t->comm_len = (size_t)(p - t->comm);
	if (!take_char(&p, end, '-') || !take_number(&p, end, &t->pid))
		return false;
	if (!skip_blanks(&p, end))
		return false;
	if (take_char(&p, end, '(')) { /* the thread group, if the kernel is told to write it */
		skip_to(&p, end, ')');
		if (!take_char(&p, end, ')') || !skip_blanks(&p, end))
			return false;
	}
	if (!take_char(&p, end, '[') || !take_number(&p, end, &t->cpu) ||
	    !take_char(&p, end, ']') || !skip_blanks(&p, end))
		return false;
	skip_to(&p, end, ' '); /* flags */
	if (!skip_blanks(&p, end) || !take_number(&p, end, &t->seconds) || !take_char(&p, end, '.'))
		return false;
	digits = p;
	if (!take_number(&p, end, &t->microseconds) || p - digits != 6 ||
	    !take_char(&p, end, ':') || !take_char(&p, end, ' '))
		return false;
	skip_to(&p, end, ':'); /* function or address */
	if (!take_char(&p, end, ':') || !take_char(&p, end, ' '))
		return false;
	t->message = p;
	t->message_len = (size_t)(end - p);
	return true;
}

/* "CPU:0 [LOST 5 EVENTS]" */
static bool parse_lost_line(const char *p, size_t len, uint64_t *lost)
{
	const char *end = p + len;
	uint64_t cpu;

	static const char before[] = " [LOST ", after[] = " EVENTS]";

	if (len < 4 || memcmp(p, "CPU:", 4))
		return false;
	p += 4;
	if (!take_number(&p, end, &cpu) || (size_t)(end - p) < sizeof(before) ||
	    memcmp(p, before, sizeof(before) - 1))
		return false;
	p += sizeof(before) - 1;
	return take_number(&p, end, lost) && (size_t)(end - p) == sizeof(after) - 1 &&
	       !memcmp(p, after, sizeof(after) - 1);
}

static void put_time(struct buf *out, const struct trace_line *t, unsigned int zeros)
{
	buf__unsigned(out, t->seconds);
	buf__putc(out, '.');
	buf__zero_filled(out, t->microseconds, 6);
	buf__repeat(out, '0', zeros);
}

static void trace_json(struct renderer *r, const struct trace_line *t)
{
	renderer__json_head(r, "printk");
	buf__puts(r->out, ",\"data\":{\"time\":");
	put_time(r->out, t, 0);
	buf__puts(r->out, ",\"comm\":");
	buf__json_string(r->out, t->comm, t->comm_len);
	buf__puts(r->out, ",\"pid\":");
	buf__unsigned(r->out, t->pid);
	buf__puts(r->out, ",\"cpu\":");
	buf__unsigned(r->out, t->cpu);
	buf__puts(r->out, ",\"message\":");
	buf__json_string(r->out, t->message, t->message_len);
	buf__puts(r->out, "}}\n");
}

static void trace_csv(struct renderer *r, const struct trace_line *t)
{
	size_t start;

	put_time(r->out, t, 0);
	buf__putc(r->out, ',');
	start = r->out->len;
	buf__escaped(r->out, t->comm, t->comm_len);
	buf__csv_quote(r->out, start);
	buf__putc(r->out, ',');
	buf__unsigned(r->out, t->pid);
	buf__putc(r->out, ',');
	buf__unsigned(r->out, t->cpu);
	buf__putc(r->out, ',');
	start = r->out->len;
	buf__escaped(r->out, t->message, t->message_len);
	buf__csv_quote(r->out, start);
	buf__putc(r->out, '\n');
}

static void trace_columns(struct renderer *r, const struct trace_line *t)
{
	size_t start = r->out->len;

	put_time(r->out, t, 3);
	buf__pad(r->out, start, 18, false);
	buf__putc(r->out, ' ');
	start = r->out->len;
	buf__escaped(r->out, t->comm, t->comm_len);
	buf__pad(r->out, start, 16, false);
	buf__putc(r->out, ' ');
	start = r->out->len;
	buf__unsigned(r->out, t->pid);
	buf__pad(r->out, start, 6, false);
	buf__putc(r->out, ' ');
	buf__escaped(r->out, t->message, t->message_len);
	buf__putc(r->out, '\n');
}

uint64_t renderer__trace(struct renderer *r, const char *line, size_t len)
{
	struct trace_line t;
	uint64_t lost;

	if (parse_lost_line(line, len, &lost))
		return lost;
	if (!parse_trace_line(line, len, &t))
		return 0;
	if (r->output == OUTPUT_JSON) {
		trace_json(r, &t);
	} else if (r->output == OUTPUT_CSV) {
		trace_csv(r, &t);
	} else if (r->spec->trace_pipe.columns) {
		trace_columns(r, &t);
	} else {
		buf__escaped(r->out, line, len);
		buf__putc(r->out, '\n');
	}
	return 0;
}
