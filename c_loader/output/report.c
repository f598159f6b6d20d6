// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/report.h"

static void (*const kinds[])(struct sink *s, const struct report *report, struct entries *entries,
			     uint64_t now_wall_ns) = {
	[REPORT_LOG2] = histogram__show,  [REPORT_LINEAR] = histogram__show,
	[REPORT_TABLE] = table__show,	  [REPORT_COUNTERS] = counters__show,
	[REPORT_AVERAGE] = average__show,
};

void report__show(struct sink *s, const struct report *report, struct entries *entries,
		  uint64_t now_wall_ns)
{
	if (options__hold(s->options, &report->when))
		kinds[report->kind](s, report, entries, now_wall_ns);
}
