#include "detectors/engine.h"

/* temporal and temporal_ordered, exactly.
 *
 * The condition holds at an event when the window (time - timespan, time] has events
 * of so many of the named rules as it wants, all if it says nothing; ordered: events
 * of so many rules in the order of the list, the last of them this one (events of the
 * same millisecond count as ordered).  The first such event opens an episode, which
 * begins with the first event of the tightest combination; it counts the events at
 * which the condition holds until there is none for a timespan.
 *
 * A group keeps its events for timespan + lateness, but for those whose next is of the same
 * rule and settled as well: nothing that is still to come can see them, since it sees that
 * one.  Of more than KEEP those go that
 * have an equal closest by.  What the condition held at stays so when a line comes late,
 * and what it begins to hold at is found by looking at the timespan behind it.
 */
enum { KEEP = 256, WINDOW_RULES = RULE_REFS };
_Static_assert(RULE_REFS <= 8, "a stamp has three bits for the rule");

/* How far back the best combination of `n` rules reaches, at the event looked at. */
struct reach {
	/* Unordered: the latest event of each rule; ordered: [s][n]: the latest
	 * beginning of n rules in their order, the last of them s. */
	int64_t at[WINDOW_RULES][WINDOW_RULES + 1];
};

static void take_event(const struct rule *r, struct reach *x, int64_t stamp)
{
	unsigned s = STAMP_STAGE(stamp);
	bool ordered = r->type == CORRELATION_TEMPORAL_ORDERED;

	x->at[s][1] = STAMP_MS(stamp);
	for (unsigned n = 2; ordered && n <= s + 1; n++) {
		for (unsigned k = 0; k < s; k++) {
			if (x->at[k][n - 1] > x->at[s][n]) {
				x->at[s][n] = x->at[k][n - 1];
			}
		}
	}
}

static bool wanted(const struct rule *r, unsigned n)
{
	const struct count_range *g = &r->range;
	int64_t v = n;

	return v >= g->min + g->above && v <= (g->max == INT64_MAX ? v : g->max - g->below) &&
	       !(g->excepts && v == g->not);
}

/* Of n rules the latest events, newest first: the n-th; TIME_NONE: there are fewer. */
static int64_t nth_latest(const struct rule *r, const struct reach *x, unsigned n)
{
	int64_t v[WINDOW_RULES];
	unsigned have = 0;

	for (unsigned s = 0; s < r->n_refs; s++) {
		unsigned i = have++;

		for (; i > 0 && v[i - 1] < x->at[s][1]; i--) {
			v[i] = v[i - 1];
		}
		v[i] = x->at[s][1];
	}
	return n > have ? TIME_NONE : v[n - 1];
}

/* Whether it holds at the event, and since when the combination stands. */
static bool holds_at(const struct rule *r, const struct reach *x, int64_t stamp,
		     int64_t *start)
{
	int64_t bound = STAMP_MS(stamp) - r->timespan_ms, found = TIME_NONE;
	bool ordered = r->type == CORRELATION_TEMPORAL_ORDERED;
	unsigned n = 0;

	/* The fewest that are enough; where more may be too many, all there are. */
	for (unsigned k = 1; k <= r->n_refs; k++) {
		int64_t at = ordered ? x->at[STAMP_STAGE(stamp)][k]
				     : nth_latest(r, x, k);

		if (at == TIME_NONE || at <= bound) {
			break;
		}
		n = k;
		found = at;
		if (!r->waits && wanted(r, n)) {
			break;
		}
	}
	*start = found;
	return n > 0 && wanted(r, n);
}

/* ---- episodes ---- */

static bool reaches(const struct rule *r, const struct episode *e, int64_t t)
{
	return t > e->boundary_ms - r->timespan_ms && t < e->last_ms + r->timespan_ms;
}

static void swallow(struct episode *e, const struct episode *other)
{
	e->after += other->after;
	e->last_ms = other->last_ms > e->last_ms ? other->last_ms : e->last_ms;
}

/* The condition holds at t, in a group that has an episode or several near. */
static struct episode *extend(struct detect *d, const struct occurrence *o, int64_t t,
			      int64_t start)
{
	struct episode *e = NULL, *x, *older;

	for (x = episode_of(&d->windows, o->group); x != NULL;
	     x = episode_older(&d->windows, x)) {
		if (reaches(o->rule, x, t) &&
		    (e == NULL || x->boundary_ms < e->boundary_ms)) {
			e = x;
		}
	}
	if (e == NULL) {
		return NULL;
	}
	for (x = episode_of(&d->windows, o->group); x != NULL; x = older) {
		older = episode_older(&d->windows, x);
		if (x != e && reaches(o->rule, x, t)) {
			swallow(e, x);
			episode_join(d, x);
		}
	}
	e->after++;
	e->last_ms = t > e->last_ms ? t : e->last_ms;
	if (t < e->boundary_ms) {
		e->boundary_ms = t;
		e->first_ms = start;
	}
	return e;
}

void episode_complete(struct detect *d, const struct occurrence *o, int64_t t,
		      int64_t start)
{
	struct episode *e = extend(d, o, t, start);
	struct slice room[RULE_GROUP_BY];
	const struct slice *values;

	engine_emit(d, o->rule, (struct emission){t, 1, 1, t == d->t_ms});
	if (e != NULL) {
		episode_touch(d, e);
		episode_update(d, e);
		return;
	}
	values = engine_group(d, o->ask, room);
	e = engine_begin(d, o->rule, o->group, values);
	if (e == NULL) {
		struct telling lone = {.rule = o->rule, .since_ms = start, .first_ms = start,
				       .last_ms = t, .count = 1,
				       .evidence = o->group->evidence, .values = values};

		engine_tell_as(d, &lone);
		return;
	}
	e->since_ms = e->first_ms = start;
	e->boundary_ms = e->last_ms = t;
	e->after = 1;
	e->frozen = true;
	episode_touch(d, e);
	episode_defer(&d->windows, e, episode_deadline(e));
	engine_tell(d, e, FINDING_NEW, d->record);
}

void episode_tighten(struct detect *d, struct group *g, int64_t t, int64_t start)
{
	for (struct episode *e = episode_of(&d->windows, g); e != NULL;
	     e = episode_older(&d->windows, e)) {
		if (e->boundary_ms == t && start > e->first_ms) {
			e->first_ms = start;
			episode_update(d, e);
		}
	}
}

/* ---- events ---- */

/* Events whose next is of their rule and settled. */
static void drop_settled(struct group *g, int64_t settled_ms)
{
	int64_t *s = group_cells(g);
	size_t kept = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (i + 1 == g->n || STAMP_STAGE(s[i]) != STAMP_STAGE(s[i + 1]) ||
		    STAMP_MS(s[i + 1]) >= settled_ms) {
			s[kept++] = s[i];
		}
	}
	g->n = (uint16_t)kept;
}

/* How far the neighbours of event i are apart, of those between two of their own rule;
 * INT64_MAX of others. */
static int64_t gap_at(const int64_t *s, size_t n, size_t i)
{
	return i > 0 && i + 1 < n && STAMP_STAGE(s[i - 1]) == STAMP_STAGE(s[i]) &&
			       STAMP_STAGE(s[i]) == STAMP_STAGE(s[i + 1])
		       ? s[i + 1] - s[i - 1]
		       : INT64_MAX;
}

/* Of the events between two of their own rule those go whose neighbours are close together;
 * never two in a row, since then the neighbours of the second are others. */
static void keep_few(struct detect *d, struct group *g)
{
	int64_t *s = group_cells(g), sum = 0, n = 0;
	size_t kept = 0;
	bool went = false;

	for (size_t i = 0; i < g->n; i++) {
		int64_t gap = gap_at(s, g->n, i);

		sum += gap == INT64_MAX ? 0 : gap;
		n += gap != INT64_MAX;
	}
	if (n == 0) {
		d->windows.evicted++;
		group_cut(&d->windows, g, 0, 1);
		return;
	}
	for (size_t i = 0, had = g->n; i < had; i++) {
		int64_t gap = gap_at(s, had, i);

		went = !went && gap <= sum / n;
		if (went) {
			d->windows.evicted += gap > STAMP(1, 0);
		} else {
			s[kept++] = s[i];
		}
	}
	g->n = (uint16_t)kept;
}

/* Looks at the events of one time, [from, to), all of which x knows. */
static void judge(struct detect *d, const struct occurrence *o, const struct reach *x,
		  size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		int64_t *stamp = &group_cells(o->group)[i], start;

		if (!holds_at(o->rule, x, *stamp, &start)) {
			continue;
		}
		if ((*stamp & STAMP_DONE) == 0) {
			*stamp |= STAMP_DONE;
			episode_complete(d, o, STAMP_MS(*stamp), start);
		}
		episode_tighten(d, o->group, STAMP_MS(*stamp), start);
	}
}

/* Whether events of one rule alone are not enough, and [from, to) are of one rule. */
static bool alone(const struct rule *r, struct group *g, size_t from, size_t to)
{
	if (r->range.min + r->range.above <= 1) {
		return false;
	}
	while (from + 1 < to && STAMP_STAGE(group_stamp(g, from)) ==
					STAMP_STAGE(group_stamp(g, to - 1))) {
		from++;
	}
	return from + 1 >= to;
}

/* The events at t and behind it, as far as one at t may matter to them. */
static void judge_from(struct detect *d, const struct occurrence *o, int64_t t)
{
	const struct rule *r = o->rule;
	struct group *g = o->group;
	struct reach x;
	size_t i = group_bound(g, STAMP(t - r->timespan_ms + 1, 0)), to;

	if (alone(r, g, i, group_bound(g, STAMP(t + r->timespan_ms, 0)))) {
		return;
	}
	for (unsigned s = 0; s < WINDOW_RULES; s++) {
		for (unsigned n = 0; n <= WINDOW_RULES; n++) {
			x.at[s][n] = TIME_NONE;
		}
	}
	for (; i < g->n && STAMP_MS(group_stamp(g, i)) < t + r->timespan_ms; i = to) {
		int64_t at = STAMP_MS(group_stamp(g, i));

		for (to = i; to < g->n && STAMP_MS(group_stamp(g, to)) == at; to++) {
			take_event(r, &x, group_stamp(g, to));
		}
		if (at >= t) {
			judge(d, o, &x, i, to);
		}
	}
}

/* Whether an event of this rule alone can't complete anything. */
static bool idle(const struct rule *r, unsigned stage)
{
	return r->type == CORRELATION_TEMPORAL_ORDERED &&
	       (int64_t)stage + 1 < r->range.min + r->range.above;
}

/* What can't complete anything and comes in its order, into a group in which nothing is to be
 * done: what is over in it goes when it is full. */
static bool append_idle(struct detect *d, const struct occurrence *o)
{
	struct group *g = o->group;
	int64_t *s = group_cells(g), stamp = STAMP(d->t_ms, o->stage);

	if (g->episode != 0 || group_full(g) || g->n >= KEEP ||
	    (g->n > 0 && s[g->n - 1] > stamp)) {
		return false;
	}
	s[g->n++] = stamp;
	engine_evidence(d, &g->evidence);
	return true;
}

void temporal_event(struct detect *d, const struct occurrence *o)
{
	const struct rule *r = o->rule;
	struct group *g = o->group;
	int64_t t = d->t_ms, newest, settled;
	size_t at;

	if (idle(r, o->stage) && append_idle(d, o)) {
		return;
	}
	newest = group_newest(d, g);
	settled = newest - (r->waits ? 0 : d->lateness_ms);

	if (t <= settled - r->timespan_ms || (r->waits && t < settled)) {
		d->stats.late++;
		return;
	}
	group_settle(d, r, g, settled);
	group_cut(&d->windows, g, 0,
		  group_bound(g, STAMP(settled - r->timespan_ms + 1, 0)));
	if (group_full(g)) {
		drop_settled(g, settled);
	}
	if (g->n >= KEEP) {
		keep_few(d, g);
	}
	at = group_insert(&d->windows, g, STAMP(t, o->stage), 0, 1);
	if (g->episode == 0) {
		engine_evidence(d, &g->evidence);
	}
	if (o->more || (at + 1 == g->n && idle(r, o->stage))) {
		return;
	}
	judge_from(d, o, t);
}
