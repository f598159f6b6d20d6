// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/flame.h"

#include <stdlib.h>

#define ROW 18
#define ABOVE 48
#define BELOW 10
/* Frames of less than one of so many parts of the whole are too narrow to see. */
#define PARTS 20000

/* Style and script of the graph, files of this folder. */
#define EMBED(name, path)                                                                          \
	__asm__(".section .rodata\n" #name ":\n.incbin \"" path "\"\n.byte 0\n.previous\n");       \
	extern const char name[] __attribute__((visibility("hidden")))

EMBED(flame_css, "flame.css");
EMBED(flame_js, "flame.js");

/* Of each kind the lowest red, green and blue, and how far above them a name's colour may lie. */
static const struct palette {
	char kind;
	unsigned int low[3], more[3];
} palettes[] = {
	{ 'c', { 196, 208, 196 }, { 20, 20, 20 } },
	{ 'u', { 225, 120, 60 }, { 28, 110, 40 } },
	{ 'k', { 110, 170, 215 }, { 40, 45, 35 } },
};

/* A frame whose inner ones are not all drawn yet. */
struct open_frame {
	const char *frame;
	uint64_t start;
};

struct drawing {
	struct buf *out;
	const char *unit;
	uint64_t total, place;
	unsigned int height;
	struct open_frame *open;
	size_t depth;
};

static void put_xml(struct buf *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			buf__puts(out, "&amp;");
			break;
		case '<':
			buf__puts(out, "&lt;");
			break;
		case '>':
			buf__puts(out, "&gt;");
			break;
		case '"':
			buf__puts(out, "&quot;");
			break;
		default:
			buf__putc(out, *s);
		}
	}
}

/* A share in percent, cut after 2 or 4 digits. */
static void put_part(struct buf *out, uint64_t value, uint64_t total, unsigned int digits)
{
	unsigned int scale = digits == 2 ? 100 : 10000;
	unsigned __int128 part = (unsigned __int128)value * 100 * scale / total;

	buf__unsigned(out, (uint64_t)(part / scale));
	buf__putc(out, '.');
	buf__zero_filled(out, (uint64_t)(part % scale), digits);
}

static void put_color(struct buf *out, char kind, const char *name)
{
	const struct palette *palette = palettes;
	uint32_t code = 2166136261u; /* FNV-1a */
	unsigned int i;

	for (; *name; name++)
		code = (code ^ (unsigned char)*name) * 16777619u;
	while (palette->kind != kind)
		palette++;
	buf__putc(out, '#');
	for (i = 0; i < 3; i++)
		buf__printf(out, "%02x",
			    palette->low[i] + (code >> 8 * i & 255) * palette->more[i] / 255);
}

static void draw_frame(struct drawing *d, const char *frame, size_t depth, uint64_t start,
		       uint64_t value)
{
	const char *name = frame + 1;
	struct buf *out = d->out;

	if ((unsigned __int128)value * PARTS < d->total)
		return;
	buf__puts(out, "<svg x=\"");
	put_part(out, start, d->total, 4);
	buf__printf(out, "%%\" y=\"%u\" width=\"",
		    d->height - BELOW - ((unsigned int)depth + 1) * ROW);
	put_part(out, value, d->total, 4);
	buf__printf(out, "%%\" height=\"%u\" data-start=\"", ROW);
	buf__unsigned(out, start);
	buf__puts(out, "\" data-value=\"");
	buf__unsigned(out, value);
	buf__puts(out, "\" data-depth=\"");
	buf__unsigned(out, depth);
	buf__puts(out, "\"><title>");
	put_xml(out, name);
	buf__puts(out, " (");
	buf__unsigned(out, value);
	buf__putc(out, ' ');
	put_xml(out, d->unit);
	buf__puts(out, ", ");
	put_part(out, value, d->total, 2);
	buf__puts(out, "%)</title><rect width=\"100%\" height=\"100%\" fill=\"");
	put_color(out, frame[0], name);
	buf__puts(out, "\"/><text x=\"4\" y=\"13\">");
	put_xml(out, name);
	buf__puts(out, "</text></svg>\n");
}

/* Draw the innermost open frames until `depth` are left. */
static void close_frames(struct drawing *d, size_t depth)
{
	struct open_frame *frame;

	while (d->depth > depth) {
		frame = &d->open[--d->depth];
		draw_frame(d, frame->frame, d->depth + 1, frame->start, d->place - frame->start);
	}
}

static const char *next_frame(const char *frame)
{
	return frame + strlen(frame) + 1;
}

static void draw_stack(struct drawing *d, const struct flame_stack *stack)
{
	const char *frame = stack->frames, *end = frame + stack->len;
	size_t same = 0;

	for (; same < d->depth && frame < end; same++, frame = next_frame(frame)) {
		if (strcmp(d->open[same].frame, frame))
			break;
	}
	close_frames(d, same);
	for (; frame < end; frame = next_frame(frame))
		d->open[d->depth++] = (struct open_frame){ frame, d->place };
	d->place += stack->value;
}

/* The NUL after each frame sorts before everything, so a stack sorts before what it began. */
int flame_stack__compare(const struct flame_stack *a, const struct flame_stack *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int order = n ? memcmp(a->frames, b->frames, n) : 0;

	return order ? order : a->len < b->len ? -1 : a->len > b->len;
}

static int by_frames(const void *a, const void *b)
{
	return flame_stack__compare(a, b);
}

static size_t count_frames(const struct flame_stack *stack)
{
	const char *end = stack->frames + stack->len, *frame;
	size_t n = 0;

	for (frame = stack->frames; frame < end; frame = next_frame(frame))
		n++;
	return n;
}

static void draw_around(struct drawing *d, const char *title, struct flame_stack *stacks, size_t n)
{
	struct buf *out = d->out;
	size_t i;

	buf__puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	buf__printf(out,
		    "<svg id=\"flame\" xmlns=\"http://www.w3.org/2000/svg\" width=\"100%%\" "
		    "height=\"%u\">\n",
		    d->height);
	buf__puts(out, "<style><![CDATA[\n");
	buf__puts(out, flame_css);
	buf__puts(out, "]]></style>\n"
		       "<rect width=\"100%\" height=\"100%\" fill=\"none\"/>\n"
		       "<text id=\"title\" x=\"50%\" y=\"26\">");
	put_xml(out, title);
	buf__puts(out, "</text>\n"
		       "<g id=\"unzoom\"><text x=\"10\" y=\"26\">Reset zoom</text></g>\n"
		       "<svg x=\"100%\" width=\"1\" height=\"48\" overflow=\"visible\">\n"
		       "<text id=\"matched\" x=\"-250\" y=\"26\"></text>\n"
		       "<foreignObject x=\"-240\" y=\"9\" width=\"230\" height=\"26\">"
		       "<input xmlns=\"http://www.w3.org/1999/xhtml\" id=\"search\" "
		       "type=\"search\" placeholder=\"Search (Ctrl-F)\"/></foreignObject>\n"
		       "</svg>\n"
		       "<g id=\"frames\" data-total=\"");
	buf__unsigned(out, d->total);
	buf__puts(out, "\">\n");
	for (i = 0; i < n; i++) {
		if (stacks[i].value)
			draw_stack(d, &stacks[i]);
	}
	close_frames(d, 0);
	if (d->total)
		draw_frame(d, "call", 0, 0, d->total);
	buf__puts(out, "</g>\n<script><![CDATA[\n");
	buf__puts(out, flame_js);
	buf__puts(out, "]]></script>\n</svg>\n");
}

void flame__draw(struct buf *out, const char *title, const char *unit, struct flame_stack *stacks,
		 size_t n)
{
	struct drawing d = { .out = out, .unit = unit };
	size_t i, frames, deepest = 0;

	if (n)
		qsort(stacks, n, sizeof(*stacks), by_frames);
	for (i = 0; i < n; i++) {
		/* What took no time has no width. */
		if (!stacks[i].value)
			continue;
		d.total += stacks[i].value;
		frames = count_frames(&stacks[i]);
		deepest = frames > deepest ? frames : deepest;
	}
	d.height = ABOVE + ((unsigned int)deepest + 1) * ROW + BELOW;
	d.open = calloc(deepest + 1, sizeof(*d.open));
	if (d.open)
		draw_around(&d, title, stacks, n);
	else
		out->failed = true;
	free(d.open);
}
