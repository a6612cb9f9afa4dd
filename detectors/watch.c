#include "detectors/baseline.h"

/* Rules that watch their groups (nightjar.silence, nightjar.rate): each group that has had a
 * line has an episode, whose deadline is the earliest at which there is something to do. */

static bool learns(const struct rule *r)
{
	return r->usual_pause.days > 0 || r->rate.cells > 0;
}

struct episode *engine_watch(struct detect *d, const struct rule *r, struct group *g,
			     const struct slice *values)
{
	struct episode *e;

	if (learns(r)) {
		baseline_room(d, g->hash);
	}
	e = engine_begin(d, r, g, values);
	if (e != NULL && learns(r) && !baseline_give(&d->windows, e)) {
		episode_remove(&d->windows, e);
		e = NULL;
	}
	if (e == NULL) {
		d->windows.evicted++;
		return NULL;
	}
	e->since_ms = e->first_ms = e->last_ms = e->boundary_ms = d->t_ms;
	e->touched_ms = d->t_ms;
	return e;
}

static struct episode *watch(struct detect *d, const struct rule *r, struct group *g,
			     const struct slice *values)
{
	return r->rate.cells > 0 ? rate_watch(d, r, g, values) : silence_watch(d, r, g, values);
}

struct episode *engine_watched(struct detect *d, const struct rule *r, uint64_t hash,
			       struct group **g)
{
	struct slice values[RULE_GROUP_BY];
	struct episode *e;

	*g = windows_get(&d->windows, hash, engine_watermark(d));
	if (*g == NULL) {
		return NULL;
	}
	(*g)->until_ms = d->t_ms;
	e = episode_of(&d->windows, *g);
	if (e != NULL || !engine_values(d, r->group, r->n_group, values)) {
		return e;
	}
	return watch(d, r, *g, values);
}

void watch_event(struct detect *d, const struct rule *r)
{
	if (r->rate.cells > 0) {
		rate_event(d, r);
	} else {
		silence_event(d, r);
	}
}

void watch_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished)
{
	if (e->rule->rate.cells > 0) {
		rate_due(d, e, now_ms, finished);
	} else {
		silence_due(d, e, now_ms, finished);
	}
}

/* Without group-by all lines are one group, which is there before any of them. */
void watch_begin(struct detect *d)
{
	for (const struct rule *r = d->set.first; r != NULL; r = r->next) {
		struct group *g;

		if (!r->off && rule_watches(r) && r->n_group == 0) {
			(void)engine_watched(d, r, engine_hash(d, r->salt, NULL, 0), &g);
		}
	}
}

bool watch_fits(const struct detect *d, const struct episode *e)
{
	return e->rule->rate.cells == 0 || rate_fits(d, e);
}
