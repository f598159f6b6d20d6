// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reports of kind "counters": a number for each label. */
#include <string.h>

#include "output/report.h"

/* Of a label: that of the last entry which has its number as the key, else 0. */
static struct sink_value value_of(const struct report *report, const struct entries *entries,
				  size_t label)
{
	const struct field *field = &report->value.fields[0];
	struct sink_value value = {
		.kind = field->kind == FIELD_INT ? VALUE_SIGNED : VALUE_UNSIGNED,
	};
	size_t i;

	for (i = 0; i < entries->n; i++) {
		if (field__load(&report->key.fields[0], entries__key(entries, i), 0) == label)
			value.number = field__load(field, entries__value(entries, i), 0);
	}
	return value;
}

static void draw(struct sink *s, const struct sink_view *view)
{
	const struct report *report = view->report;
	size_t i, width = 0, start;

	for (i = 0; i < report->n_labels; i++) {
		if (strlen(report->labels[i]) > width)
			width = strlen(report->labels[i]);
	}
	for (i = 0; i < report->n_labels; i++) {
		const struct sink_value value = value_of(report, view->data, i);

		start = s->out->len;
		buf__puts(s->out, report->labels[i]);
		buf__pad(s->out, start, width, false);
		buf__puts(s->out, ": ");
		sink_value__put_number(s->out, &value);
		buf__putc(s->out, '\n');
	}
}

static void tell(struct sink *s, const struct sink_view *view)
{
	static const struct sink_column list[] = { { "label", 1 }, { "count", 2 } };
	static const struct sink_columns columns = { list, 2 };
	const struct report *report = view->report;
	size_t i;

	sink__headings(s, NULL, &columns);
	for (i = 0; i < report->n_labels; i++) {
		const struct sink_value value = value_of(report, view->data, i);

		s->ops->pair(s, report->labels[i], &value);
	}
}

void counters__show(struct sink *s, const struct report *report, struct entries *entries,
		    uint64_t now_wall_ns)
{
	const struct sink_view view = {
		.type = "counters",
		.shape = SHAPE_PAIRS,
		.report = report,
		.now_wall_ns = now_wall_ns,
		.data = entries,
		.draw = draw,
		.tell = tell,
	};

	sink__show(s, &view);
}
