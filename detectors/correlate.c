#include <stdlib.h>

#include "detectors/engine.h"

/* Events on their way to the correlations that name their rule: into which group,
 * with what value, now or when their turn comes. */

/* The hash of values that stand framed by their lengths in one block; kept, since
 * correlations that group by the same fields share it and a burst from one address
 * needs it once. */
static uint64_t framed_hash(struct detect *d, unsigned at, uint32_t which,
			    const char *framed, uint32_t n)
{
	if (d->memo[at].fields != which || d->memo[at].n != n ||
	    memcmp(d->memo[at].bytes, framed, n) != 0) {
		d->memo[at].fields = which;
		d->memo[at].n = n;
		memcpy(d->memo[at].bytes, framed, n);
		d->memo[at].hash = siphash(d->key, framed, n);
	}
	return d->memo[at].hash;
}

static unsigned memo_place(uint32_t which, const char *p, size_t n)
{
	uint64_t tail = 0;

	memcpy(&tail, p + (n < 8 ? 0 : n - 8), n < 8 ? n : 8);
	return (unsigned)((tail + which) * UINT64_C(0x9e3779b97f4a7c15) >>
			  (64 - MEMO_LOG));
}

/* What the values hash to, or false when they are too long to be kept. */
static bool values_hash(struct detect *d, const uint8_t *fields,
			const struct slice *values, unsigned n_values,
			uint64_t *hash)
{
	char framed[sizeof d->memo[0].bytes];
	uint32_t which = 0, n = 0;

	for (unsigned i = 0; i < n_values; i++) {
		which = which << 8 | (fields[i] + 1u);
		if (values[i].n + n + 1 > sizeof framed) {
			return false;
		}
		framed[n++] = (char)values[i].n;
		memcpy(framed + n, values[i].p, values[i].n);
		n += (uint32_t)values[i].n;
	}
	*hash = framed_hash(d, n_values == 1
				       ? memo_place(which, values[0].p, values[0].n)
				       : memo_place(which, framed, n),
			    which, framed, n);
	return true;
}

/* Nearly all groups are of one value, and most were hashed a moment ago. */
static inline bool known_hash(struct detect *d, const uint8_t *fields,
			      const struct slice *values, unsigned n_values,
			      uint64_t *hash)
{
	uint32_t which = fields[0] + 1u;
	struct slice v = values[0], kept;
	unsigned at;

	if (n_values != 1 || v.n < 8) {
		return false;
	}
	at = memo_place(which, v.p, v.n);
	kept = slice(d->memo[at].bytes + 1, d->memo[at].n - 1);
	if (d->memo[at].fields != which || !slice_eq_short(v, kept)) {
		if (v.n >= sizeof d->memo[at].bytes) {
			return false;
		}
		d->memo[at].fields = which;
		d->memo[at].n = (uint32_t)v.n + 1;
		d->memo[at].bytes[0] = (char)v.n;
		memcpy(d->memo[at].bytes + 1, v.p, v.n);
		d->memo[at].hash = siphash(d->key, d->memo[at].bytes, v.n + 1);
	}
	*hash = d->memo[at].hash;
	return true;
}

/* The salt of the rule is mixed into the values' hash with splitmix64's
 * finalizer: that hash is keyed, which is what keeps the table's places secret. */
static inline uint64_t salted(const struct rule *r, uint64_t h)
{
	h ^= r->salt;
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	h ^= h >> 31;
	return h == 0 ? 1 : h;
}

/* Before the salt; false: it is to be hashed as a whole. */
static bool unsalted(struct detect *d, const struct rule *r, const uint8_t *fields,
		     const struct slice *values, uint64_t *h)
{
	return r->n_group > 0 && (known_hash(d, fields, values, r->n_group, h) ||
				  values_hash(d, fields, values, r->n_group, h));
}

static uint64_t group_hash(struct detect *d, const struct rule *r, const uint8_t *fields,
			   const struct slice *values)
{
	uint64_t h;

	return unsalted(d, r, fields, values, &h)
		       ? salted(r, h)
		       : engine_hash(d, r->salt, values, r->n_group);
}

bool engine_ask(struct detect *d, const struct listener *l, struct ask *out)
{
	const struct rule *r = l->rule;
	const uint8_t *fields = r->refs[l->stage].group;
	uint64_t h;

	out->listener = l;
	/* Most of those who hear of a line group by the same field. */
	for (unsigned i = 0; r->n_group == 1 && i < ASKED; i++) {
		if (fields[0] == d->asked[i].field) {
			out->values[0] = d->asked[i].value;
			out->hash = salted(r, d->asked[i].hash);
			return true;
		}
	}
	if (!engine_values(d->record, fields, r->n_group, out->values)) {
		return false;
	}
	if (!unsalted(d, r, fields, out->values, &h)) {
		out->hash = engine_hash(d, r->salt, out->values, r->n_group);
		return true;
	}
	if (r->n_group == 1) {
		d->asked[d->asked_next++ % ASKED] =
			(struct asked){fields[0], out->values[0], h};
	}
	out->hash = salted(r, h);
	return true;
}

/* What condition.field says of these values: a number, or which value it is. */
static bool value_of(const struct detect *d, const struct rule *r,
		     const struct slice *values, int64_t *out)
{
	if (r->type == CORRELATION_VALUE_COUNT ||
	    (r->type == CORRELATION_VALUE_PERCENTILE && r->percentile == 0)) {
		*out = (int64_t)engine_hash(d, 0, values, r->n_value);
		return true;
	}
	return r->n_value == 0 || measure_number(values[0], out);
}

static void hand_on(struct detect *d, const struct ask *a, struct emission e);

void engine_count(struct detect *d, const struct ask *a, uint64_t weight,
		  int64_t value, bool more)
{
	const struct rule *r = a->listener->rule;
	int64_t now = engine_watermark(d), until;
	size_t from = d->n_emissions;
	struct occurrence o = {r, windows_add(&d->windows, a->hash, now), a->values,
			       weight, value, a->listener->stage, more};
	bool temporal = r->type == CORRELATION_TEMPORAL ||
			r->type == CORRELATION_TEMPORAL_ORDERED;

	if (o.group == NULL) {
		return;
	}
	o.group->width = r->n_value > 0 ? 2 : 1;
	until = (d->t_ms > now ? d->t_ms : now) + r->timespan_ms + d->lateness_ms;
	o.group->until_ms = until > o.group->until_ms ? until : o.group->until_ms;
	if (temporal) {
		temporal_event(d, &o);
	} else {
		count_event(d, &o);
	}
	for (size_t i = from; i < d->n_emissions; i++) {
		hand_on(d, a, d->emissions[i]);
	}
	d->n_emissions = from;
}

/* Its turn is now, or comes when no earlier one can come any more. */
static void take(struct detect *d, const struct ask *a, uint64_t weight,
		 const struct slice *values)
{
	const struct rule *r = a->listener->rule;
	int64_t value = 0;

	if (!value_of(d, r, values, &value)) {
		return;
	}
	if (r->waits) {
		order_add(d, a, weight, value);
	} else {
		engine_count(d, a, weight, value, false);
	}
}

static __attribute__((noinline)) void correlate_values(struct detect *d, const struct ask *a,
						       uint64_t weight)
{
	const struct rule *r = a->listener->rule;
	struct slice values[RULE_GROUP_BY];

	if (engine_values(d->record, r->refs[a->listener->stage].value, r->n_value,
			  values)) {
		take(d, a, weight, values);
	}
}

void engine_correlate(struct detect *d, const struct ask *a)
{
	const struct rule *r = a->listener->rule;
	uint64_t weight = r->weigh_attempts ? d->record->event.attempts : 1;

	/* Most count lines, not what stands in them. */
	if (r->n_value == 0 && !r->waits) {
		engine_count(d, a, weight, 0, false);
	} else {
		correlate_values(d, a, weight);
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
static bool field_of_group(const struct ask *a, unsigned field, struct slice *out)
{
	const struct rule *r = a->listener->rule;

	for (unsigned k = 0; k < r->n_group; k++) {
		if (r->refs[a->listener->stage].group[k] == field || r->group[k] == field) {
			*out = a->values[k];
			return true;
		}
	}
	return false;
}

static bool fields_of(const struct detect *d, const struct ask *a, bool own,
		      const uint8_t *fields, size_t n, struct slice *out)
{
	for (size_t i = 0; i < n; i++) {
		if ((own || !field_of_group(a, fields[i], &out[i])) &&
		    (d->record == NULL ||
		     !rule_field_get(d->record, fields[i], &out[i]))) {
			return false;
		}
	}
	return true;
}

/* To count events is to add them up; others look at each line. */
static void hand(struct detect *d, const struct ask *a, struct emission e,
		 const struct slice *values)
{
	bool once = a->listener->rule->type == CORRELATION_EVENT_COUNT;

	for (uint64_t i = 0; i < (once ? 1 : e.lines); i++) {
		take(d, a, once ? e.weight : 1, values);
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
		struct slice values[RULE_GROUP_BY];
		struct ask next = {.listener = l};

		if (fields_of(d, a, e.own, ref->group, l->rule->n_group,
			      next.values) &&
		    fields_of(d, a, e.own, ref->value, l->rule->n_value, values)) {
			next.hash = group_hash(d, l->rule, ref->group, next.values);
			hand(d, &next, e, values);
		}
	}
	d->t_ms = t;
}
