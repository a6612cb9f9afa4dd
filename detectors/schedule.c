#include "detectors/engine.h"

/* nightjar.schedule: the hours of the week in which a rule holds. */

/* Minutes since Monday, 00:00, of the device's clock on the wall. */
static unsigned minute_of_week(const struct detect *d, const struct rule *r)
{
	int64_t s = d->t_ms / 1000 - (d->t_ms % 1000 < 0), week;

	s += r->schedule.fixed ? r->schedule.offset_s
	     : d->zone_offset == NULL ? 0 : d->zone_offset(d->zone, s);
	/* 1970 began on a Thursday. */
	week = (s / 60 + 3 * 1440) % (7 * 1440);
	return (unsigned)(week < 0 ? week + 7 * 1440 : week);
}

bool schedule_holds(const struct detect *d, const struct rule *r)
{
	const struct schedule *s = &r->schedule;
	unsigned at = minute_of_week(d, r), day = at / 1440, minute = at % 1440;
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
