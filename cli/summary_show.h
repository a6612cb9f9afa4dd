/* summary_show: a summary for people (summary_text.c) and for programs (summary_json.c).
 *
 * Both are made in memory whole: they hold `top` rows of a kind at most.  Pure.
 */
#ifndef CLI_SUMMARY_SHOW_H
#define CLI_SUMMARY_SHOW_H

#include "cli/summary.h"
#include "cli/table.h"

/* What was read, and what the detectors say of it. */
struct summary_read {
	uint64_t files, lines, bytes, understood, redacted;
	uint64_t late, future, evicted, forgotten, re_limits;
	uint32_t rules;
};

struct summary_look {
	struct table_look table;
	size_t top;          /* rows of each table, 1 to SUMMARY_ROWS */
	const char *zone;    /* its name: times for people are in it */
	int32_t (*offset)(const void *zone, int64_t unix_s); /* seconds east of UTC */
	const void *zone_arg;
};

/* Text of several lines / one JSON object, without a newline (docs/rules.md).  UV_ENOMEM,
 * ERR_TOO_LARGE. */
int summary_text(struct summary *s, const struct summary_read *read,
		 const struct summary_look *look, struct buf *out);
int summary_json(struct summary *s, const struct summary_read *read, size_t top,
		 struct buf *out);

#endif
