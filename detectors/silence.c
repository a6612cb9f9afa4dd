#include "detectors/engine.h"

/* nightjar.silence, exactly.
 *
 * Let the lines that a rule matches in a group stand in the order of their times.  Where one
 * is followed by the next more than `silence` later, or by none, that is an alert: it begins
 * (first, and its identity) at the line before, and ends (last) at the next.  It is told when
 * no line can come any more that would have broken the silence.
 *
 * Each group has an episode from its first line on, whose deadline is the earliest at which
 * something is to be told; `frozen` is: the silence was told.  first_ms is the last line that
 * is settled; behind it the group keeps the lines that came, but for those between two that
 * are closer together than the silence.  A finished log does not say that nothing comes any
 * more: what is silent at its end is not told.
 */

/* Later than any watermark but that of a finished log. */
#define NEVER (INT64_C(1) << 49)

static int64_t next_of(struct group *g)
{
	return g->n == 0 ? NEVER : STAMP_MS(group_stamp(g, 0));
}

static void set_deadline(struct detect *d, struct group *g, struct episode *e)
{
	int64_t over = e->first_ms + e->rule->silence_ms + 1;

	episode_defer(&d->windows, e, e->frozen ? next_of(g) : over);
}

static struct episode *watch(struct detect *d, const struct rule *r, struct group *g,
			     const struct slice *values)
{
	struct episode *e = engine_begin(d, r, g, values);

	if (e == NULL) {
		d->windows.evicted++;
		return NULL;
	}
	e->since_ms = e->first_ms = e->last_ms = e->boundary_ms = d->t_ms;
	e->touched_ms = d->t_ms;
	e->base = 1;
	set_deadline(d, g, e);
	return e;
}

/* Event i is not needed: those beside it are close enough. */
static bool needless(struct group *g, const struct episode *e, size_t i)
{
	int64_t before = i > 0 ? STAMP_MS(group_stamp(g, i - 1)) : e->first_ms;

	return (i > 0 || !e->frozen) && i + 1 < g->n &&
	       STAMP_MS(group_stamp(g, i + 1)) - before <= e->rule->silence_ms;
}

void silence_event(struct detect *d, const struct rule *r)
{
	struct slice values[RULE_GROUP_BY];
	int64_t t = d->t_ms;
	struct group *g;
	struct episode *e;
	size_t at;

	if (!engine_values(d->record, r->group, r->n_group, values)) {
		return;
	}
	g = windows_add(&d->windows, engine_hash(d, r->salt, values, r->n_group),
			engine_watermark(d));
	if (g == NULL) {
		return;
	}
	g->width = 1;
	g->until_ms = d->t_ms;
	e = episode_of(&d->windows, g);
	if (e == NULL) {
		watch(d, r, g, values);
		return;
	}
	if (t < e->first_ms && e->boundary_ms == e->first_ms && !e->frozen) {
		/* Nothing is settled yet: the group begins earlier. */
		int64_t later = e->first_ms;

		e->since_ms = e->first_ms = e->boundary_ms = t;
		t = later;
		set_deadline(d, g, e);
	}
	if (t <= e->first_ms) {
		return;
	}
	at = group_insert(&d->windows, g, STAMP(t, 0), 0, 1);
	if (needless(g, e, at)) {
		group_cut(&d->windows, g, at, at + 1);
	} else if (at > 0 && needless(g, e, at - 1)) {
		group_cut(&d->windows, g, at - 1, at);
	}
	if (e->frozen) {
		set_deadline(d, g, e);
	}
}

static void tell(struct detect *d, struct episode *e, enum finding_state state,
		 int64_t first_ms, int64_t last_ms)
{
	int64_t settled = e->first_ms;

	e->since_ms = e->first_ms = first_ms;
	e->last_ms = last_ms;
	engine_tell(d, e, state, NULL);
	e->first_ms = settled;
}

/* The next line is the last that is settled now. */
static void settle(struct detect *d, struct group *g, struct episode *e)
{
	e->first_ms = e->last_ms = next_of(g);
	group_cut(&d->windows, g, 0, 1);
}

void silence_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished)
{
	struct group *g = windows_find(&d->windows, e->hash);
	int64_t after = e->rule->silence_ms;

	while (g != NULL) {
		int64_t next = next_of(g);

		if (e->frozen && next <= now_ms && next != NEVER) {
			tell(d, e, FINDING_END, e->first_ms, next);
			e->frozen = false;
			settle(d, g, e);
		} else if (e->frozen) {
			break;
		} else if (next != NEVER && next - e->first_ms <= after) {
			settle(d, g, e);
		} else if (e->first_ms + after < now_ms &&
			   (next != NEVER || !finished)) {
			tell(d, e, FINDING_NEW, e->first_ms, e->first_ms + after);
			e->frozen = true;
		} else {
			break;
		}
	}
	if (finished && e->frozen) {
		tell(d, e, FINDING_END, e->first_ms, e->last_ms);
	}
	if (g == NULL || finished) {
		episode_remove(&d->windows, e);
	} else {
		set_deadline(d, g, e);
	}
}

void silence_begin(struct detect *d)
{
	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		uint64_t hash = engine_hash(d, r->salt, NULL, 0);
		struct group *g;

		if (r->off || r->silence_ms == 0 || r->n_group > 0) {
			continue;
		}
		g = windows_add(&d->windows, hash, engine_watermark(d));
		if (g != NULL && g->episode == 0) {
			g->width = 1;
			watch(d, r, g, NULL);
		}
	}
}
