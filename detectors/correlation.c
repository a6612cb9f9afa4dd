#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "detectors/measure.h"
#include "detectors/rule.h"

/* The section `correlation` (Sigma 2.1, correlation rules). */

static const char *const known[] = {"type", "rules", "group-by", "timespan",
				    "condition", "aliases", "generate", NULL};

bool rule_known_keys(const struct doc_node *n, const char *const *keys,
		     const struct complain *c)
{
	char shown[64];

	if (n->kind != DOC_MAP) {
		complain(c, n->mark, "a mapping must stand here");
		return false;
	}
	for (const struct doc_node *k = n->first; k != NULL; k = k->next) {
		const char *const *p = keys;

		while (*p != NULL && !slice_eq(k->key, slice_str(*p))) {
			p++;
		}
		if (*p == NULL) {
			complain(c, k->key_mark, "unknown key %s",
				 log_quote(shown, sizeof shown, k->key));
			return false;
		}
	}
	return true;
}

static bool read_type(struct rule *r, const struct doc_node *n,
		      const struct doc_node *section, const struct complain *c)
{
	static const struct {
		const char *name;
		enum correlation_type type;
	} types[] = {
		{"event_count", CORRELATION_EVENT_COUNT},
		{"value_count", CORRELATION_VALUE_COUNT},
		{"value_sum", CORRELATION_VALUE_SUM},
		{"value_avg", CORRELATION_VALUE_AVG},
		{"value_percentile", CORRELATION_VALUE_PERCENTILE},
		{"temporal", CORRELATION_TEMPORAL},
		{"temporal_ordered", CORRELATION_TEMPORAL_ORDERED},
	};
	char shown[64];

	if (n == NULL || n->kind != DOC_SCALAR) {
		complain(c, section->mark, "the correlation has no type");
		return false;
	}
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (slice_eq(n->text, slice_str(types[i].name))) {
			r->type = types[i].type;
			return true;
		}
	}
	complain(c, n->mark, "%s is no correlation type",
		 log_quote(shown, sizeof shown, n->text));
	return false;
}

static bool read_refs(struct ruleset *set, struct rule *r,
		      const struct doc_node *n, const struct doc_node *section,
		      const struct complain *c)
{
	const struct doc_node *v;

	if (n == NULL || (n->kind == DOC_LIST && n->first == NULL) ||
	    n->kind == DOC_MAP) {
		complain(c, n == NULL ? section->mark : n->mark,
			 "rules must name the rules that are correlated");
		return false;
	}
	v = n->kind == DOC_LIST ? n->first : n;
	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		struct reference *ref = &r->refs[r->n_refs];
		const char *copy;

		if (v->kind != DOC_SCALAR || r->n_refs == RULE_REFS) {
			complain(c, v->mark, "rules are at most %d names or ids",
				 RULE_REFS);
			return false;
		}
		copy = arena_text(&set->arena, v->text);
		if (copy == NULL) {
			return false;
		}
		ref->name = slice_str(copy);
		ref->mark = v->mark;
		r->n_refs++;
	}
	return true;
}

/* Values that are numbers count in thousandths. */
static bool is_decimal(const struct rule *r)
{
	return r->type == CORRELATION_VALUE_SUM || r->type == CORRELATION_VALUE_AVG ||
	       r->type == CORRELATION_VALUE_PERCENTILE;
}

static bool is_temporal(const struct rule *r)
{
	return r->type == CORRELATION_TEMPORAL ||
	       r->type == CORRELATION_TEMPORAL_ORDERED;
}

static bool read_number(const struct rule *r, const struct doc_node *n, int64_t *out,
			const struct complain *c)
{
	uint64_t v;

	if (is_decimal(r)) {
		if (n->kind == DOC_SCALAR && measure_number(n->text, out)) {
			return true;
		}
		complain(c, n->mark, "a number that is not negative must stand here, as "
			 "in 500 or 0.5");
		return false;
	}
	if (n->kind == DOC_SCALAR && slice_to_u64(n->text, 1000000000, &v)) {
		*out = (int64_t)v;
		return true;
	}
	complain(c, n->mark, "a whole number up to 1000000000 must stand here");
	return false;
}

/* The stricter of two bounds, of which one excludes itself. */
static void bound_below(struct count_range *g, int64_t v, bool above)
{
	if (v > g->min || (v == g->min && above)) {
		g->min = v;
		g->above = above;
	}
}

static void bound_above(struct count_range *g, int64_t v, bool below)
{
	if (v < g->max || (v == g->max && below)) {
		g->max = v;
		g->below = below;
	}
}

static void take_bound(struct count_range *g, struct slice key, int64_t v)
{
	if (slice_eq(key, SLICE_LIT("gt"))) {
		bound_below(g, v, true);
	} else if (slice_eq(key, SLICE_LIT("gte"))) {
		bound_below(g, v, false);
	} else if (slice_eq(key, SLICE_LIT("lt"))) {
		bound_above(g, v, true);
	} else if (slice_eq(key, SLICE_LIT("lte"))) {
		bound_above(g, v, false);
	} else if (slice_eq(key, SLICE_LIT("eq"))) {
		bound_below(g, v, false);
		bound_above(g, v, false);
	} else {
		g->excepts = true;
		g->not = v;
	}
}

/* Whether some number that may be counted fulfils it. */
static bool can_hold(const struct rule *r)
{
	const struct count_range *g = &r->range;
	int64_t low = g->min + g->above, high = g->max - g->below;

	if (is_temporal(r)) {
		high = high < r->n_refs ? high : r->n_refs;
	}
	if (g->max == INT64_MAX && !is_temporal(r)) {
		return true;
	}
	return is_decimal(r) ? g->min < g->max || (g->min == g->max && !g->above && !g->below)
			     : low < high || (low == high && !(g->excepts && g->not == low));
}

static bool read_percentile(struct rule *r, const struct doc_node *n,
			    const struct complain *c)
{
	uint64_t v;

	if (r->type == CORRELATION_VALUE_PERCENTILE && n->kind == DOC_SCALAR &&
	    slice_to_u64(n->text, 100, &v) && v > 0) {
		r->percentile = (uint8_t)v;
		return true;
	}
	complain(c, n->mark, "percentile is a whole number from 1 to 100, and only for "
		 "value_percentile");
	return false;
}

static bool read_range(struct rule *r, const struct doc_node *n,
		       const struct complain *c)
{
	static const char *const keys[] = {"gt", "gte", "lt", "lte", "eq", "neq",
					   "field", "percentile", NULL};
	struct count_range *g = &r->range;
	bool any = false;

	if (!rule_known_keys(n, keys, c)) {
		return false;
	}
	*g = (struct count_range){.min = is_decimal(r) ? 0 : 1, .max = INT64_MAX};
	for (const struct doc_node *k = n->first; k != NULL; k = k->next) {
		int64_t v;

		if (slice_eq(k->key, SLICE_LIT("field"))) {
			continue;
		}
		if (slice_eq(k->key, SLICE_LIT("percentile"))) {
			if (!read_percentile(r, k, c)) {
				return false;
			}
			continue;
		}
		if (!read_number(r, k, &v, c)) {
			return false;
		}
		take_bound(g, k->key, v);
		any = true;
	}
	if (!any || !can_hold(r)) {
		complain(c, n->mark, any ? "no window with an event in it fulfils this"
					 : "the condition compares nothing: gt, gte, lt, "
					   "lte, eq or neq must stand in it");
		return false;
	}
	r->waits = g->max != INT64_MAX || g->excepts || r->type == CORRELATION_VALUE_AVG ||
		   r->type == CORRELATION_VALUE_PERCENTILE;
	r->quick = !r->waits && (r->type == CORRELATION_EVENT_COUNT ||
				 r->type == CORRELATION_VALUE_COUNT);
	return true;
}

/* The field that a name means in the events of each rule; aliases: {name: {rule:
 * field}} may give it another in each. */
static bool read_name(const struct rule *r, const struct doc_node *v,
		      const struct doc_node *aliases, const char *name,
		      uint8_t out[static RULE_REFS], const struct complain *c)
{
	const struct doc_node *alias = doc_find(aliases, name);

	for (unsigned i = 0; i < r->n_refs; i++) {
		const struct doc_node *f = v;
		uint8_t one[RULE_GROUP_BY];

		if (alias != NULL) {
			f = doc_find(alias, r->refs[i].name.p);
			if (f == NULL) {
				complain(c, alias->mark, "the alias has no field for "
					 "rule \"%s\"", r->refs[i].name.p);
				return false;
			}
		}
		if (rule_fields(f, one, c) != 1) {
			return false;
		}
		out[i] = one[0];
	}
	return true;
}

static bool read_group(struct ruleset *set, struct rule *r,
		       const struct doc_node *n, const struct doc_node *aliases,
		       const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;

	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		uint8_t fields[RULE_REFS] = {0};
		unsigned at = r->n_group;
		const char *copy;
		int field;

		if (v->kind != DOC_SCALAR || at == RULE_GROUP_BY) {
			complain(c, v->mark, "group-by takes up to %d fields",
				 RULE_GROUP_BY);
			return false;
		}
		copy = arena_text(&set->arena, v->text);
		if (copy == NULL || !read_name(r, v, aliases, copy, fields, c)) {
			return false;
		}
		for (unsigned i = 0; i < r->n_refs; i++) {
			r->refs[i].group[at] = fields[i];
			r->group[at] = fields[i];
		}
		/* A name that is an alias stays what the rule calls it. */
		field = rule_field_find(slice_str(copy));
		r->group_names[at] = slice_str(field < 0 ? copy : rule_field_name((unsigned)field));
		r->n_group++;
	}
	return true;
}

/* condition.field: what is counted, added up or compared; several together are one
 * value. */
static bool read_values(struct ruleset *set, struct rule *r, const struct doc_node *condition,
			const struct doc_node *aliases, const struct complain *c)
{
	const struct doc_node *n = doc_find(condition, "field"), *v;
	bool one = is_decimal(r) && (r->type != CORRELATION_VALUE_PERCENTILE || r->percentile > 0);
	unsigned most = one ? 1 : RULE_GROUP_BY;

	if (r->type == CORRELATION_EVENT_COUNT || is_temporal(r)) {
		if (n != NULL) {
			complain(c, n->key_mark, "field is for the value_ correlations");
		}
		return n == NULL;
	}
	if (n == NULL || (n->kind == DOC_LIST && n->first == NULL)) {
		complain(c, condition->mark, "the condition needs a field");
		return false;
	}
	v = n->kind == DOC_LIST ? n->first : n;
	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		uint8_t fields[RULE_REFS] = {0};
		const char *copy;

		if (v->kind != DOC_SCALAR || r->n_value == most) {
			complain(c, v->mark, "field takes %s", one ? "one field"
								   : "up to 4 fields");
			return false;
		}
		copy = arena_text(&set->arena, v->text);
		if (copy == NULL || !read_name(r, v, aliases, copy, fields, c)) {
			return false;
		}
		for (unsigned i = 0; i < r->n_refs; i++) {
			r->refs[i].value[r->n_value] = fields[i];
		}
		r->n_value++;
	}
	return true;
}

static bool read_generate(struct rule *r, const struct doc_node *n,
			  const struct complain *c)
{
	r->generate = n != NULL && slice_eq(n->text, SLICE_LIT("true"));
	if (n != NULL && !r->generate && !slice_eq(n->text, SLICE_LIT("false"))) {
		complain(c, n->mark, "generate is true or false");
		return false;
	}
	return true;
}

static bool read_correlation(struct ruleset *set, struct rule *r,
			     const struct doc_node *n, const struct complain *c)
{
	const struct doc_node *span = doc_find(n, "timespan");
	const struct doc_node *condition = doc_find(n, "condition");
	const struct doc_node *group = doc_find(n, "group-by");

	if (!rule_known_keys(n, known, c) ||
	    !read_type(r, doc_find(n, "type"), n, c) ||
	    !read_refs(set, r, doc_find(n, "rules"), n, c) ||
	    !read_generate(r, doc_find(n, "generate"), c)) {
		return false;
	}
	if (span == NULL || span->kind != DOC_SCALAR ||
	    !rule_timespan(span->text, &r->timespan_ms)) {
		complain(c, span == NULL ? n->mark : span->mark,
			 "timespan must be a whole number and s, m, h or d, as in "
			 "90m");
		return false;
	}
	if (condition == NULL && !is_temporal(r)) {
		complain(c, n->mark, "the correlation needs a condition, as in gte: 5");
		return false;
	}
	r->range = (struct count_range){.min = r->n_refs, .max = INT64_MAX};
	if (condition != NULL &&
	    (!read_range(r, condition, c) ||
	     !read_values(set, r, condition, doc_find(n, "aliases"), c))) {
		return false;
	}
	return group == NULL ||
	       read_group(set, r, group, doc_find(n, "aliases"), c);
}

int correlation_read(struct ruleset *set, struct rule *r,
		     const struct doc_node *n, const struct complain *c)
{
	return read_correlation(set, r, n, c) ? 0 : ERR_MALFORMED;
}
