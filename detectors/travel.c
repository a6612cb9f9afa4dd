#include "detectors/engine.h"

/* nightjar.travel, exactly.
 *
 * Two lines of a group are too far apart when the distance of the places of their source.ip,
 * less what the database says that it may be wrong by at both, is at least `distance` and
 * could not be covered between them at `speed`.  The condition holds at a line when there is
 * one before it, or of the same millisecond, from which it is too far.  The first such line
 * opens an episode, which begins with the latest line that it is too far from and counts the
 * lines at which the condition holds, until none does for as long as half round the world
 * takes at that speed.  So it does not depend on the order in which lines come.
 *
 * A group keeps a place and a time of each line (window.h, width 2) for that long and the
 * lateness; of lines from one place that nothing can come between any more, only the newest,
 * since it is the one that others are too far from first.  At KEEP lines those go that lie
 * between two of their own place, or the oldest: counted as evicted.
 */
enum { THIN = 16, KEEP = 256 };

/* ---- places in a word ---- */

enum { BITS_RADIUS = 16, BITS_LONGITUDE = 22, BITS_LATITUDE = 21 };

static int64_t pack(const struct geo_place *p)
{
	uint64_t v = (uint64_t)(p->latitude + 900000);

	v = v << BITS_LONGITUDE | (uint64_t)(p->longitude + 1800000);
	return (int64_t)(v << BITS_RADIUS | p->radius_km);
}

static uint32_t take_bits(uint64_t *v, unsigned bits)
{
	uint32_t low = (uint32_t)(*v & ((UINT64_C(1) << bits) - 1));

	*v >>= bits;
	return low;
}

/* Kilometres for certain between two packed places. */
static uint32_t distance_km(int64_t a, int64_t b)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;
	uint32_t unsure = take_bits(&x, BITS_RADIUS) + take_bits(&y, BITS_RADIUS);
	int32_t x_long = (int32_t)take_bits(&x, BITS_LONGITUDE) - 1800000;
	int32_t y_long = (int32_t)take_bits(&y, BITS_LONGITUDE) - 1800000;
	int32_t x_lat = (int32_t)take_bits(&x, BITS_LATITUDE) - 900000;
	int32_t y_lat = (int32_t)take_bits(&y, BITS_LATITUDE) - 900000;
	uint32_t km = geo_distance_km(x_lat, x_long, y_lat, y_long);

	return km > unsure ? km - unsure : 0;
}

static int64_t time_at(struct group *g, size_t i)
{
	return STAMP_MS(group_stamp(g, i));
}

/* Whether nobody gets from event i to event k, not an earlier one. */
static bool too_far(const struct travel *t, struct group *g, size_t i, size_t k)
{
	int64_t ms = time_at(g, k) - time_at(g, i);
	uint32_t km;

	if (group_value(g, i) == group_value(g, k)) {
		return false;
	}
	km = distance_km(group_value(g, i), group_value(g, k));
	return km >= t->distance_km && (int64_t)km * 3600000 > t->speed_kmh * ms;
}

/* ---- what is kept ---- */

/* Whether a later event of the same place makes event i worth nothing: no line can come
 * between them any more. */
static bool replaced(struct group *g, size_t i, size_t settled)
{
	for (size_t k = i + 1; k < settled; k++) {
		if (group_value(g, k) == group_value(g, i)) {
			return true;
		}
	}
	return false;
}

static void thin_settled(struct detect *d, struct group *g, int64_t settled_ms)
{
	size_t settled = group_bound(g, STAMP(settled_ms, 0));

	for (size_t i = settled; i-- > 0;) {
		if (replaced(g, i, settled)) {
			group_cut(&d->windows, g, i, i + 1);
			settled--;
		}
	}
}

static void make_room(struct detect *d, struct group *g)
{
	size_t at = 0;

	for (size_t i = 1; i + 1 < g->n; i++) {
		if (group_value(g, i - 1) == group_value(g, i) &&
		    group_value(g, i) == group_value(g, i + 1)) {
			at = i;
			break;
		}
	}
	group_cut(&d->windows, g, at, at + 1);
	d->windows.evicted++;
}

/* ---- one line ---- */

/* The latest event that event k is too far from; TIME_NONE: there is none. */
static int64_t too_far_since(const struct travel *t, struct group *g, size_t k)
{
	int64_t latest = TIME_NONE;

	for (size_t i = 0; i < g->n && time_at(g, i) <= time_at(g, k); i++) {
		if (i != k && too_far(t, g, i, k)) {
			latest = time_at(g, i);
		}
	}
	return latest;
}

/* The event at `at` is new: it, and those behind it that are too far from it. */
static void judge(struct detect *d, const struct occurrence *o, size_t at)
{
	const struct travel *t = &o->rule->travel;
	struct group *g = o->group;
	int64_t time = time_at(g, at);
	size_t first = group_bound(g, STAMP(time, 0));

	for (size_t k = first; k < g->n; k++) {
		int64_t *stamp = &group_cells(g)[k * g->width];
		int64_t since = k == at ? too_far_since(t, g, k)
				: too_far(t, g, at, k) ? time : TIME_NONE;

		if (since == TIME_NONE) {
			continue;
		}
		if ((*stamp & STAMP_DONE) == 0) {
			*stamp |= STAMP_DONE;
			episode_complete(d, o, STAMP_MS(*stamp), since);
		}
		episode_tighten(d, g, STAMP_MS(*stamp), since);
	}
}

void travel_event(struct detect *d, const struct rule *r)
{
	const struct geo_place *place = refer_place(d->ctx.refer, &d->record->event);
	int64_t t = d->t_ms, now = engine_watermark(d), newest, settled, until;
	struct slice values[RULE_GROUP_BY];
	const struct ask ask = {.values = values};
	struct group *g;

	if (place == NULL || (place->has & GEO_PLACE) == 0 ||
	    !engine_values(d, r->group, r->n_group, values)) {
		return;
	}
	g = windows_get(&d->windows, engine_hash(d, r->salt, values, r->n_group), now);
	if (g == NULL) {
		return;
	}
	g->width = 2;
	until = (t > now ? t : now) + r->timespan_ms + d->lateness_ms;
	g->until_ms = until > g->until_ms ? until : g->until_ms;
	newest = group_newest(d, g);
	settled = newest - d->lateness_ms;
	if (t <= settled - r->timespan_ms) {
		d->stats.late++;
		return;
	}
	group_settle(d, r, g, settled);
	group_cut(&d->windows, g, 0, group_bound(g, STAMP(settled - r->timespan_ms + 1, 0)));
	if (g->n >= THIN) {
		thin_settled(d, g, settled);
	}
	if (g->n >= KEEP) {
		make_room(d, g);
	}
	if (g->episode == 0) {
		engine_evidence(d, &g->evidence);
	}
	judge(d, &(struct occurrence){.rule = r, .group = g, .ask = &ask, .weight = 1},
	      group_insert(&d->windows, g, STAMP(t, 0), pack(place), 1));
}
