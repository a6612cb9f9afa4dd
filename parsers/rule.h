/* rule: a POSIX TZ rule such as "CET-1CEST,M3.5.0,M10.5.0/3" (IEEE Std 1003.1, 8.3, with
 * RFC 8536's longer times).  Internal to parsers/; pure.
 */
#ifndef PARSERS_RULE_H
#define PARSERS_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* When a year's change happens: "M3.5.0/2", "J60", "59". */
struct change {
	enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } kind;
	int month, week, day;
	int32_t time; /* seconds after local midnight, may be negative */
};

struct rule {
	int32_t std, dst; /* seconds east */
	bool has_dst;
	struct change start, end;
};

/* The whole slice is a rule; false: it is none. */
bool rule_parse(struct slice s, struct rule *r);
/* Seconds east at this Unix time (at most some thousand years away). */
int32_t rule_offset(const struct rule *r, int64_t unix_s);

/* A decimal number of at most four digits, at most max; moves on. */
bool rule_take_number(struct slice *s, int max, int *out);

#endif
