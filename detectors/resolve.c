#include "common/err.h"
#include "detectors/engine.h"

/* References between rules: by name or id, first in the same file, then in all. */

static struct rule *find_rule(const struct detect *d, struct slice name,
			      const char *file)
{
	struct rule *other = NULL;

	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		if (r->off || !rule_is_named(r, name)) {
			continue;
		}
		if (strcmp(r->file, file) == 0) {
			return r;
		}
		other = r;
	}
	return other;
}

/* A rule of the same id in a later file replaces this one; in the same file the
 * later one is a mistake. */
static void find_doubles(struct detect *d, const struct complain *c)
{
	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		for (struct rule *q = d->set.first; q != r; q = q->next) {
			struct complain at = *c;

			if (q->off || strcmp(q->id, r->id) != 0) {
				continue;
			}
			if (strcmp(q->file, r->file) != 0) {
				q->off = true;
				continue;
			}
			at.file = r->file;
			complain(&at, r->mark, "the id of this rule stands in the "
				 "same file already, in line %u", q->mark.line);
			r->off = true;
			break;
		}
	}
}

static bool is_disabled(const struct detect *d, const struct rule *r)
{
	for (size_t i = 0; i < d->disabled.n; i++) {
		if (strcmp(d->disabled.v[i], r->id) == 0) {
			return true;
		}
	}
	return false;
}

static bool resolve(struct detect *d, struct rule *r, const struct complain *c)
{
	struct complain at = *c;

	at.file = r->file;
	for (unsigned i = 0; i < r->n_refs; i++) {
		struct reference *ref = &r->refs[i];

		ref->rule = find_rule(d, ref->name, r->file);
		if (ref->rule == NULL) {
			complain(&at, ref->mark, "no rule has the name or id \"%s\"",
				 ref->name.p);
			return false;
		}
		if (ref->rule->travel.on) {
			complain(&at, ref->mark, "\"%s\" is about travel: it tells by itself and "
				 "can't be counted", ref->name.p);
			return false;
		}
		if (rule_watches(ref->rule)) {
			complain(&at, ref->mark, "\"%s\" watches for silence or a rate: it has no "
				 "events that could be counted", ref->name.p);
			return false;
		}
	}
	return true;
}

/* A correlation stands one level above the highest that it names.  Each round
 * settles at least one level; what is never settled names itself in a circle. */
static void settle_levels(struct detect *d, const struct complain *c)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (struct rule *r = d->set.first; r != NULL; r = r->next) {
			unsigned level = 0;
			bool known = true;

			if (r->off || r->type == CORRELATION_NONE || r->level > 0) {
				continue;
			}
			for (unsigned i = 0; i < r->n_refs; i++) {
				const struct rule *q = r->refs[i].rule;

				known = known && (q->type == CORRELATION_NONE ||
						  q->level > 0);
				level = q->level > level ? q->level : level;
			}
			if (known && level < UINT8_MAX) {
				r->level = (uint8_t)(level + 1);
				moved = true;
			}
		}
	}
	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		struct complain at = *c;

		if (!r->off && r->type != CORRELATION_NONE && r->level == 0) {
			at.file = r->file;
			complain(&at, r->mark, "the correlation depends on itself, "
				 "or on one that does");
			r->off = true;
		}
	}
}

/* A correlation whose reference was refused is refused as well, and so on. */
static void drop_orphans(struct detect *d, const struct complain *c)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (struct rule *r = d->set.first; r != NULL; r = r->next) {
			if (!r->off && r->type != CORRELATION_NONE &&
			    !resolve(d, r, c)) {
				r->off = moved = true;
			}
		}
	}
}

static int attach_listeners(struct detect *d, struct rule *r)
{
	for (unsigned i = 0; i < r->n_refs; i++) {
		struct rule *q = r->refs[i].rule;
		struct listener *l = arena_take(&d->set.arena, sizeof *l);

		if (l == NULL) {
			return UV_ENOMEM;
		}
		*l = (struct listener){r, (uint8_t)i, q->listeners};
		q->listeners = l;
		/* In one file a rule is part of its correlation; a rule of another
		 * file goes on telling. */
		if (!r->generate && strcmp(q->file, r->file) == 0) {
			q->alerts = false;
		}
	}
	return 0;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	static const uint8_t key[16] = "nightjar rules ";
	uint64_t both[2] = {h, v};

	return siphash(key, both, sizeof both);
}

static uint64_t salt_of_watch(const struct rule *r, uint64_t h)
{
	const struct usual_pause *u = &r->usual_pause;
	const struct rate *rate = &r->rate;
	const int64_t learned[] = {u->days, u->percentile, u->factor, u->least_ms,
				   u->learning_ms, rate->cells, rate->above, rate->below,
				   (int64_t)rate->minimum, rate->learning_ms, rate->forget_ms};

	h = mix(h, (uint64_t)r->silence_ms);
	for (unsigned i = 0; rule_watches(r) && i < r->n_group; i++) {
		h = mix(h, 3000u + r->group[i]);
	}
	for (unsigned i = 0; (u->days > 0 || rate->cells > 0) && i < 11; i++) {
		h = mix(h, (uint64_t)learned[i]);
	}
	return h;
}

/* What a window means: when any of it changes, saved windows are worth nothing. */
static void set_salt(struct rule *r)
{
	static const uint8_t key[16] = "nightjar rules ";
	uint64_t h = siphash(key, r->id, strlen(r->id));

	h = mix(h, r->type);
	h = mix(h, (uint64_t)r->timespan_ms);
	h = mix(h, (uint64_t)r->range.min);
	h = mix(h, (uint64_t)r->range.max);
	h = mix(h, (uint64_t)r->range.not);
	h = mix(h, (uint64_t)(r->range.above | r->range.below << 1 |
			      r->range.excepts << 2 | r->weigh_attempts << 3 |
			      r->waits << 4 | r->percentile << 5));
	for (unsigned i = 0; i < r->n_refs; i++) {
		for (unsigned k = 0; k < r->n_value; k++) {
			h = mix(h, 2000u + r->refs[i].value[k]);
		}
		for (unsigned k = 0; k < r->n_group; k++) {
			h = mix(h, r->refs[i].group[k]);
		}
	}
	for (unsigned i = 0; i < r->first_seen.n_fields; i++) {
		h = mix(h, r->first_seen.fields[i]);
	}
	for (unsigned i = 0; i < r->first_seen.n_per; i++) {
		h = mix(h, 1000u + r->first_seen.per[i]);
	}
	if (r->travel.on) {
		h = mix(h, (uint64_t)r->travel.speed_kmh << 32 | r->travel.distance_km);
		for (unsigned i = 0; i < r->n_group; i++) {
			h = mix(h, 3000u + r->group[i]);
		}
	}
	r->salt = salt_of_watch(r, h);
	r->salted = engine_mix(r->salt, 0);
}

/* A line that is new may turn out not to be: who counts such lines waits until it is certain. */
static void wait_for_news(struct rule *r)
{
	for (unsigned i = 0; i < r->n_refs; i++) {
		if (r->refs[i].rule != NULL && r->refs[i].rule->first_seen.on) {
			r->waits = true;
			r->quick = false;
		}
	}
}

int engine_resolve(struct detect *d, const struct complain *c)
{
	int rc;

	find_doubles(d, c);
	rc = filters_apply(d, c);
	assets_compile(d, c);
	drop_orphans(d, c);
	settle_levels(d, c);
	drop_orphans(d, c); /* those that named a circle */
	for (struct rule *r = d->set.first; rc == 0 && r != NULL; r = r->next) {
		rc = r->off || r->type == CORRELATION_NONE
			     ? 0 : attach_listeners(d, r);
	}
	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		wait_for_news(r);
		r->alerts = r->alerts && !is_disabled(d, r);
		r->off = r->off || (!r->alerts && r->listeners == NULL);
		set_salt(r);
	}
	return rc;
}
