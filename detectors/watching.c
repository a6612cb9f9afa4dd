#include "detectors/field.h"
#include "detectors/measure.h"
#include "detectors/rule.h"

/* The keys `silence` and `rate` of the section `nightjar` (docs/rules.md): rules that watch
 * their groups, instead of telling of lines. */

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

enum { FORGET_DAYS_SILENCE = 64, FORGET_DAYS_RATE = 366 };

/* Such a rule is a detection, and does nothing else. */
static bool may_watch(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	if (r->type != CORRELATION_NONE || r->first_seen.on || rule_watches(r)) {
		complain(c, n->key_mark, "%.*s belongs to a detection without first_seen, silence "
			 "and rate", (int)n->key.n, n->key.p);
		return false;
	}
	for (unsigned i = 0; i < r->n_group; i++) {
		r->group_names[i] = slice_str(rule_field_name(r->group[i]));
	}
	return true;
}

/* A number such as 2.5, in thousandths. */
static bool read_factor(const struct doc_node *n, int64_t *out, const struct complain *c)
{
	if (n == NULL) {
		return true;
	}
	if (n->kind == DOC_SCALAR && measure_number(n->text, out) && *out > 1000 &&
	    *out <= 1000000) {
		return true;
	}
	complain(c, n->mark, "%.*s must be a number above 1 and up to 1000, as in 2.5",
		 (int)n->key.n, n->key.p);
	return false;
}

static bool read_number(const struct doc_node *n, uint64_t max, uint64_t *out,
			const struct complain *c)
{
	if (n == NULL || (n->kind == DOC_SCALAR && slice_to_u64(n->text, max, out) && *out > 0)) {
		return true;
	}
	complain(c, n->mark, "%.*s must be a whole number from 1 to %llu", (int)n->key.n,
		 n->key.p, (unsigned long long)max);
	return false;
}

/* A time from min to max. */
static bool read_between(const struct doc_node *n, int64_t min, int64_t max, int64_t *ms,
			 const struct complain *c)
{
	if (!rule_span(n, ms, c)) {
		return false;
	}
	if (n != NULL && (*ms < min || *ms > max)) {
		complain(c, n->mark, "%.*s must be from %lldm to %lldd here", (int)n->key.n,
			 n->key.p, (long long)(min / 60000), (long long)(max / DAY_MS));
		return false;
	}
	return true;
}

/* ---- silence ---- */

static bool read_learned(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"factor", "percentile", "least", "most", "learning",
					   "forget", NULL};
	const struct doc_node *most = doc_find(n, "most");
	struct usual_pause *u = &r->usual_pause;
	int64_t forget_ms = 28 * DAY_MS;
	uint64_t percentile = 90;

	*u = (struct usual_pause){.factor = 3000, .least_ms = HOUR_MS, .most_ms = 7 * DAY_MS,
				  .learning_ms = 7 * DAY_MS};
	if (!rule_known_keys(n, keys, c) || !read_factor(doc_find(n, "factor"), &u->factor, c) ||
	    !read_number(doc_find(n, "percentile"), 100, &percentile, c) ||
	    !read_between(doc_find(n, "least"), 60000, 3650 * DAY_MS, &u->least_ms, c) ||
	    !read_between(most, 60000, 3650 * DAY_MS, &u->most_ms, c) ||
	    !read_between(doc_find(n, "forget"), DAY_MS, FORGET_DAYS_SILENCE * DAY_MS,
			  &forget_ms, c) ||
	    !read_between(doc_find(n, "learning"), 0, forget_ms, &u->learning_ms, c)) {
		return false;
	}
	if (u->most_ms < u->least_ms || u->most_ms > forget_ms || u->learning_ms > forget_ms) {
		complain(c, most != NULL ? most->mark : n->mark, "least must not be longer than "
			 "most, and neither most nor learning longer than forget");
		return false;
	}
	u->percentile = (uint8_t)percentile;
	u->days = (uint8_t)(forget_ms / DAY_MS);
	r->silence_ms = u->most_ms;
	return true;
}

bool silence_read(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	if (!may_watch(r, n, c)) {
		return false;
	}
	if (n->kind == DOC_MAP) {
		return read_learned(r, n, c);
	}
	if (!rule_span(n, &r->silence_ms, c)) {
		return false;
	}
	if (r->silence_ms == 0) {
		complain(c, n->mark, "silence must be longer than nothing");
		return false;
	}
	return true;
}

/* ---- rate ---- */

static bool read_cells(struct rate *rate, const struct doc_node *n, const struct complain *c)
{
	static const struct {
		const char *name;
		uint8_t cells;
	} all[] = {{"hour", 1}, {"day", 24}, {"week", 168}};

	rate->cells = 1;
	for (size_t i = 0; n != NULL && i < sizeof all / sizeof *all; i++) {
		if (n->kind == DOC_SCALAR && slice_eq(n->text, slice_str(all[i].name))) {
			rate->cells = all[i].cells;
			return true;
		}
	}
	if (n != NULL) {
		complain(c, n->mark, "baseline is hour (all hours alike), day (each hour of the "
			 "day) or week (each hour of the week)");
	}
	return n == NULL;
}

bool rate_read(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"baseline", "above", "below", "minimum", "learning",
					   "forget", NULL};
	const struct doc_node *learning = doc_find(n, "learning"), *forget = doc_find(n, "forget");
	const struct doc_node *minimum = doc_find(n, "minimum");
	struct rate rate = {.learning_ms = 7 * DAY_MS, .forget_ms = 28 * DAY_MS};
	int64_t period;

	if (!may_watch(r, n, c) || !rule_known_keys(n, keys, c) ||
	    !read_cells(&rate, doc_find(n, "baseline"), c) ||
	    !read_factor(doc_find(n, "above"), &rate.above, c) ||
	    !read_factor(doc_find(n, "below"), &rate.below, c) ||
	    !read_number(minimum, 1u << 28, &rate.minimum, c)) {
		return false;
	}
	if (minimum == NULL || rate.above + rate.below == 0) {
		complain(c, n->mark, "rate needs a minimum, and above, below or both");
		return false;
	}
	/* Each average has at least one hour before it is used. */
	period = rate.cells * HOUR_MS;
	if (!read_between(learning, period, FORGET_DAYS_RATE * DAY_MS, &rate.learning_ms, c) ||
	    !read_between(forget, period, FORGET_DAYS_RATE * DAY_MS, &rate.forget_ms, c)) {
		return false;
	}
	r->rate = rate;
	return true;
}
