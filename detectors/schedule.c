#include "detectors/engine.h"

/* nightjar.schedule: the hours of the week in which a rule holds. */

static int64_t seconds_of(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0);
}

static unsigned minute_of_week(int64_t wall_s)
{
	int64_t week;

	/* 1970 began on a Thursday. */
	week = (wall_s / 60 + 3 * 1440) % (7 * 1440);
	return (unsigned)(week < 0 ? week + 7 * 1440 : week);
}

unsigned engine_minute_of_week(const struct detect *d, int64_t ms)
{
	int64_t s = seconds_of(ms);

	return minute_of_week(s + (d->ctx.zone_offset == NULL
					   ? 0 : d->ctx.zone_offset(d->ctx.zone, s)));
}

bool schedule_holds(const struct detect *d, const struct rule *r)
{
	const struct schedule *s = &r->schedule;
	unsigned at = s->fixed ? minute_of_week(seconds_of(d->t_ms) + s->offset_s)
			       : engine_minute_of_week(d, d->t_ms);
	unsigned day = at / 1440, minute = at % 1440;
	bool in = false;

	for (unsigned i = 0; i < s->n && !in; i++) {
		unsigned from = s->spans[i].from, to = s->spans[i].to;

		/* What goes past midnight belongs to the day on which it begins. */
		if (from < to) {
			in = minute >= from && minute < to && (s->days >> day & 1) != 0;
		} else {
			in = (minute >= from && (s->days >> day & 1) != 0) ||
			     (minute < to && (s->days >> (day + 6) % 7 & 1) != 0);
		}
	}
	return in != s->outside;
}
