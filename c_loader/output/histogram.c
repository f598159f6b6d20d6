// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reports of kinds "log2" and "linear". */
#include <stdlib.h>
#include <string.h>

#include "output/report.h"

/* The slots that BCC's histograms have. */
#define LOG2_SLOTS 65
#define LINEAR_SLOTS 1025
#define STARS 40

struct histogram {
	uint64_t counts[LINEAR_SLOTS];
	int last; /* slot that is not zero, -1 if none */
	uint64_t largest;
};

static int slots_of(const struct report *report)
{
	return report->kind == REPORT_LOG2 ? LOG2_SLOTS : LINEAR_SLOTS;
}

static int compare_section(const struct field *f, const uint8_t *a, const uint8_t *b)
{
	if (f->kind == FIELD_STRUCT || f->count)
		return memcmp(a + f->offset, b + f->offset, field__total(f));
	return field__compare(f, a, b);
}

static int compare_sections(const struct report *report, const uint8_t *a, const uint8_t *b)
{
	int order = 0;
	size_t i;

	for (i = 0; i < report->sections.n && !order; i++)
		order = compare_section(&report->sections.list[i].field, a, b);
	return order;
}

static int by_section(const void *a, const void *b, void *report)
{
	return compare_sections(report, a, b);
}

/* Add up entries first to (not including) end. */
static void fill_histogram(const struct report *report, const struct entries *entries, size_t first,
			   size_t end, struct histogram *h)
{
	int slots = slots_of(report), i;
	uint64_t slot;

	memset(h, 0, sizeof(*h));
	for (; first < end; first++) {
		slot = field__load(&report->slot, entries__key(entries, first), 0);
		if (slot < (uint64_t)slots)
			h->counts[slot] += field__bits(&report->value.fields[0],
						       entries__value(entries, first));
	}
	h->last = -1;
	for (i = 0; i < slots; i++) {
		if (h->counts[i])
			h->last = i;
		if (h->counts[i] > h->largest)
			h->largest = h->counts[i];
	}
}

static const char *heading_of(const struct sink *s, const struct report *report)
{
	size_t i;

	for (i = 0; i < report->n_headings; i++) {
		if (options__hold(s->options, &report->headings[i].when))
			return report->headings[i].text;
	}
	return report->heading;
}

static void bucket_range(const struct report *report, int slot, json_int *low, json_int *high)
{
	if (report->kind == REPORT_LOG2) {
		*high = ((json_int)1 << slot) - 1;
		*low = slot == 1 ? 0 : (json_int)1 << (slot - 1);
	} else {
		*low = report->base + (json_int)slot * report->step;
		*high = *low + report->step - 1;
	}
}

/* log2's slots are counted from 1. */
static int first_slot(const struct report *report)
{
	return report->kind == REPORT_LOG2;
}

static void put_padded(struct buf *out, json_int v, size_t width, bool right)
{
	size_t start = out->len;

	if (v < 0)
		buf__signed(out, (int64_t)v);
	else
		buf__unsigned(out, (uint64_t)v);
	buf__pad(out, start, width, right);
}

static void draw_one(struct sink *s, const struct report *report, const struct histogram *h)
{
	bool log2 = report->kind == REPORT_LOG2, wide = log2 && h->last > 32;
	size_t number = wide ? 20 : 10, stars = wide ? STARS / 2 : STARS, start, n;
	struct buf *out = s->out;
	json_int low, high;
	int i;

	if (h->last < first_slot(report))
		return;
	buf__repeat(out, ' ', wide ? 15 : 5);
	start = out->len;
	buf__puts(out, heading_of(s, report));
	buf__pad(out, start, wide ? 29 : log2 ? 19 : 13, false);
	buf__puts(out, " : count     distribution\n");
	for (i = first_slot(report); i <= h->last; i++) {
		bucket_range(report, i, &low, &high);
		if (log2) {
			put_padded(out, low, number, true);
			buf__puts(out, " -> ");
			put_padded(out, high, number, false);
		} else {
			buf__repeat(out, ' ', 8);
			put_padded(out, low, number, false);
		}
		buf__puts(out, " : ");
		put_padded(out, (json_int)h->counts[i], 8, false);
		buf__puts(out, " |");
		n = (size_t)((unsigned __int128)h->counts[i] * stars / h->largest);
		buf__repeat(out, '*', n);
		buf__repeat(out, ' ', stars - n);
		buf__puts(out, "|\n");
	}
}

static void section_heading(struct sink *s, const struct shown_columns *sections,
			    const uint8_t *key, size_t len)
{
	size_t i;

	if (!sections->n)
		return;
	buf__putc(s->out, '\n');
	for (i = 0; i < sections->n; i++) {
		if (i)
			buf__puts(s->out, ", ");
		buf__puts(s->out, sections->list[i].column->heading);
		buf__puts(s->out, " = ");
		formatter__text(&s->formatter, s->out, &sections->list[i], key, len);
	}
	buf__putc(s->out, '\n');
}

/* -- all sections ------------------------------------------------------------------------------ */

struct histograms {
	const struct shown_columns *sections;
	const struct entries *entries; /* in the order of their sections */
	struct histogram *one; /* the section that is being shown */
};

/*
 * The section that begins with the first-th entry, added up. Returns where the next one begins.
 * Without sections there is one, also if there are no entries.
 */
static size_t next_section(const struct report *report, const struct histograms *h, size_t first)
{
	const uint8_t *key = entries__key(h->entries, first);
	size_t end;

	for (end = first; end < h->entries->n; end++) {
		if (compare_sections(report, key, entries__key(h->entries, end)))
			break;
	}
	fill_histogram(report, h->entries, first, end, h->one);
	return end;
}

static bool has_sections(const struct report *report, const struct histograms *h)
{
	return h->entries->n || !report->sections.n;
}

static void draw(struct sink *s, const struct sink_view *view)
{
	const struct histograms *h = view->data;
	const struct report *report = view->report;
	size_t at = 0;

	if (!has_sections(report, h))
		return;
	do {
		const uint8_t *key = entries__key(h->entries, at);

		at = next_section(report, h, at);
		section_heading(s, h->sections, key, report->key.size);
		draw_one(s, report, h->one);
	} while (at < h->entries->n);
}

static const struct sink_column bucket_columns[] = { { "low", 1 }, { "high", 2 }, { "count", 3 } };
static const struct sink_columns buckets = { bucket_columns, 3 };

static void tell_one(struct sink *s, const struct report *report, const struct histogram *h)
{
	json_int low, high;
	int i;

	for (i = first_slot(report); i <= h->last; i++) {
		if (!h->counts[i])
			continue;
		bucket_range(report, i, &low, &high);
		const struct sink_value values[] = { sink_value__int(low), sink_value__int(high),
						     sink_value__int((json_int)h->counts[i]) };

		s->ops->row(s, &buckets, values);
	}
}

static void tell(struct sink *s, const struct sink_view *view)
{
	const struct histograms *h = view->data;
	const struct report *report = view->report;
	struct sink_group group = {
		.fields = &report->sections,
		.shown = h->sections,
		.key_size = report->key.size,
		.unit = heading_of(s, report),
		.rows = "buckets",
	};
	size_t at = 0;

	sink__headings(s, h->sections, &buckets);
	if (!has_sections(report, h))
		return;
	do {
		group.key = entries__key(h->entries, at);
		at = next_section(report, h, at);
		s->ops->begin_group(s, &group);
		tell_one(s, report, h->one);
		sink__end_group(s);
	} while (at < h->entries->n);
}

void histogram__show(struct sink *s, const struct report *report, struct entries *entries,
		     uint64_t now_wall_ns)
{
	struct shown_columns sections;
	struct histograms h = {
		.sections = &sections,
		.entries = entries,
		.one = malloc(sizeof(*h.one)),
	};
	const struct sink_view view = {
		.type = "histogram",
		.shape = SHAPE_ROWS,
		.report = report,
		.now_wall_ns = now_wall_ns,
		.data = &h,
		.draw = draw,
		.tell = tell,
	};

	if (!shown_columns__init(&sections, &report->sections, s->options) || !h.one) {
		s->out->failed = true;
		goto cleanup;
	}
	if (entries->n)
		qsort_r(entries->data, entries->n, entries->key_size + entries->value_size,
			by_section, (void *)report);
	sink__show(s, &view);
cleanup:
	shown_columns__free(&sections);
	free(h.one);
}
