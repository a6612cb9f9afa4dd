#include "detectors/engine.h"

/* event_count, exactly.
 *
 * Let the group's events stand in the order of their times, whatever order they
 * came in.  The window at an event is (its time - timespan, its time].  An
 * episode begins at the first event whose window fulfils the condition; it counts
 * everything from the first event of that window on; it ends when no event
 * follows for a timespan.  After that the counting starts anew.
 *
 * Lines may come late by d->lateness_ms behind the newest line of their group:
 *  - until then the stamps up to the event that made the condition true (the
 *    episode's boundary) are kept, and a line that falls among them may move
 *    the beginning; afterwards the episode is frozen and only counts;
 *  - stamps are kept for timespan + lateness.
 * What can't be put right in hindsight: when two episodes have been told and a
 * late line then closes the gap between them, they stay two.
 */

static bool in_range(const struct count_range *r, uint64_t n)
{
	return n >= r->min && n <= r->max && n != r->not;
}

/* More copies of a stamp than this change nothing. */
static size_t copies_of(const struct rule *r, uint64_t weight)
{
	uint64_t enough = r->range.max == UINT64_MAX ? r->range.min
						     : r->range.max + 1;

	if (r->range.not != UINT64_MAX && enough <= r->range.not) {
		enough = r->range.not + 1;
	}
	enough = enough < STAMPS_MAX / 2 ? enough : STAMPS_MAX / 2;
	return (size_t)(weight < enough ? weight : enough);
}

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
	if (g != NULL && !e->frozen) {
		group_cut(&d->windows, g, 0,
			  group_bound(g, STAMP(e->boundary_ms + 1, 0)));
	}
	episode_remove(&d->windows, e);
}

void episode_update(struct detect *d, struct episode *e)
{
	uint64_t count = e->base + e->after;

	if (count >= e->told * 2) {
		engine_tell(d, e, FINDING_UPDATE, d->record);
	}
}

static void freeze(struct detect *d, struct group *g, struct episode *e)
{
	group_cut(&d->windows, g, 0,
		  group_bound(g, STAMP(e->boundary_ms + 1, 0)));
	e->frozen = true;
}

/* Takes waiting stamps into the episode as far as they follow it closely. */
static void absorb(struct detect *d, const struct rule *r, struct group *g,
		   struct episode *e)
{
	size_t from = group_bound(g, STAMP(e->boundary_ms + 1, 0)), to = from;
	const int64_t *s = group_stamps(g);

	while (to < g->n && STAMP_MS(s[to]) - e->last_ms < r->timespan_ms) {
		if (STAMP_MS(s[to]) > e->last_ms) {
			e->last_ms = STAMP_MS(s[to]);
		}
		to++;
	}
	e->after += to - from;
	group_cut(&d->windows, g, from, to);
}

/* Where the window of stamp j begins, not before lo. */
static size_t window_start(const int64_t *s, size_t lo, size_t j, int64_t span)
{
	size_t i = j;

	while (i > lo && STAMP_MS(s[i - 1]) > STAMP_MS(s[j]) - span) {
		i--;
	}
	return i;
}

/* The episode that stamps [i, j] make.  extra: what the event at j weighs beyond
 * its copies.  NULL: there are too many; it was told all the same. */
static struct episode *begin(struct detect *d, const struct rule *r,
			     struct group *g, const struct slice *values,
			     size_t i, size_t j, uint64_t extra)
{
	struct episode *e = episode_of(&d->windows, g);
	const int64_t *s = group_stamps(g);
	int64_t first = STAMP_MS(s[i]), last = STAMP_MS(s[j]);

	if (e != NULL) {
		size_t gone = e->frozen ? 0 : group_bound(
			g, STAMP(e->boundary_ms + 1, 0));

		episode_end(d, e);
		i -= gone;
		j -= gone;
	}
	e = engine_begin(d, r, g, values);
	if (e == NULL) {
		struct lone l = {r, first, last, j - i + 1 + extra, g->evidence,
				 values};

		group_cut(&d->windows, g, 0, j + 1);
		engine_tell_lone(d, &l);
		return NULL;
	}
	e->since_ms = e->first_ms = first;
	e->boundary_ms = e->last_ms = last;
	e->base = j - i + 1;
	e->after = extra;
	absorb(d, r, g, e);
	episode_touch(d, e);
	episode_defer(&d->windows, e, episode_deadline(e));
	engine_tell(d, e, FINDING_NEW, d->record);
	return e;
}

/* Looks for the first event from index `at` on (the event just inserted, with its
 * copies) whose window fulfils the condition. */
static bool evaluate(struct detect *d, const struct rule *r, struct group *g,
		     const struct slice *values, size_t at, uint64_t extra)
{
	const struct episode *e = episode_of(&d->windows, g);
	size_t lo = e == NULL ? 0 : group_bound(g, STAMP(e->last_ms + 1, 0));
	const int64_t *s = group_stamps(g);
	int64_t reach = STAMP_MS(s[at]) + r->timespan_ms;

	for (size_t j = at; j < g->n && STAMP_MS(s[j]) < reach; j++) {
		size_t i = window_start(s, lo, j, r->timespan_ms);

		if (in_range(&r->range, j - i + 1 + extra)) {
			begin(d, r, g, values, i, j, extra);
			return true;
		}
	}
	return false;
}

/* What stands before the episode and fulfils the condition by itself, without
 * reaching it: told as an episode that is over. */
static void tell_past(struct detect *d, const struct rule *r, struct group *g,
		      const struct slice *values, size_t i, size_t end)
{
	const int64_t *s = group_stamps(g);
	struct lone l = {r, STAMP_MS(s[i]), STAMP_MS(s[end]), end - i + 1,
			 g->evidence, values};

	engine_tell_lone(d, &l);
	group_cut(&d->windows, g, 0, end + 1);
}

/* A late line fell among the stamps up to the boundary: finds the beginning
 * anew. */
static void begin_again(struct detect *d, const struct rule *r, struct group *g,
			struct episode *e, const struct slice *values)
{
	for (;;) {
		size_t n = group_bound(g, STAMP(e->boundary_ms + 1, 0));
		size_t first = group_bound(g, STAMP(e->first_ms, 0));
		const int64_t *s = group_stamps(g);
		size_t i = 0, j = 0, end;

		for (; j < n; j++) {
			i = window_start(s, 0, j, r->timespan_ms);
			if (in_range(&r->range, j - i + 1)) {
				break;
			}
		}
		if (j == n || i >= first) {
			e->base = n - first;
			return;
		}
		end = j;
		while (end + 1 < n && STAMP_MS(s[end + 1]) - STAMP_MS(s[end]) <
					      r->timespan_ms) {
			end++;
		}
		if (end >= first) {
			e->first_ms = STAMP_MS(s[i]);
			e->base = n - i;
			return;
		}
		tell_past(d, r, g, values, i, end);
	}
}

/* The event belongs to the open episode, or is too late for it: true. */
static bool take_into(struct detect *d, const struct rule *r, struct group *g,
		      struct episode *e, const struct slice *values,
		      uint64_t weight)
{
	int64_t t = d->t_ms;
	size_t copies;

	episode_touch(d, e);
	if (t > e->last_ms) {
		if (t - e->last_ms >= r->timespan_ms) {
			return false;
		}
		e->last_ms = t;
		e->after += weight;
		absorb(d, r, g, e);
	} else if (t > e->boundary_ms || (e->frozen && t >= e->first_ms)) {
		e->after += weight;
	} else if (e->frozen) {
		d->stats.late++;
		return true;
	} else {
		copies = copies_of(r, weight);
		group_insert(&d->windows, g, STAMP(t, 0), copies);
		e->after += weight - copies;
		begin_again(d, r, g, e, values);
	}
	episode_update(d, e);
	return true;
}

bool count_event(struct detect *d, const struct rule *r, struct group *g,
		 const struct slice *values, uint64_t weight)
{
	struct episode *e = episode_of(&d->windows, g);
	int64_t t = d->t_ms, newest = t, horizon;
	size_t copies = copies_of(r, weight), at;

	if (g->n > 0 && STAMP_MS(group_stamps(g)[g->n - 1]) > newest) {
		newest = STAMP_MS(group_stamps(g)[g->n - 1]);
	}
	if (e != NULL && e->last_ms > newest) {
		newest = e->last_ms;
	}
	horizon = newest - d->lateness_ms - r->timespan_ms;
	if (t <= horizon) {
		d->stats.late++;
		return false;
	}
	group_cut(&d->windows, g, 0, group_bound(g, STAMP(horizon + 1, 0)));
	if (e != NULL && !e->frozen && newest - d->lateness_ms > e->boundary_ms) {
		freeze(d, g, e);
	}
	if (e == NULL) {
		engine_evidence(d, &g->evidence);
	}
	if (e != NULL && take_into(d, r, g, e, values, weight)) {
		return true;
	}
	if (e != NULL && t - d->lateness_ms >= e->last_ms + r->timespan_ms) {
		episode_end(d, e);
	}
	at = group_insert(&d->windows, g, STAMP(t, 0), copies);
	return evaluate(d, r, g, values, at, weight - copies);
}
