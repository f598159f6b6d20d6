// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reports of kind "average". */
#include <inttypes.h>

#include "output/report.h"

struct average {
	uint64_t average, total, count;
};

static void draw(struct sink *s, const struct sink_view *view)
{
	const struct average *a = view->data;
	const char *unit = view->report->heading;

	buf__printf(s->out, "avg = %" PRIu64 " %s, total: %" PRIu64 " %s, count: %" PRIu64 "\n",
		    a->average, unit, a->total, unit, a->count);
}

static void tell(struct sink *s, const struct sink_view *view)
{
	static const struct sink_column list[] = {
		{ "unit", 1 }, { "average", 2 }, { "total", 3 }, { "count", 4 }
	};
	static const struct sink_columns columns = { list, 4 };
	const struct average *a = view->data;
	const struct sink_value values[] = {
		sink_value__word(view->report->heading),
		sink_value__int((json_int)a->average),
		sink_value__int((json_int)a->total),
		sink_value__int((json_int)a->count),
	};

	sink__headings(s, NULL, &columns);
	s->ops->row(s, &columns, values);
}

void average__show(struct sink *s, const struct report *report, struct entries *entries,
		   uint64_t now_wall_ns)
{
	struct average a = { 0 };
	struct sink_view view = {
		.type = "average",
		.shape = SHAPE_ROW,
		.report = report,
		.now_wall_ns = now_wall_ns,
		.data = &a,
		.draw = draw,
		.tell = tell,
	};
	size_t i;

	for (i = 0; i < entries->n; i++) {
		a.total += field__load(&report->total, entries__value(entries, i), 0);
		a.count += field__load(&report->count, entries__value(entries, i), 0);
	}
	a.total /= report->divisor;
	a.average = a.total / (a.count ? a.count : 1);
	view.nothing = !a.count;
	sink__show(s, &view);
}
