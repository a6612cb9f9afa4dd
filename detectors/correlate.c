#include <stdlib.h>

#include "detectors/engine.h"

/* Events on their way to the correlations that name their rule: into which group,
 * with what value, now or when their turn comes. */

const struct slice *engine_group(struct detect *d, const struct ask *a,
				 struct slice out[static RULE_GROUP_BY])
{
	const struct listener *l = a->listener;

	if (a->values != NULL) {
		return a->values;
	}
	for (unsigned i = 0; i < l->rule->n_group; i++) {
		out[i] = engine_asked(d, l->rule->refs[l->stage].group[i])->value;
	}
	return out;
}

/* Whether it counts which values there are, not what they say. */
static bool by_hash(const struct rule *r)
{
	return r->type == CORRELATION_VALUE_COUNT ||
	       (r->type == CORRELATION_VALUE_PERCENTILE && r->percentile == 0);
}

/* What condition.field says of these values: a number, or which value it is. */
static bool value_of(struct detect *d, const struct rule *r, const struct slice *values,
		     int64_t *out)
{
	if (by_hash(r)) {
		*out = (int64_t)engine_hash(d, 0, values, r->n_value);
		return true;
	}
	return r->n_value == 0 || measure_number(values[0], out);
}

/* What it says of the record. */
static bool value_here(struct detect *d, const struct rule *r, const uint8_t *fields,
		       int64_t *out)
{
	struct slice values[RULE_GROUP_BY];
	uint64_t hash;

	if (by_hash(r)) {
		if (!engine_hash_fields(d, 0, fields, r->n_value, &hash)) {
			return false;
		}
		*out = (int64_t)hash;
		return true;
	}
	return engine_values(d, fields, r->n_value, values) &&
	       value_of(d, r, values, out);
}

static void hand_on(struct detect *d, const struct ask *a, struct emission e);

/* Whether one of the group's events [lo, n) has this value. */
static bool holds_value(struct group *g, size_t lo, int64_t value)
{
	const int64_t *cells = group_cells(g);

	for (size_t i = g->n; i > lo; i--) {
		if (cells[(i - 1) * 2 + 1] == value) {
			return true;
		}
	}
	return false;
}

/* As count_event() does it, for nearly all events: one that comes in its order, where no
 * episode is and after which the window has too few events or no value that it had not
 * before.  What is over in the group goes when there is no room.  false: nothing was done. */
static bool count_quickly(struct detect *d, const struct rule *r, struct group *g,
			  uint64_t weight, int64_t value)
{
	int64_t t = d->t_ms, stamp = STAMP(t, 0), *cells = group_cells(g), last;
	size_t n = g->n, width = g->width, lo;

	if (!r->quick || weight != 1 || g->episode != 0 || group_full(g)) {
		return false;
	}
	last = n > 0 ? cells[(n - 1) * width] : stamp;
	if (last > stamp || STAMP_MS(last) <= t - d->lateness_ms - r->timespan_ms) {
		return false;
	}
	if ((int64_t)n + 1 >= r->range.min) {
		lo = group_bound(g, STAMP(t - r->timespan_ms + 1, 0));
		if ((int64_t)(n + 1 - lo) >= r->range.min &&
		    (width == 1 || !holds_value(g, lo, value))) {
			return false;
		}
	}
	engine_evidence(d, &g->evidence);
	cells[n * width] = stamp;
	if (width == 2) {
		cells[n * 2 + 1] = value;
	}
	g->n++;
	return true;
}

/* Whatever count_quickly() leaves. */
static __attribute__((noinline)) void count_fully(struct detect *d, const struct occurrence *o)
{
	const struct rule *r = o->rule;
	size_t from = d->n_emissions;

	if (r->type == CORRELATION_TEMPORAL || r->type == CORRELATION_TEMPORAL_ORDERED) {
		temporal_event(d, o);
	} else {
		count_event(d, o);
	}
	for (size_t i = from; i < d->n_emissions; i++) {
		hand_on(d, o->ask, d->emissions[i]);
	}
	d->n_emissions = from;
}

void engine_count(struct detect *d, const struct ask *a, uint64_t weight,
		  int64_t value, bool more)
{
	const struct rule *r = a->listener->rule;
	int64_t now = engine_watermark(d), until;
	struct group *g = windows_get(&d->windows, a->hash, now);

	if (g == NULL) {
		return;
	}
	g->width = r->n_value > 0 ? 2 : 1;
	until = (d->t_ms > now ? d->t_ms : now) + r->timespan_ms + d->lateness_ms;
	g->until_ms = until > g->until_ms ? until : g->until_ms;
	if (!count_quickly(d, r, g, weight, value)) {
		count_fully(d, &(struct occurrence){r, g, a, weight, value, a->listener->stage,
						    more});
	}
}

/* Its turn is now, or comes when no earlier one can come any more. */
static void take(struct detect *d, const struct ask *a, uint64_t weight, int64_t value)
{
	if (a->listener->rule->waits) {
		order_add(d, a, weight, value);
	} else {
		engine_count(d, a, weight, value, false);
	}
}

void engine_correlate(struct detect *d, const struct ask *a)
{
	const struct rule *r = a->listener->rule;
	uint64_t weight = r->weigh_attempts ? d->record->event.attempts : 1;
	int64_t value = 0;

	/* Most count lines, not what stands in them. */
	if (r->n_value == 0 ||
	    value_here(d, r, r->refs[a->listener->stage].value, &value)) {
		take(d, a, weight, value);
	}
}

void engine_tell_listeners(struct detect *d, const struct rule *r)
{
	for (const struct listener *l = r->listeners; l != NULL; l = l->next) {
		struct ask a;

		if (engine_listens(d, l) && engine_ask(d, l, &a)) {
			engine_correlate(d, &a);
		}
	}
}

/* ---- events of correlations ---- */

void engine_emit(struct detect *d, const struct rule *r, struct emission e)
{
	if (r->listeners == NULL) {
		return;
	}
	if (d->n_emissions == d->room_emissions) {
		size_t room = d->room_emissions == 0 ? 64 : d->room_emissions * 2;
		struct emission *p = realloc(d->emissions, room * sizeof *p);

		if (p == NULL) {
			return;
		}
		d->emissions = p;
		d->room_emissions = room;
	}
	e.own = e.own && d->record != NULL;
	d->emissions[d->n_emissions++] = e;
}

/* What is known of an event whose line is not at hand: the values of its group. */
static bool field_of_group(struct detect *d, const struct ask *a, unsigned field,
			   struct slice *out)
{
	const struct rule *r = a->listener->rule;
	struct slice room[RULE_GROUP_BY];

	for (unsigned k = 0; k < r->n_group; k++) {
		if (r->refs[a->listener->stage].group[k] == field || r->group[k] == field) {
			*out = engine_group(d, a, room)[k];
			return true;
		}
	}
	return false;
}

static bool fields_of(struct detect *d, const struct ask *a, bool own,
		      const uint8_t *fields, size_t n, struct slice *out)
{
	for (size_t i = 0; i < n; i++) {
		if ((own || !field_of_group(d, a, fields[i], &out[i])) &&
		    (d->record == NULL ||
		     !engine_field(d, fields[i], &out[i]))) {
			return false;
		}
	}
	return true;
}

/* To count events is to add them up; others look at each line. */
static void hand(struct detect *d, const struct ask *a, struct emission e,
		 int64_t value)
{
	bool once = a->listener->rule->type == CORRELATION_EVENT_COUNT;

	for (uint64_t i = 0; i < (once ? 1 : e.lines); i++) {
		take(d, a, once ? e.weight : 1, value);
	}
}

/* Brings the event of the correlation that a belongs to to those who name it. */
static void hand_on(struct detect *d, const struct ask *a, struct emission e)
{
	const struct rule *r = a->listener->rule;
	int64_t t = d->t_ms;

	d->t_ms = e.t_ms;
	for (const struct listener *l = r->listeners; l != NULL; l = l->next) {
		const struct reference *ref = &l->rule->refs[l->stage];
		struct slice group[RULE_GROUP_BY], values[RULE_GROUP_BY];
		struct ask next = {.listener = l, .values = group};
		int64_t value = 0;

		if (fields_of(d, a, e.own, ref->group, l->rule->n_group,
			      group) &&
		    fields_of(d, a, e.own, ref->value, l->rule->n_value, values) &&
		    value_of(d, l->rule, values, &value)) {
			next.hash = engine_hash(d, l->rule->salt, group, l->rule->n_group);
			hand(d, &next, e, value);
		}
	}
	d->t_ms = t;
}
