// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/trace.h"

#include <string.h>

#include "output/sink.h"

struct trace_line {
	const char *line; /* all of it */
	size_t len;
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

static struct sink_value value_of_time(const struct trace_line *t)
{
	struct sink_value time = { .kind = VALUE_SECONDS,
				   .seconds = t->seconds,
				   .millionths = t->microseconds };

	return time;
}

static const struct sink_column columns[] = {
	{ "time", 1 }, { "comm", 2 }, { "pid", 3 }, { "cpu", 4 }, { "message", 5 },
};
const struct sink_columns trace_columns = { columns, sizeof(columns) / sizeof(columns[0]) };

void trace__draw_headings(struct buf *out)
{
	buf__printf(out, "%-18s %-16s %-6s %s\n", "TIME(s)", "COMM", "PID", "MESSAGE");
}

static void draw_columns(struct buf *out, const struct trace_line *t)
{
	const struct sink_value time = value_of_time(t);
	size_t start = out->len;

	sink_value__put_number(out, &time);
	buf__puts(out, "000");
	buf__pad(out, start, 18, false);
	buf__putc(out, ' ');
	start = out->len;
	buf__escaped(out, t->comm, t->comm_len);
	buf__pad(out, start, 16, false);
	buf__putc(out, ' ');
	start = out->len;
	buf__unsigned(out, t->pid);
	buf__pad(out, start, 6, false);
	buf__putc(out, ' ');
	buf__escaped(out, t->message, t->message_len);
	buf__putc(out, '\n');
}

static void draw(struct sink *s, const struct sink_view *view)
{
	const struct trace_line *t = view->data;

	if (s->spec->trace_pipe.columns) {
		draw_columns(s->out, t);
		return;
	}
	buf__escaped(s->out, t->line, t->len);
	buf__putc(s->out, '\n');
}

static void tell(struct sink *s, const struct sink_view *view)
{
	const struct trace_line *t = view->data;
	const struct sink_value values[] = {
		value_of_time(t),
		sink_value__bytes(t->comm, t->comm_len),
		sink_value__int((json_int)t->pid),
		sink_value__int((json_int)t->cpu),
		sink_value__bytes(t->message, t->message_len),
	};

	s->ops->row(s, &trace_columns, values);
}

uint64_t trace__show(struct sink *s, const char *line, size_t len)
{
	struct trace_line t = { .line = line, .len = len };
	const struct sink_view view = {
		.type = "printk", .shape = SHAPE_ROW, .data = &t, .draw = draw, .tell = tell
	};
	uint64_t lost;

	if (parse_lost_line(line, len, &lost))
		return lost;
	if (parse_trace_line(line, len, &t))
		sink__show(s, &view);
	return 0;
}
