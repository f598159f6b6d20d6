// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The slots that BCC's histograms have. */
#define LOG2_SLOTS 65
#define LINEAR_SLOTS 1025
#define STARS 40

/* -- histograms ------------------------------------------------------------------------------ */

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

static const char *heading_of(const struct renderer *r, const struct report *report)
{
	size_t i;

	for (i = 0; i < report->n_headings; i++) {
		if (options__hold(r->options, &report->headings[i].when))
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

/* JSON and CSV count log2's slots from 1, as text does. */
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

static void histogram_text(struct renderer *r, const struct report *report,
			   const struct histogram *h)
{
	bool log2 = report->kind == REPORT_LOG2, wide = log2 && h->last > 32;
	size_t number = wide ? 20 : 10, stars = wide ? STARS / 2 : STARS, start, n;
	struct buf *out = r->out;
	json_int low, high;
	int i;

	if (h->last < first_slot(report))
		return;
	buf__repeat(out, ' ', wide ? 15 : 5);
	start = out->len;
	buf__puts(out, heading_of(r, report));
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

static void section_heading(struct renderer *r, const struct shown_columns *sections,
			    const uint8_t *key, size_t len)
{
	size_t i;

	if (!sections->n)
		return;
	buf__putc(r->out, '\n');
	for (i = 0; i < sections->n; i++) {
		if (i)
			buf__puts(r->out, ", ");
		buf__puts(r->out, sections->list[i].column->heading);
		buf__puts(r->out, " = ");
		formatter__text(&r->formatter, r->out, &sections->list[i], key, len);
	}
	buf__putc(r->out, '\n');
}

/* The value of a section's field, as the field of the key is shown. */
static void json_section_key(struct renderer *r, const struct report *report, const uint8_t *key)
{
	struct buf *out = r->out;
	size_t i;

	buf__puts(out, "\"key\":{");
	for (i = 0; i < report->sections.n; i++) {
		const struct column *c = &report->sections.list[i];
		struct field f = c->field;

		if (i)
			buf__putc(out, ',');
		f.column = format__changes_json(c->format) ? c : NULL;
		buf__json_string(out, f.name, strlen(f.name));
		buf__putc(out, ':');
		format__json_value(out, &f, key, report->key.size);
	}
	buf__puts(out, "},");
}

static void put_int(struct buf *out, json_int v)
{
	put_padded(out, v, 0, false);
}

static void histogram_json(struct renderer *r, const struct report *report,
			   const struct histogram *h, const uint8_t *key)
{
	const char *heading = heading_of(r, report);
	struct buf *out = r->out;
	json_int low, high;
	bool first = true;
	int i;

	buf__putc(out, '{');
	if (report->sections.n)
		json_section_key(r, report, key);
	buf__puts(out, "\"unit\":");
	buf__json_string(out, heading, strlen(heading));
	buf__puts(out, ",\"buckets\":[");
	for (i = first_slot(report); i <= h->last; i++) {
		if (!h->counts[i])
			continue;
		if (!first)
			buf__putc(out, ',');
		first = false;
		bucket_range(report, i, &low, &high);
		buf__puts(out, "{\"low\":");
		put_int(out, low);
		buf__puts(out, ",\"high\":");
		put_int(out, high);
		buf__puts(out, ",\"count\":");
		buf__unsigned(out, h->counts[i]);
		buf__putc(out, '}');
	}
	buf__puts(out, "]}");
}

static void put_csv_word(struct buf *out, const char *word)
{
	size_t start = out->len;

	buf__puts(out, word);
	buf__csv_quote(out, start);
	buf__putc(out, ',');
}

static void histogram_csv(struct renderer *r, const struct report *report,
			  const struct shown_columns *sections, const struct histogram *h,
			  const uint8_t *key)
{
	struct buf *out = r->out;
	json_int low, high;
	size_t j, start;
	int i;

	for (i = first_slot(report); i <= h->last; i++) {
		if (!h->counts[i])
			continue;
		put_csv_word(out, report->name);
		for (j = 0; j < sections->n; j++) {
			start = out->len;
			formatter__text(&r->formatter, out, &sections->list[j], key,
					report->key.size);
			buf__csv_quote(out, start);
			buf__putc(out, ',');
		}
		bucket_range(report, i, &low, &high);
		put_int(out, low);
		buf__putc(out, ',');
		put_int(out, high);
		buf__putc(out, ',');
		buf__unsigned(out, h->counts[i]);
		buf__putc(out, '\n');
	}
}

static void print_histograms(struct renderer *r, const struct report *report,
			     const struct shown_columns *sections, struct entries *entries)
{
	size_t size = entries->key_size + entries->value_size, first, end;
	struct histogram *h;

	h = malloc(sizeof(*h));
	if (!h) {
		r->out->failed = true;
		return;
	}
	if (r->output == OUTPUT_CSV) {
		buf__puts(r->out, "report,");
		for (first = 0; first < sections->n; first++)
			put_csv_word(r->out, sections->list[first].column->label);
		buf__puts(r->out, "low,high,count\n");
	}
	if (entries->n)
		qsort_r(entries->data, entries->n, size, by_section, (void *)report);
	first = 0;
	do {
		if (!entries->n && report->sections.n)
			break;
		const uint8_t *key = entries__key(entries, first);

		for (end = first; end < entries->n; end++) {
			if (compare_sections(report, key, entries__key(entries, end)))
				break;
		}
		fill_histogram(report, entries, first, end, h);
		if (r->output == OUTPUT_JSON) {
			if (first)
				buf__putc(r->out, ',');
			histogram_json(r, report, h, key);
		} else if (r->output == OUTPUT_CSV) {
			histogram_csv(r, report, sections, h, key);
		} else {
			section_heading(r, sections, key, report->key.size);
			histogram_text(r, report, h);
		}
		first = end;
	} while (first < entries->n);
	free(h);
}

/* -- tables ---------------------------------------------------------------------------------- */

struct order {
	const struct report *report;
	const struct sort *sort;
};

static int by_order(const void *a, const void *b, void *arg)
{
	const struct order *order = arg;
	const struct report *report = order->report;
	const struct sort *sort = order->sort;
	size_t skip, i;
	int result = 0;

	if (sort) {
		skip = sort->of == PART_VALUE ? report->key.size : 0;
		result = field__compare(&sort->field, (const uint8_t *)a + skip,
					(const uint8_t *)b + skip);
		if (!sort->ascending)
			result = -result;
	}
	for (i = 0; i < report->key.n_fields && !result; i++)
		result = field__compare(&report->key.fields[i], a, b);
	return result ? result : memcmp(a, b, report->key.size);
}

static void json_side(struct buf *out, const struct map_side *side, const char *name,
		      const uint8_t *base)
{
	if (side->n_fields == 1 && !strcmp(side->fields[0].name, name))
		format__json_value(out, &side->fields[0], base, side->size);
	else
		format__json_object(out, side->fields, side->n_fields, base, side->size);
}

/* What an array holds from the start is no row. */
static void drop_zero_entries(struct entries *entries)
{
	size_t size = entries->key_size + entries->value_size, kept = 0, i;

	for (i = 0; i < entries->n; i++) {
		if (entries__is_zero(entries__value(entries, i), entries->value_size))
			continue;
		memmove(entries__key(entries, kept++), entries__key(entries, i), size);
	}
	entries->n = kept;
}

/* One row out of all; its key is zero. */
static void add_up_entries(struct renderer *r, const struct report *report, struct entries *entries)
{
	size_t size = entries->key_size + entries->value_size;
	struct entries sum = *entries;

	sum.n = 1;
	sum.data = calloc(1, size);
	if (!sum.data) {
		r->out->failed = true;
		return;
	}
	report__sum_cpus(report, entries__value(&sum, 0),
			 entries->n ? entries__value(entries, 0) : NULL, size, entries->n);
	free(entries->data);
	*entries = sum;
}

static void print_row(struct renderer *r, const struct report *report,
		      const struct shown_columns *columns, const uint8_t *key, const uint8_t *value)
{
	size_t i;

	for (i = 0; i < columns->n; i++) {
		const struct column *c = columns->list[i].column;
		bool of_key = c->of == PART_KEY;

		if (report->inline_headings && r->output == OUTPUT_TEXT)
			formatter__heading(&r->formatter, r->out, c);
		renderer__cell(r, columns, i, of_key ? key : value,
			       of_key ? report->key.size : report->value.size);
	}
}

static void print_json_row(struct renderer *r, const struct report *report, const uint8_t *key,
			   const uint8_t *value)
{
	buf__putc(r->out, '{');
	if (!report->sum) {
		buf__puts(r->out, "\"key\":");
		json_side(r->out, &report->key, "key", key);
		buf__putc(r->out, ',');
	}
	buf__puts(r->out, "\"value\":");
	json_side(r->out, &report->value, "value", value);
	buf__putc(r->out, '}');
}

static void print_table(struct renderer *r, const struct report *report,
			const struct shown_columns *columns, struct entries *entries)
{
	struct order order = { .report = report };
	json_int top = options__role_number(r->options, ROLE_TOP, -1);
	size_t n, i;

	if (report->sum)
		add_up_entries(r, report, entries);
	else if (report->array)
		drop_zero_entries(entries);
	n = entries->n;
	for (i = 0; i < report->n_sorts && !order.sort; i++) {
		if (options__hold(r->options, &report->sorts[i].when))
			order.sort = &report->sorts[i];
	}
	if (n)
		qsort_r(entries->data, n, entries->key_size + entries->value_size, by_order,
			&order);
	if (top >= 0 && top < (json_int)n)
		n = (size_t)top;
	if (r->output == OUTPUT_CSV || (r->output == OUTPUT_TEXT && !report->inline_headings))
		renderer__header(r, columns);
	for (i = 0; i < n; i++) {
		const uint8_t *key = entries__key(entries, i);
		const uint8_t *value = entries__value(entries, i);

		if (r->output != OUTPUT_JSON) {
			print_row(r, report, columns, key, value);
			continue;
		}
		if (i)
			buf__putc(r->out, ',');
		print_json_row(r, report, key, value);
	}
}

/* -- counters -------------------------------------------------------------------------------- */

static void print_counters(struct renderer *r, const struct report *report,
			   const struct entries *entries)
{
	const struct field *value = &report->value.fields[0];
	struct buf *out = r->out;
	size_t i, j, width = 0, start;

	for (i = 0; i < report->n_labels; i++) {
		if (strlen(report->labels[i]) > width)
			width = strlen(report->labels[i]);
	}
	if (r->output == OUTPUT_CSV)
		buf__puts(out, "report,label,count\n");
	for (i = 0; i < report->n_labels; i++) {
		const char *label = report->labels[i];
		uint64_t v = 0;

		for (j = 0; j < entries->n; j++) {
			if (field__load(&report->key.fields[0], entries__key(entries, j), 0) == i)
				v = field__load(value, entries__value(entries, j), 0);
		}
		start = out->len;
		if (r->output == OUTPUT_JSON) {
			if (i)
				buf__putc(out, ',');
			buf__json_string(out, label, strlen(label));
			buf__putc(out, ':');
		} else if (r->output == OUTPUT_CSV) {
			put_csv_word(out, report->name);
			put_csv_word(out, label);
		} else {
			buf__puts(out, label);
			buf__pad(out, start, width, false);
			buf__puts(out, ": ");
		}
		if (value->kind == FIELD_INT)
			buf__signed(out, (int64_t)v);
		else
			buf__unsigned(out, v);
		if (r->output != OUTPUT_JSON)
			buf__putc(out, '\n');
	}
}

/* -- averages -------------------------------------------------------------------------------- */

struct average {
	uint64_t total, count;
};

static struct average average_of(const struct report *report, const struct entries *entries)
{
	struct average sum = { 0 };
	size_t i;

	for (i = 0; i < entries->n; i++) {
		sum.total += field__load(&report->total, entries__value(entries, i), 0);
		sum.count += field__load(&report->count, entries__value(entries, i), 0);
	}
	sum.total /= report->divisor;
	return sum;
}

static void print_average(struct renderer *r, const struct report *report, struct average sum)
{
	uint64_t average = sum.total / (sum.count ? sum.count : 1);
	const char *unit = report->heading;
	struct buf *out = r->out;

	if (r->output == OUTPUT_TEXT) {
		buf__printf(out,
			    "avg = %" PRIu64 " %s, total: %" PRIu64 " %s, count: %" PRIu64 "\n",
			    average, unit, sum.total, unit, sum.count);
	} else if (r->output == OUTPUT_JSON) {
		buf__puts(out, "\"unit\":");
		buf__json_string(out, unit, strlen(unit));
		buf__printf(out,
			    ",\"average\":%" PRIu64 ",\"total\":%" PRIu64 ",\"count\":%" PRIu64,
			    average, sum.total, sum.count);
	} else {
		buf__puts(out, "report,unit,average,total,count\n");
		if (!sum.count)
			return;
		put_csv_word(out, report->name);
		put_csv_word(out, unit);
		buf__printf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", average, sum.total,
			    sum.count);
	}
}

/* -------------------------------------------------------------------------------------------- */

static void report_lead(struct renderer *r, const struct report *report, uint64_t now_wall_ns)
{
	time_t now = (time_t)(now_wall_ns / 1000000000);
	char text[256];
	struct tm tm;

	if (report->blank_before)
		buf__putc(r->out, '\n');
	if (report->time && options__hold(r->options, &report->time_when) &&
	    localtime_r(&now, &tm)) {
		buf__write(r->out, text, strftime(text, sizeof(text), report->time, &tm));
		buf__putc(r->out, '\n');
	}
	if (report->title) {
		buf__puts(r->out, report->title);
		buf__putc(r->out, '\n');
	}
}

/* JSON has an object for it, not a list. */
static bool is_object(const struct report *report)
{
	return report->kind == REPORT_COUNTERS || report->kind == REPORT_AVERAGE;
}

static void json_lead(struct renderer *r, const struct report *report, uint64_t now_wall_ns)
{
	static const char *const types[] = {
		[REPORT_LOG2] = "histogram", [REPORT_LINEAR] = "histogram",
		[REPORT_TABLE] = "table",    [REPORT_COUNTERS] = "counters",
		[REPORT_STACKS] = "stacks",  [REPORT_AVERAGE] = "average",
	};

	renderer__json_head(r, types[report->kind]);
	buf__puts(r->out, ",\"report\":");
	buf__json_string(r->out, report->name, strlen(report->name));
	if (report->time) {
		buf__puts(r->out, ",\"time\":\"");
		buf__puts(r->out, formatter__hms(&r->formatter, (json_int)now_wall_ns, false));
		buf__putc(r->out, '"');
	}
	buf__puts(r->out, is_object(report) ? ",\"data\":{" : ",\"data\":[");
}

void renderer__report_head(struct renderer *r, const struct report *report, uint64_t now_wall_ns)
{
	if (r->output == OUTPUT_JSON)
		json_lead(r, report, now_wall_ns);
	else if (r->output == OUTPUT_TEXT)
		report_lead(r, report, now_wall_ns);
}

void renderer__report_tail(struct renderer *r, const struct report *report)
{
	if (r->output == OUTPUT_JSON)
		buf__puts(r->out, is_object(report) ? "}}\n" : "]}\n");
	else if (r->output == OUTPUT_TEXT && report->blank_after)
		buf__putc(r->out, '\n');
}

void renderer__report(struct renderer *r, const struct report *report, struct entries *entries,
		      uint64_t now_wall_ns)
{
	bool table = report->kind == REPORT_TABLE, counters = report->kind == REPORT_COUNTERS;
	bool average = report->kind == REPORT_AVERAGE;
	struct shown_columns columns;
	struct average sum = { 0 };

	if (!options__hold(r->options, &report->when))
		return;
	if (average)
		sum = average_of(report, entries);
	if (average && !sum.count && r->output == OUTPUT_TEXT)
		return;
	if (!shown_columns__init(&columns, table ? &report->columns : &report->sections,
				 r->options)) {
		r->out->failed = true;
		return;
	}
	renderer__report_head(r, report, now_wall_ns);
	if (table)
		print_table(r, report, &columns, entries);
	else if (counters)
		print_counters(r, report, entries);
	else if (average)
		print_average(r, report, sum);
	else
		print_histograms(r, report, &columns, entries);
	renderer__report_tail(r, report);
	shown_columns__free(&columns);
}
