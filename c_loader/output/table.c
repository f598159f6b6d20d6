// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reports of kind "table": entries as they are, sorted. */
#include <stdlib.h>
#include <string.h>

#include "output/report.h"

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
static void add_up_entries(struct sink *s, const struct report *report, struct entries *entries)
{
	size_t size = entries->key_size + entries->value_size;
	struct entries sum = *entries;

	sum.n = 1;
	sum.data = calloc(1, size);
	if (!sum.data) {
		s->out->failed = true;
		return;
	}
	report__sum_cpus(report, entries__value(&sum, 0),
			 entries->n ? entries__value(entries, 0) : NULL, size, entries->n);
	free(entries->data);
	*entries = sum;
}

struct rows {
	const struct shown_columns *columns;
	const struct entries *entries;
	size_t n; /* of the entries, the first ones */
};

static void tell(struct sink *s, const struct sink_view *view)
{
	const struct rows *rows = view->data;
	size_t i;

	sink__table(s, rows->columns);
	for (i = 0; i < rows->n; i++)
		s->ops->entry(s, rows->columns, entries__key(rows->entries, i),
			      entries__value(rows->entries, i));
}

void table__show(struct sink *s, const struct report *report, struct entries *entries,
		 uint64_t now_wall_ns)
{
	json_int top = options__role_number(s->options, ROLE_TOP, -1);
	struct order order = { .report = report };
	struct shown_columns columns;
	struct rows rows = { .columns = &columns, .entries = entries };
	const struct sink_view view = {
		.type = "table",
		.shape = SHAPE_ROWS,
		.report = report,
		.now_wall_ns = now_wall_ns,
		.data = &rows,
		.draw = tell,
		.tell = tell,
	};
	size_t i;

	if (!shown_columns__init(&columns, &report->columns, s->options)) {
		s->out->failed = true;
		return;
	}
	if (report->sum)
		add_up_entries(s, report, entries);
	else if (report->array)
		drop_zero_entries(entries);
	rows.n = entries->n;
	for (i = 0; i < report->n_sorts && !order.sort; i++) {
		if (options__hold(s->options, &report->sorts[i].when))
			order.sort = &report->sorts[i];
	}
	if (rows.n)
		qsort_r(entries->data, rows.n, entries->key_size + entries->value_size, by_order,
			&order);
	if (top >= 0 && top < (json_int)rows.n)
		rows.n = (size_t)top;
	sink__show(s, &view);
	shown_columns__free(&columns);
}
