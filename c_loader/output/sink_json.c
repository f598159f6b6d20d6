// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* An object a line (docs/output.md). */
#include <arpa/inet.h>
#include <string.h>

#include "output/sink.h"

struct json_state {
	bool more; /* what comes next in a list or object is not the first */
};

static void put_string(struct buf *out, const char *s)
{
	buf__json_string(out, s, strlen(s));
}

/* A comma where one is due. */
static void part(struct sink *s)
{
	struct json_state *state = s->state;

	if (state->more)
		buf__putc(s->out, ',');
	state->more = true;
}

/* -- fields as they lie in memory ------------------------------------------------------------- */

static void put_object(struct buf *out, const struct field *fields, size_t n, const uint8_t *base,
		       size_t len);

static void put_args(struct buf *out, const char *p, size_t n)
{
	size_t at, len;

	buf__putc(out, '[');
	for (at = 0; at < n; at += len + 1) {
		len = strnlen(p + at, n - at);
		if (at)
			buf__putc(out, ',');
		buf__json_string(out, p + at, len);
	}
	buf__putc(out, ']');
}

/* As the format of the field's column has it. */
static void put_formatted(struct buf *out, const struct field *field, const uint8_t *base,
			  size_t len)
{
	struct buf plain = { 0 };
	const char *s;
	size_t n;

	switch (field->column->format) {
	case FORMAT_IPV4:
	case FORMAT_IPV6:
	case FORMAT_IP:
		buf__putc(out, '"');
		format__address(out, field->column->format, base + field->offset);
		buf__putc(out, '"');
		break;
	case FORMAT_PORT:
		buf__unsigned(out, ntohs((uint16_t)field__load(field, base, 0)));
		break;
	case FORMAT_ARGS:
		s = format__args(field, base, len, &n);
		put_args(out, s, n);
		break;
	default:
		format__plain(&plain, FORMAT_PATH, field, base, len);
		buf__json_string(out, plain.data, plain.len);
		out->failed |= plain.failed;
		buf__free(&plain);
		break;
	}
}

static void put_element(struct buf *out, const struct field *field, const uint8_t *base, size_t len,
			uint32_t i)
{
	size_t at = field->offset + (size_t)i * field->size;
	size_t room = len > at ? len - at : 0;

	switch (field->kind) {
	case FIELD_STRING:
		room = room < field->size ? room : field->size;
		buf__json_string(out, base + at, room ? strnlen((const char *)base + at, room) : 0);
		break;
	case FIELD_STRUCT:
		put_object(out, field->fields, field->n_fields, base + at, room);
		break;
	case FIELD_BOOL:
		buf__puts(out, field__load(field, base, i) ? "true" : "false");
		break;
	case FIELD_INT:
		buf__signed(out, (int64_t)field__load(field, base, i));
		break;
	default:
		buf__unsigned(out, field__load(field, base, i));
		break;
	}
}

static void put_field(struct buf *out, const struct field *field, const uint8_t *base, size_t len)
{
	uint32_t i;

	if (field->column) {
		put_formatted(out, field, base, len);
		return;
	}
	if (!field->count) {
		put_element(out, field, base, len, 0);
		return;
	}
	buf__putc(out, '[');
	for (i = 0; i < field->count; i++) {
		if (i)
			buf__putc(out, ',');
		put_element(out, field, base, len, i);
	}
	buf__putc(out, ']');
}

/* {"name":value,...}; those that only fill up are left out. */
static void put_object(struct buf *out, const struct field *fields, size_t n, const uint8_t *base,
		       size_t len)
{
	bool first = true;
	size_t i;

	buf__putc(out, '{');
	for (i = 0; i < n; i++) {
		if (format__is_filling(&fields[i]))
			continue;
		if (!first)
			buf__putc(out, ',');
		first = false;
		put_string(out, fields[i].name);
		buf__putc(out, ':');
		put_field(out, &fields[i], base, len);
	}
	buf__putc(out, '}');
}

/* -- what is told ------------------------------------------------------------------------------ */

/* {"type":TYPE,"tool":TOOL */
static void put_head(struct sink *s, const char *type)
{
	buf__puts(s->out, "{\"type\":\"");
	buf__puts(s->out, type);
	buf__puts(s->out, "\",\"tool\":");
	put_string(s->out, s->spec->tool);
}

static void json_event(struct sink *s, const uint8_t *record, size_t len)
{
	const struct events *events = &s->spec->events;

	put_head(s, "event");
	buf__puts(s->out, ",\"data\":");
	put_object(s->out, events->fields, events->n_fields, record, len);
	buf__puts(s->out, "}\n");
}

static void json_show(struct sink *s, const struct sink_view *view)
{
	static const char *const open[] = { [SHAPE_ROWS] = "[", [SHAPE_PAIRS] = "{" };
	static const char *const close[] = { [SHAPE_ROWS] = "]", [SHAPE_PAIRS] = "}" };
	struct json_state *state = s->state;

	put_head(s, view->type);
	if (view->report) {
		buf__puts(s->out, ",\"report\":");
		put_string(s->out, view->report->name);
	}
	if (view->report && view->report->time) {
		buf__puts(s->out, ",\"time\":\"");
		buf__puts(s->out,
			  formatter__hms(&s->formatter, (json_int)view->now_wall_ns, false));
		buf__putc(s->out, '"');
	}
	buf__puts(s->out, ",\"data\":");
	if (view->shape != SHAPE_ROW)
		buf__puts(s->out, open[view->shape]);
	state->more = false;
	view->tell(s, view);
	if (view->shape != SHAPE_ROW)
		buf__puts(s->out, close[view->shape]);
	buf__puts(s->out, "}\n");
}

/* The value of a group's field, as the field of the key is shown. */
static void put_group_key(struct buf *out, const struct sink_group *group)
{
	size_t i;

	buf__puts(out, "\"key\":{");
	for (i = 0; i < group->fields->n; i++) {
		const struct column *c = &group->fields->list[i];
		struct field f = c->field;

		if (i)
			buf__putc(out, ',');
		f.column = format__changes_json(c->format) ? c : NULL;
		put_string(out, f.name);
		buf__putc(out, ':');
		put_field(out, &f, group->key, group->key_size);
	}
	buf__puts(out, "},");
}

static void json_begin_group(struct sink *s, const struct sink_group *group)
{
	struct json_state *state = s->state;

	part(s);
	buf__putc(s->out, '{');
	if (group->fields->n)
		put_group_key(s->out, group);
	buf__puts(s->out, "\"unit\":");
	put_string(s->out, group->unit);
	buf__puts(s->out, ",\"");
	buf__puts(s->out, group->rows);
	buf__puts(s->out, "\":[");
	state->more = false;
}

static void json_end_group(struct sink *s)
{
	struct json_state *state = s->state;

	buf__puts(s->out, "]}");
	state->more = true;
}

static void put_stack(struct buf *out, const struct sink_value *stack)
{
	size_t i;

	if (stack->missed) {
		buf__puts(out, "null");
		return;
	}
	buf__putc(out, '[');
	for (i = 0; i < stack->n; i++) {
		if (i)
			buf__putc(out, ',');
		put_string(out, stack->names[i]);
	}
	buf__putc(out, ']');
}

static void put_value(struct buf *out, const struct sink_value *value)
{
	if (sink_value__put_number(out, value))
		return;
	if (value->kind == VALUE_WORD)
		put_string(out, value->word);
	else if (value->kind == VALUE_STACK)
		put_stack(out, value);
	else
		buf__json_string(out, value->bytes, value->len);
}

static void json_row(struct sink *s, const struct sink_columns *columns,
		     const struct sink_value *values)
{
	size_t i;

	part(s);
	for (i = 0; i < columns->n; i++) {
		buf__puts(s->out, i ? ",\"" : "{\"");
		buf__puts(s->out, columns->list[i].name);
		buf__puts(s->out, "\":");
		put_value(s->out, &values[i]);
	}
	buf__putc(s->out, '}');
}

static void json_pair(struct sink *s, const char *name, const struct sink_value *value)
{
	part(s);
	put_string(s->out, name);
	buf__putc(s->out, ':');
	put_value(s->out, value);
}

static void put_side(struct buf *out, const struct map_side *side, const char *name,
		     const uint8_t *base)
{
	buf__putc(out, '"');
	buf__puts(out, name);
	buf__puts(out, "\":");
	if (side->n_fields == 1 && !strcmp(side->fields[0].name, name))
		put_field(out, &side->fields[0], base, side->size);
	else
		put_object(out, side->fields, side->n_fields, base, side->size);
}

static void json_entry(struct sink *s, const struct shown_columns *columns, const uint8_t *key,
		       const uint8_t *value)
{
	const struct report *report = s->view->report;

	(void)columns;
	part(s);
	buf__putc(s->out, '{');
	if (!report->sum) {
		put_side(s->out, &report->key, "key", key);
		buf__putc(s->out, ',');
	}
	put_side(s->out, &report->value, "value", value);
	buf__putc(s->out, '}');
}

const struct sink_operations sink_json = {
	.state_size = sizeof(struct json_state),
	.event = json_event,
	.show = json_show,
	.notice = json_show,
	.begin_group = json_begin_group,
	.end_group = json_end_group,
	.row = json_row,
	.pair = json_pair,
	.entry = json_entry,
};
