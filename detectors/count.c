#include "detectors/engine.h"

/* event_count, value_count, value_sum, value_avg and value_percentile, exactly.
 *
 * Let the group's events stand in the order of their times, whatever order they
 * came in.  The window at a time is (time - timespan, time], less what an earlier
 * episode has counted.  An episode begins at the first time whose window fulfils
 * the condition (its boundary); it counts everything from the first event of that
 * window on; it ends when no event follows for a timespan.
 *
 * Kept are the events of the windows that may still be judged, and of an episode
 * those up to its boundary, as long as a line may come that moves its beginning
 * (then it is frozen).  All others that an episode counts are a number.  A line that
 * comes in its order is judged alone; one that comes late has the group judged
 * anew: more events make no condition false that is judged early, so each episode
 * that was told is found again, or found to be joined with the one before it.
 */

enum { GROUP_EPISODES = 64 }; /* open at once in one group */
/* What a stamp says beside its time: a line, or what one weighs beyond 1. */
enum { LINE, MORE_OF_IT };
#define NOBODY UINT32_MAX

/* ---- episodes ---- */

void episode_touch(const struct detect *d, struct episode *e)
{
	int64_t now = engine_watermark(d);

	/* A file that is read long after others have moved the watermark gets its
	 * time as well. */
	e->touched_ms = now == TIME_NONE ? now : now + e->rule->timespan_ms;
}

int64_t episode_deadline(const struct episode *e)
{
	int64_t silent = e->last_ms + e->rule->timespan_ms;

	return e->touched_ms > silent ? e->touched_ms : silent;
}

void episode_end(struct detect *d, struct episode *e)
{
	struct group *g = windows_find(&d->windows, e->hash);

	engine_tell(d, e, FINDING_END, NULL);
	if (g != NULL && e->base > 0) {
		group_cut(&d->windows, g, group_bound(g, STAMP(e->first_ms, 0)),
			  group_bound(g, STAMP(e->boundary_ms + 1, 0)));
	}
	episode_remove(&d->windows, e);
}

void episode_join(struct detect *d, struct episode *e)
{
	e->base = e->after = 0;
	e->first_ms = e->last_ms = e->since_ms;
	engine_tell(d, e, FINDING_END, NULL);
	episode_remove(&d->windows, e);
}

void episode_update(struct detect *d, struct episode *e)
{
	if (e->base + e->after >= e->told * 2 || e->first_ms != e->told_first_ms) {
		engine_tell(d, e, FINDING_UPDATE, d->record);
	}
}

static void freeze(struct detect *d, struct group *g, struct episode *e)
{
	group_cut(&d->windows, g, 0,
		  group_bound(g, STAMP(e->boundary_ms + 1, 0)));
	e->after += e->base;
	e->base = 0;
	e->frozen = true;
}

int64_t group_newest(const struct detect *d, struct group *g)
{
	int64_t newest = d->t_ms;

	if (g->n > 0 && STAMP_MS(group_stamp(g, g->n - 1)) > newest) {
		newest = STAMP_MS(group_stamp(g, g->n - 1));
	}
	for (const struct episode *e = episode_of(&d->windows, g); e != NULL;
	     e = episode_older(&d->windows, e)) {
		newest = e->last_ms > newest ? e->last_ms : newest;
	}
	return newest;
}

void group_settle(struct detect *d, const struct rule *r, struct group *g,
		  int64_t settled_ms)
{
	struct episode *e = episode_of(&d->windows, g), *older, *oldest = e;
	unsigned n = 0;

	for (; e != NULL; e = older) {
		older = episode_older(&d->windows, e);
		if (e->last_ms + r->timespan_ms <= settled_ms) {
			oldest = oldest == e ? older : oldest;
			episode_end(d, e);
			continue;
		}
		if (!e->frozen && e->boundary_ms < settled_ms) {
			freeze(d, g, e);
		}
		oldest = e->last_ms < oldest->last_ms ? e : oldest;
		n++;
	}
	if (n >= GROUP_EPISODES) {
		episode_end(d, oldest);
		d->windows.evicted++;
	}
}

/* ---- a line in its order ---- */

/* The event counts in the episode, beside those that are kept. */
static void count_in(struct detect *d, const struct occurrence *o, struct episode *e)
{
	e->after += o->weight;
	e->last_ms = d->t_ms > e->last_ms ? d->t_ms : e->last_ms;
	episode_touch(d, e);
	episode_update(d, e);
	engine_emit(d, o->rule, (struct emission){d->t_ms, o->weight, 1, true});
}

/* What follows an episode closely, or falls into what it has counted: true. */
static bool take_into(struct detect *d, const struct occurrence *o)
{
	struct group *g = o->group;
	int64_t t = d->t_ms;

	for (struct episode *e = episode_of(&d->windows, g); e != NULL;
	     e = episode_older(&d->windows, e)) {
		bool within = t <= e->last_ms &&
			      (t >= e->boundary_ms || (e->frozen && t >= e->first_ms));
		/* Nothing is kept behind it that it might reach as well. */
		bool follows = t > e->last_ms &&
			       t - e->last_ms < o->rule->timespan_ms &&
			       (g->n == 0 || STAMP_MS(group_stamp(g, g->n - 1)) <=
						     e->boundary_ms);

		if (within || (follows && e->last_ms == group_newest_end(d, g))) {
			count_in(d, o, e);
			return true;
		}
	}
	return false;
}

int64_t group_newest_end(const struct detect *d, struct group *g)
{
	int64_t end = TIME_NONE;

	for (const struct episode *e = episode_of(&d->windows, g); e != NULL;
	     e = episode_older(&d->windows, e)) {
		end = e->last_ms > end ? e->last_ms : end;
	}
	return end;
}

/* Episodes move in memory when one is begun: here they are known by their place. */
static uint32_t place_of(const struct detect *d, const struct episode *e)
{
	return (uint32_t)(e - d->windows.episodes);
}

static struct episode *at_place(const struct detect *d, uint32_t at)
{
	return &d->windows.episodes[at];
}

static int64_t value_at(struct group *g, size_t i)
{
	return g->width == 2 ? group_value(g, i) : 0;
}

/* Whether the window of events [lo, hi), whose last have the same time, fulfils the
 * condition for one of those. */
static bool holds(struct detect *d, const struct rule *r, struct group *g, size_t lo,
		  size_t hi)
{
	const int64_t *events = group_cells(g) + lo * g->width;
	int64_t t = STAMP_MS(group_stamp(g, hi - 1));
	bool by_value = r->type == CORRELATION_VALUE_PERCENTILE && r->percentile == 0;

	for (size_t i = hi; i > lo && STAMP_MS(group_stamp(g, i - 1)) == t; i--) {
		if (measure_holds(&d->measure, r, value_at(g, i - 1), events)) {
			return true;
		}
		if (!by_value) {
			return false;
		}
	}
	return false;
}

/* What a run of events amounts to, before it is written into its episode. */
struct run {
	bool on, frozen;
	int64_t first_ms, boundary_ms, last_ms;
	uint64_t base, after;
	uint32_t e; /* NOBODY: not told yet */
};

/* false: there are too many; it was told all the same, and its events are to go. */
static bool finish(struct detect *d, const struct occurrence *o, const struct run *p)
{
	bool fresh = p->e == NOBODY;
	struct episode *e = fresh ? NULL : at_place(d, p->e);
	struct slice room[RULE_GROUP_BY];
	const struct slice *values = NULL;

	if (fresh) {
		values = engine_group(d, o->ask, room);
		e = engine_begin(d, o->rule, o->group, values);
	}
	if (e == NULL) {
		struct telling t = {.rule = o->rule, .since_ms = p->first_ms,
				    .first_ms = p->first_ms, .last_ms = p->last_ms,
				    .count = p->base + p->after,
				    .evidence = o->group->evidence, .values = values};

		engine_tell_as(d, &t);
		return false;
	}
	e->since_ms = fresh ? p->first_ms : e->since_ms;
	e->first_ms = p->first_ms;
	e->boundary_ms = p->boundary_ms;
	e->last_ms = p->last_ms;
	e->base = p->base;
	e->after = p->after;
	e->frozen = p->frozen;
	episode_touch(d, e);
	episode_defer(&d->windows, e, episode_deadline(e));
	if (fresh) {
		engine_tell(d, e, FINDING_NEW, d->record);
	} else {
		episode_update(d, e);
	}
	return true;
}

/* More copies of an event than this change nothing. */
static size_t copies_of(const struct rule *r, uint64_t weight)
{
	const struct count_range *c = &r->range;
	uint64_t enough = (uint64_t)(c->max == INT64_MAX ? c->min : c->max) + 1;

	if (c->excepts && enough <= (uint64_t)c->not) {
		enough = (uint64_t)c->not + 1;
	}
	enough = enough < CELLS_MAX / 2 && !r->waits ? enough : CELLS_MAX / 2;
	return (size_t)(weight < enough ? weight : enough);
}

/* Whether there were events with the newest one's value in the window [lo, n) before its
 * `copies` came: then no more values are in it than in the one before, which did not
 * hold.  Says nothing where more values may make a condition false. */
static bool nothing_new(struct group *g, int64_t value, size_t lo, size_t copies)
{
	const int64_t *cells = group_cells(g);

	for (size_t i = g->n; i > lo; i--) {
		if (cells[(i - 1) * 2 + 1] == value && copies-- == 0) {
			return true;
		}
	}
	return false;
}

/* Whether the window of events [lo, n) need not be looked at. */
static bool too_few(const struct occurrence *o, size_t lo)
{
	const struct rule *r = o->rule;
	size_t copies = copies_of(r, o->weight);

	if (r->type != CORRELATION_EVENT_COUNT && r->type != CORRELATION_VALUE_COUNT) {
		return false;
	}
	return (int64_t)(o->group->n - lo) < r->range.min ||
	       (r->type == CORRELATION_VALUE_COUNT && !r->waits &&
		nothing_new(o->group, o->value, lo, copies > 0 ? copies : 1));
}

/* The event stands at the end, and no episode reaches it. */
static void judge_newest(struct detect *d, const struct occurrence *o, uint64_t extra)
{
	const struct rule *r = o->rule;
	struct group *g = o->group;
	int64_t from = d->t_ms - r->timespan_ms, used = group_newest_end(d, g);
	size_t lo, same = 0, lines = 0;
	struct run p = {.on = true, .last_ms = d->t_ms, .boundary_ms = d->t_ms,
			.e = NOBODY};

	from = used != TIME_NONE && used > from ? used : from;
	lo = group_bound(g, STAMP(from + 1, 0));
	if (too_few(o, lo) || !measure_begin(&d->measure, r)) {
		return;
	}
	if (g->width == 1) {
		/* Only how many there are counts. */
		d->measure.n = g->n - lo;
	}
	for (size_t i = lo; g->width == 2 && i < g->n; i++) {
		measure_add(&d->measure, r, group_value(g, i), 1);
	}
	if (!holds(d, r, g, lo, g->n)) {
		return;
	}
	while (same < g->n - lo && STAMP_MS(group_stamp(g, g->n - 1 - same)) == d->t_ms) {
		lines += STAMP_STAGE(group_stamp(g, g->n - 1 - same)) == LINE;
		same++;
	}
	p.first_ms = STAMP_MS(group_stamp(g, lo));
	p.base = g->n - lo;
	p.after = extra;
	if (lines > 1) {
		engine_emit(d, r, (struct emission){d->t_ms, same + extra - o->weight,
						    lines - 1, false});
	}
	engine_emit(d, r, (struct emission){d->t_ms, o->weight, 1, true});
	if (!finish(d, o, &p)) {
		group_cut(&d->windows, g, lo, g->n);
	}
}

/* ---- a line that comes late ---- */

/* The group's episodes by their beginnings; how many. */
static size_t sorted(const struct detect *d, struct group *g,
		     uint32_t out[static GROUP_EPISODES])
{
	size_t n = 0;

	for (struct episode *e = episode_of(&d->windows, g);
	     e != NULL && n < GROUP_EPISODES; e = episode_older(&d->windows, e)) {
		size_t i = n++;

		for (; i > 0 && at_place(d, out[i - 1])->boundary_ms > e->boundary_ms;
		     i--) {
			out[i] = out[i - 1];
		}
		out[i] = place_of(d, e);
	}
	return n;
}

/* The run has reached the boundary of an episode: it is that, or has joined it. */
static void adopt(struct detect *d, struct run *p, uint32_t at)
{
	struct episode *e = at_place(d, at);

	if (!p->on) {
		/* What it began with has been pushed out of a full table. */
		*p = (struct run){true, e->frozen, e->first_ms, e->boundary_ms,
				  e->last_ms, 0, e->base + e->after, at};
		return;
	}
	p->after += e->after;
	p->last_ms = e->last_ms > p->last_ms ? e->last_ms : p->last_ms;
	if (p->e == NOBODY) {
		p->e = at;
	} else {
		episode_join(d, e);
	}
}

struct walk {
	struct detect *d;
	const struct occurrence *o;
	uint64_t extra; /* of the line that came, beyond its copies */
	struct run run;
	size_t lo, kept; /* the window begins; what has been kept ends */
	/* Of events that stand for a chained correlation, those not told yet. */
	bool was_told;
};

/* Events [from, to) of one time count: the correlations that name this one hear it. */
static void emit(struct walk *w, size_t from, size_t to)
{
	int64_t t = STAMP_MS(group_stamp(w->o->group, from));
	const struct rule *r = w->o->rule;
	bool own = t == w->d->t_ms;
	uint64_t weight = to - from + (own ? w->extra : 0), lines = 0;

	for (size_t i = from; i < to; i++) {
		lines += STAMP_STAGE(group_stamp(w->o->group, i)) == LINE;
	}
	weight -= own ? w->o->weight : 0;
	lines -= own;
	if (!w->was_told && lines > 0) {
		engine_emit(w->d, r, (struct emission){t, weight, lines, false});
	}
	if (own) {
		engine_emit(w->d, r, (struct emission){t, w->o->weight, 1, true});
	}
}

/* Events [from, to) have the same time: keeps them and looks whether an episode
 * begins. */
static void try_begin(struct walk *w, size_t from, size_t to)
{
	const struct rule *r = w->o->rule;
	struct group *g = w->o->group;
	struct measure *m = &w->d->measure;
	int64_t t = STAMP_MS(group_stamp(g, from)), *s = group_cells(g);
	size_t first = w->kept;

	memmove(s + first * g->width, s + from * g->width,
		(to - from) * g->width * sizeof *s);
	for (size_t i = from; i < to; i++) {
		measure_add(m, r, value_at(g, w->kept++), 1);
	}
	while (STAMP_MS(group_stamp(g, w->lo)) <= t - r->timespan_ms) {
		measure_remove(m, r, value_at(g, w->lo++), 1);
	}
	if (holds(w->d, r, g, w->lo, w->kept)) {
		w->run = (struct run){.on = true, .boundary_ms = t, .last_ms = t,
				      .first_ms = STAMP_MS(group_stamp(g, w->lo)),
				      .base = w->kept - w->lo, .e = NOBODY};
		emit(w, first, w->kept);
	}
}

static void step(struct walk *w, size_t from, size_t to)
{
	int64_t t = STAMP_MS(group_stamp(w->o->group, from));
	struct run *p = &w->run;

	if (p->on && t - p->last_ms >= w->o->rule->timespan_ms) {
		w->kept = finish(w->d, w->o, p) ? w->kept : w->lo;
		p->on = false;
		w->lo = w->kept;
		measure_begin(&w->d->measure, w->o->rule);
	}
	if (p->on) {
		p->after += to - from;
		p->last_ms = t > p->last_ms ? t : p->last_ms;
		emit(w, from, to);
	} else {
		try_begin(w, from, to);
	}
	p->after += p->on && t == w->d->t_ms ? w->extra : 0;
}

static void judge_anew(struct detect *d, const struct occurrence *o, uint64_t extra)
{
	struct walk w = {.d = d, .o = o, .extra = extra, .run = {.e = NOBODY}};
	uint32_t old[GROUP_EPISODES];
	size_t n_old = sorted(d, o->group, old), k = 0, to;
	struct group *g = o->group;

	if (!measure_begin(&d->measure, o->rule)) {
		return;
	}
	/* Of those that nothing can move any more only the last may be reached. */
	for (; k < n_old && at_place(d, old[k])->frozen; k++) {
		w.run.on = false;
		adopt(d, &w.run, old[k]);
	}
	for (size_t i = 0; i < g->n; i = to) {
		int64_t t = STAMP_MS(group_stamp(g, i));

		for (to = i + 1; to < g->n && STAMP_MS(group_stamp(g, to)) == t; to++) {
		}
		w.was_told = k < n_old && at_place(d, old[k])->boundary_ms == t;
		step(&w, i, to);
		while (k < n_old && at_place(d, old[k])->boundary_ms <= t) {
			adopt(d, &w.run, old[k++]);
		}
	}
	if (w.run.on && !finish(d, o, &w.run)) {
		w.kept = w.lo;
	}
	group_cut(&d->windows, g, w.kept, g->n);
}

/* ---- an event ---- */

/* In a flood nearly all lines follow the group's only episode, which has nothing more to
 * settle: the episode, or NULL. */
static struct episode *followed(struct detect *d, const struct occurrence *o)
{
	struct episode *e = episode_of(&d->windows, o->group);
	int64_t t = d->t_ms;

	if (e == NULL || e->older != 0 || t < e->last_ms ||
	    t - e->last_ms >= o->rule->timespan_ms ||
	    (!e->frozen && e->boundary_ms < t - d->lateness_ms)) {
		return NULL;
	}
	if (o->group->n > 0 &&
	    STAMP_MS(group_stamp(o->group, o->group->n - 1)) > e->boundary_ms) {
		return NULL;
	}
	return e;
}

/* Into the group, with as many copies as may matter; how many of the weight have none. */
static uint64_t put_in(struct detect *d, const struct occurrence *o)
{
	size_t copies = copies_of(o->rule, o->weight);

	group_insert(&d->windows, o->group, STAMP(d->t_ms, LINE), o->value, 1);
	if (copies > 1) {
		group_insert(&d->windows, o->group, STAMP(d->t_ms, MORE_OF_IT), o->value,
			     copies - 1);
	}
	return o->weight - copies;
}

static void forget_before(struct detect *d, struct group *g, int64_t t_ms)
{
	if (g->n > 0 && group_stamp(g, 0) < STAMP(t_ms, 0)) {
		group_cut(&d->windows, g, 0, group_bound(g, STAMP(t_ms, 0)));
	}
}

static void count_slowly(struct detect *d, const struct occurrence *o);

void count_event(struct detect *d, const struct occurrence *o)
{
	const struct rule *r = o->rule;
	struct group *g = o->group;
	struct episode *e;

	if (g->episode == 0 &&
	    (g->n == 0 || STAMP_MS(group_stamp(g, g->n - 1u)) <= d->t_ms)) {
		/* As count_slowly() does it, for the most usual case. */
		uint64_t extra;

		forget_before(d, g, d->t_ms - (r->waits ? 0 : d->lateness_ms) -
					    r->timespan_ms + 1);
		engine_evidence(d, &g->evidence);
		extra = put_in(d, o);
		if (!o->more) {
			judge_newest(d, o, extra);
		}
		return;
	}
	e = followed(d, o);
	if (e != NULL) {
		count_in(d, o, e);
	} else {
		count_slowly(d, o);
	}
}

static void count_slowly(struct detect *d, const struct occurrence *o)
{
	const struct rule *r = o->rule;
	struct group *g = o->group;
	int64_t t = d->t_ms, newest = group_newest(d, g);
	int64_t settled = newest - (r->waits ? 0 : d->lateness_ms);
	uint64_t extra;
	int64_t end;

	if (t <= settled - r->timespan_ms || (r->waits && t < settled)) {
		d->stats.late++;
		return;
	}
	group_settle(d, r, g, settled);
	forget_before(d, g, settled - r->timespan_ms + 1);
	if (take_into(d, o)) {
		return;
	}
	engine_evidence(d, &g->evidence);
	end = group_newest_end(d, g);
	if (end != TIME_NONE && t < end && t < settled) {
		d->stats.late++; /* before an episode that nothing moves any more */
		return;
	}
	extra = put_in(d, o);
	if (o->more) {
		return;
	}
	if (STAMP_MS(group_stamp(g, g->n - 1)) == t &&
	    (end == TIME_NONE || t - end >= r->timespan_ms)) {
		judge_newest(d, o, extra);
	} else {
		judge_anew(d, o, extra);
	}
}
