#include "common/err.h"
#include "detectors/rule.h"

/* The section `nightjar`: what Sigma lacks (docs/rules.md). */

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
	if (!rule_known_keys(n, keys, c)) {
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
	if (!rule_known_keys(n, keys, c) ||
	    !read_span(doc_find(n, "cooldown"), &cooldown_ms, c) ||
	    (first != NULL && !read_first_seen(r, first, c)) ||
	    (weight != NULL && !read_weight(r, weight, c)) ||
	    (group != NULL && !read_plain_group(r, group, c))) {
		return ERR_MALFORMED;
	}
	r->cooldown_ns = (uint64_t)cooldown_ms * 1000000;
	return 0;
}
