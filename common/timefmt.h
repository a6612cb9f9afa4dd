/* timefmt: Unix time and text, without the C library's locale or zone state.
 * Pure; any thread.
 */
#ifndef COMMON_TIMEFMT_H
#define COMMON_TIMEFMT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* Some hours of every day, in minutes since midnight: from <= t < to, or when it goes
 * past midnight, t >= from or t < to.  from == to: never. */
struct day_span {
	unsigned from, to;
};

/* Days since 1970-01-01 of a proleptic Gregorian date (month 1-12, day 1-31).
 * H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
int64_t time_days(int year, int month, int day);
/* The reverse. */
void time_civil(int64_t days, int *year, int *month, int *day);

enum { TIME_TEXT = 36 };
/* "2026-11-22T15:37:46.5Z" (RFC 3339, UTC, as many digits of the fraction as
 * needed) into out, NUL-terminated; returns its length. */
int time_format(char out[static TIME_TEXT], int64_t ns);
/* A whole RFC 3339 stamp ("T" or blank between, fraction up to nanoseconds, "Z"
 * or +-hh:mm), or a date alone (midnight UTC).  false: neither. */
bool time_parse(struct slice s, int64_t *ns);

#endif
