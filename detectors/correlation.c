#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "detectors/rule.h"

/* The sections `correlation` (Sigma 2.1, correlation rules) and `nightjar`. */

static const char *const known[] = {"type", "rules", "group-by", "timespan",
				    "condition", "aliases", "generate", NULL};

static bool known_keys(const struct doc_node *n, const char *const *keys,
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
		{"temporal", CORRELATION_TEMPORAL},
		{"temporal_ordered", CORRELATION_TEMPORAL_ORDERED},
		{"value_count", CORRELATION_NONE},
		{"value_sum", CORRELATION_NONE},
		{"value_avg", CORRELATION_NONE},
		{"value_percentile", CORRELATION_NONE},
	};
	char shown[64];

	if (n == NULL || n->kind != DOC_SCALAR) {
		complain(c, section->mark, "the correlation has no type");
		return false;
	}
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (slice_eq(n->text, slice_str(types[i].name))) {
			r->type = types[i].type;
			if (r->type == CORRELATION_NONE) {
				complain(c, n->mark, "correlation type \"%s\" is "
					 "not supported yet", types[i].name);
			}
			return r->type != CORRELATION_NONE;
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

static bool read_number(const struct doc_node *n, uint64_t *out,
			const struct complain *c)
{
	if (n->kind == DOC_SCALAR && slice_to_u64(n->text, 1000000000, out)) {
		return true;
	}
	complain(c, n->mark, "a whole number up to 1000000000 must stand here");
	return false;
}

static bool read_range(struct rule *r, const struct doc_node *n,
		       const struct complain *c)
{
	static const char *const keys[] = {"gt", "gte", "lt", "lte", "eq", "neq",
					   NULL};
	struct count_range *g = &r->range;

	if (!known_keys(n, keys, c)) {
		return false;
	}
	*g = (struct count_range){1, UINT64_MAX, UINT64_MAX};
	for (const struct doc_node *k = n->first; k != NULL; k = k->next) {
		uint64_t v;

		if (!read_number(k, &v, c)) {
			return false;
		}
		if (slice_eq(k->key, SLICE_LIT("gt")) && v + 1 > g->min) {
			g->min = v + 1;
		} else if (slice_eq(k->key, SLICE_LIT("gte")) && v > g->min) {
			g->min = v;
		} else if (slice_eq(k->key, SLICE_LIT("lt")) && v <= g->max) {
			g->max = v == 0 ? 0 : v - 1;
		} else if (slice_eq(k->key, SLICE_LIT("lte")) && v < g->max) {
			g->max = v;
		} else if (slice_eq(k->key, SLICE_LIT("eq"))) {
			g->min = v > g->min ? v : g->min;
			g->max = v < g->max ? v : g->max;
		} else if (slice_eq(k->key, SLICE_LIT("neq"))) {
			g->not = v;
		}
	}
	if (n->first == NULL || g->min > g->max) {
		complain(c, n->mark, "no count of at least one fulfils this");
		return false;
	}
	return true;
}

/* aliases: {name: {rule: field}} gives a group-by name its field in the events
 * of each rule. */
static bool read_group(struct ruleset *set, struct rule *r,
		       const struct doc_node *n, const struct doc_node *aliases,
		       const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;

	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		const struct doc_node *alias = NULL;
		unsigned at = r->n_group;
		const char *copy;

		if (v->kind != DOC_SCALAR || at == RULE_GROUP_BY) {
			complain(c, v->mark, "group-by takes up to %d fields",
				 RULE_GROUP_BY);
			return false;
		}
		copy = arena_text(&set->arena, v->text);
		if (copy == NULL) {
			return false;
		}
		alias = doc_find(aliases, copy);
		for (unsigned i = 0; i < r->n_refs; i++) {
			const struct doc_node *f = v;
			uint8_t one[RULE_GROUP_BY];

			if (alias != NULL) {
				f = doc_find(alias, r->refs[i].name.p);
				if (f == NULL) {
					complain(c, alias->mark, "the alias has no "
						 "field for rule \"%s\"",
						 r->refs[i].name.p);
					return false;
				}
			}
			if (rule_fields(f, one, c) != 1) {
				return false;
			}
			r->refs[i].group[at] = one[0];
			r->group[at] = one[0];
		}
		r->group_names[at] = slice_str(copy);
		r->n_group++;
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

	if (!known_keys(n, known, c) ||
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
	if (r->type == CORRELATION_EVENT_COUNT) {
		if (condition == NULL) {
			complain(c, n->mark, "event_count needs a condition, as in "
				 "gte: 5");
			return false;
		}
		if (!read_range(r, condition, c)) {
			return false;
		}
	} else if (condition != NULL) {
		complain(c, condition->key_mark, "a condition for temporal "
			 "correlations is not supported yet");
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

/* ---- nightjar: ---- */

static bool read_span(const struct doc_node *n, int64_t *ms,
		      const struct complain *c)
{
	if (n == NULL) {
		return true;
	}
	if (n->kind == DOC_SCALAR && slice_eq(n->text, SLICE_LIT("0"))) {
		*ms = 0;
		return true;
	}
	if (n->kind == DOC_SCALAR && rule_timespan(n->text, ms)) {
		return true;
	}
	complain(c, n->mark, "a time must be a whole number and s, m, h or d, as "
		 "in 7d");
	return false;
}

static bool read_first_seen(struct rule *r, const struct doc_node *n,
			    const struct complain *c)
{
	static const char *const keys[] = {"field", "per", "learning", "forget",
					   NULL};
	struct first_seen *f = &r->first_seen;
	const struct doc_node *field = doc_find(n, "field");
	const struct doc_node *per = doc_find(n, "per");
	int got;

	if (r->type != CORRELATION_NONE) {
		complain(c, n->key_mark, "first_seen belongs to a detection, not to "
			 "a correlation");
		return false;
	}
	if (!known_keys(n, keys, c)) {
		return false;
	}
	if (field == NULL) {
		complain(c, n->mark, "first_seen needs a field");
		return false;
	}
	got = rule_fields(field, f->fields, c);
	if (got <= 0) {
		return false;
	}
	f->n_fields = (uint8_t)got;
	got = per == NULL ? 0 : rule_fields(per, f->per, c);
	if (got < 0) {
		return false;
	}
	f->n_per = (uint8_t)got;
	f->learning_ms = INT64_C(7) * 86400000;
	f->forget_ms = INT64_C(90) * 86400000;
	f->on = true;
	return read_span(doc_find(n, "learning"), &f->learning_ms, c) &&
	       read_span(doc_find(n, "forget"), &f->forget_ms, c);
}

static bool read_weight(struct rule *r, const struct doc_node *n,
			const struct complain *c)
{
	if (r->type != CORRELATION_EVENT_COUNT || n->kind != DOC_SCALAR ||
	    !slice_eq(n->text, SLICE_LIT("attempts"))) {
		complain(c, n->mark, "weight is \"attempts\", and only for "
			 "event_count");
		return false;
	}
	r->weigh_attempts = true;
	return true;
}

static bool read_plain_group(struct rule *r, const struct doc_node *n,
			     const struct complain *c)
{
	int got;

	if (r->type != CORRELATION_NONE) {
		complain(c, n->key_mark, "a correlation has its group-by in its own "
			 "section");
		return false;
	}
	got = rule_fields(n, r->group, c);
	r->n_group = got < 0 ? 0 : (uint8_t)got;
	return got > 0;
}

int extension_read(struct ruleset *set, struct rule *r,
		   const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"first_seen", "cooldown", "weight",
					   "group-by", "examples", "reason", NULL};
	const struct doc_node *first = doc_find(n, "first_seen");
	const struct doc_node *weight = doc_find(n, "weight");
	const struct doc_node *group = doc_find(n, "group-by");
	int64_t cooldown_ms = 0;

	(void)set;
	if (!known_keys(n, keys, c) ||
	    !read_span(doc_find(n, "cooldown"), &cooldown_ms, c) ||
	    (first != NULL && !read_first_seen(r, first, c)) ||
	    (weight != NULL && !read_weight(r, weight, c)) ||
	    (group != NULL && !read_plain_group(r, group, c))) {
		return ERR_MALFORMED;
	}
	r->cooldown_ns = (uint64_t)cooldown_ms * 1000000;
	return 0;
}
