#include "detectors/engine.h"

/* temporal and temporal_ordered: each rule of the list has an event in one
 * timespan; ordered: in the order of the list (events of the same millisecond
 * count as ordered).
 *
 * A group keeps the times of the last STAGE_KEEP events of each stage within
 * timespan + lateness, so that a late line finds its place.  An event is looked
 * at together with the nearest ones on both sides: the tightest combination that
 * it is part of.  One that is complete opens an episode, which counts further
 * completions until none comes for a timespan.
 */
enum { STAGE_KEEP = 8 };

static void keep_few(struct detect *d, struct group *g, unsigned stage)
{
	const int64_t *s = group_stamps(g);
	size_t n = 0, oldest = 0;

	for (size_t i = g->n; i > 0; i--) {
		if (STAMP_STAGE(s[i - 1]) == stage) {
			oldest = i - 1;
			n++;
		}
	}
	if (n > STAGE_KEEP) {
		group_cut(&d->windows, g, oldest, oldest + 1);
	}
}

/* Latest stage by stage backwards, earliest stage by stage forwards: no
 * combination through stamp `at` is tighter. */
static bool ordered(const struct rule *r, struct group *g, size_t at,
		    int64_t *first, int64_t *last)
{
	const int64_t *s = group_stamps(g);
	unsigned stage = STAMP_STAGE(s[at]), want = stage;
	size_t i = at;

	*first = *last = s[at];
	while (want > 0 && i > 0) {
		if (STAMP_STAGE(s[--i]) == want - 1) {
			*first = s[i];
			want--;
		}
	}
	if (want > 0) {
		return false;
	}
	want = stage + 1;
	for (i = at + 1; i < g->n && want < r->n_refs; i++) {
		if (STAMP_STAGE(s[i]) == want) {
			*last = s[i];
			want++;
		}
	}
	return want >= r->n_refs;
}

/* Any order: of each window that ends at or behind `at`, the latest event of each
 * stage. */
static bool unordered(const struct rule *r, struct group *g, size_t at,
		      int64_t *first, int64_t *last)
{
	const int64_t *s = group_stamps(g);
	int64_t reach = STAMP_MS(s[at]) + r->timespan_ms;

	*first = *last = s[at];
	for (size_t end = at; end < g->n && STAMP_MS(s[end]) < reach; end++) {
		unsigned have = 0, n = 0;

		for (size_t i = end + 1; i > 0 && n < r->n_refs; i--) {
			unsigned bit = 1u << STAMP_STAGE(s[i - 1]);

			if ((have & bit) == 0) {
				have |= bit;
				n++;
				*first = s[i - 1];
			}
		}
		*last = s[end];
		if (n == r->n_refs && STAMP_MS(*first) <= STAMP_MS(s[at]) &&
		    STAMP_MS(*last) - STAMP_MS(*first) < r->timespan_ms) {
			return true;
		}
	}
	return false;
}

static void complete(struct detect *d, const struct rule *r, struct group *g,
		     const struct slice *values, int64_t first, int64_t last)
{
	struct episode *e = episode_of(&d->windows, g);

	if (e != NULL && last - e->last_ms < r->timespan_ms) {
		e->last_ms = last > e->last_ms ? last : e->last_ms;
		e->after++;
		episode_touch(d, e);
		episode_update(d, e);
		return;
	}
	if (e != NULL) {
		episode_end(d, e);
	}
	e = engine_begin(d, r, g, values);
	if (e == NULL) {
		struct lone l = {r, first, last, 1, g->evidence, values};

		engine_tell_lone(d, &l);
		return;
	}
	e->since_ms = e->first_ms = first;
	e->boundary_ms = e->last_ms = last;
	e->base = 1;
	e->frozen = true;
	episode_touch(d, e);
	episode_defer(&d->windows, e, episode_deadline(e));
	engine_tell(d, e, FINDING_NEW, d->record);
}

bool temporal_event(struct detect *d, const struct rule *r, struct group *g,
		    const struct slice *values, unsigned stage)
{
	int64_t t = d->t_ms, newest = t, first, last, horizon;
	size_t at;
	bool whole;

	if (g->n > 0 && STAMP_MS(group_stamps(g)[g->n - 1]) > newest) {
		newest = STAMP_MS(group_stamps(g)[g->n - 1]);
	}
	horizon = newest - d->lateness_ms - r->timespan_ms;
	if (t <= horizon) {
		d->stats.late++;
		return false;
	}
	group_cut(&d->windows, g, 0, group_bound(g, STAMP(horizon + 1, 0)));
	keep_few(d, g, stage);
	at = group_insert(&d->windows, g, STAMP(t, stage), 1);
	if (g->episode == 0) {
		engine_evidence(d, &g->evidence);
	}
	whole = r->type == CORRELATION_TEMPORAL_ORDERED
			? ordered(r, g, at, &first, &last)
			: unordered(r, g, at, &first, &last);
	if (!whole || STAMP_MS(last) - STAMP_MS(first) >= r->timespan_ms) {
		return false;
	}
	complete(d, r, g, values, STAMP_MS(first), STAMP_MS(last));
	return true;
}
