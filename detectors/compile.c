#include <stdlib.h>

#include "common/err.h"
#include "detectors/engine.h"
#include "detectors/field.h"

/* ---- references between rules ---- */

static struct rule *find_rule(const struct detect *d, struct slice name,
			      const char *file)
{
	struct rule *other = NULL;

	for (struct rule *r = d->set.first; r != NULL; r = r->next) {
		if (r->off || (!slice_eq(name, slice_str(r->id)) &&
			       (r->name[0] == '\0' ||
				!slice_eq(name, slice_str(r->name))))) {
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

/* What a window means: when any of it changes, saved windows are worth nothing. */
static void set_salt(struct rule *r)
{
	static const uint8_t key[16] = "nightjar rules ";
	uint64_t h = siphash(key, r->id, strlen(r->id));

	h = mix(h, r->type);
	h = mix(h, (uint64_t)r->timespan_ms);
	h = mix(h, r->range.min);
	h = mix(h, r->range.max);
	h = mix(h, r->range.not);
	h = mix(h, r->weigh_attempts);
	for (unsigned i = 0; i < r->n_refs; i++) {
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
	r->salt = h;
}

/* ---- what a condition implies, for the dispatch ---- */

enum { VALUES_MAX = 64 };

struct values {
	struct slice v[VALUES_MAX];
	size_t n;
};

static bool implies(const struct condition *c, unsigned at, unsigned field,
		    struct values *out);

static bool all_imply(const struct condition *c, const struct node *n,
		      unsigned field, struct values *out)
{
	for (unsigned i = 0; i < n->n; i++) {
		if (!implies(c, c->kids[n->first + i], field, out)) {
			return false;
		}
	}
	return true;
}

/* Whether the node can only be true when the field is one of some values. */
static bool implies(const struct condition *c, unsigned at, unsigned field,
		    struct values *out)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	size_t before = out->n;

	switch (n->op) {
	case NODE_MATCH:
		m = &c->matches[n->first];
		if (m->op != MATCH_EXACT || m->field != field || m->cased ||
		    out->n == VALUES_MAX) {
			return false;
		}
		out->v[out->n++] = m->text;
		return true;
	case NODE_AND:
		for (unsigned i = 0; i < n->n; i++) {
			if (implies(c, c->kids[n->first + i], field, out)) {
				return true;
			}
			out->n = before;
		}
		return false;
	case NODE_OR:
		return all_imply(c, n, field, out);
	default:
		return false;
	}
}

/* The event's fields without which the node can't be true. */
static uint64_t needs(const struct condition *c, unsigned at)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	uint64_t mask;

	switch (n->op) {
	case NODE_MATCH:
		m = &c->matches[n->first];
		if (m->field >= FIELD_NR || m->op == MATCH_NULL ||
		    m->field == FIELD_SOURCE_ADDRESS ||
		    (m->op == MATCH_EXISTS && m->u.number == 0)) {
			return 0;
		}
		return UINT64_C(1) << m->field;
	case NODE_AND:
		mask = 0;
		for (unsigned i = 0; i < n->n; i++) {
			mask |= needs(c, c->kids[n->first + i]);
		}
		return mask;
	case NODE_OR:
		mask = UINT64_MAX;
		for (unsigned i = 0; i < n->n; i++) {
			mask &= needs(c, c->kids[n->first + i]);
		}
		return n->n == 0 ? 0 : mask;
	default:
		return 0;
	}
}

/* The outcomes with which the node may be true, one bit each. */
static uint8_t outcomes(const struct condition *c, unsigned at)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	uint8_t mask = n->op == NODE_OR ? 0 : UINT8_MAX;

	if (n->op == NODE_NOT) {
		return UINT8_MAX;
	}
	if (n->op != NODE_MATCH) {
		for (unsigned i = 0; i < n->n; i++) {
			uint8_t kid = outcomes(c, c->kids[n->first + i]);

			mask = n->op == NODE_OR ? mask | kid : mask & kid;
		}
		return mask;
	}
	m = &c->matches[n->first];
	if (m->field != RULE_FIELD_OUTCOME || m->op != MATCH_EXACT) {
		return UINT8_MAX;
	}
	mask = 0;
	for (unsigned o = OUTCOME_SUCCESS; o <= OUTCOME_UNKNOWN; o++) {
		if (slice_eq(m->text, slice_str(outcome_name((enum outcome)o)))) {
			mask = (uint8_t)(1u << o);
		}
	}
	return mask;
}

/* Whether it can be true at all: needs a field that no line has. */
static bool never(const struct condition *c, unsigned at)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;

	switch (n->op) {
	case NODE_MATCH:
		m = &c->matches[n->first];
		return m->field == RULE_FIELD_NEVER && m->op != MATCH_NULL &&
		       !(m->op == MATCH_EXISTS && m->u.number == 0);
	case NODE_AND:
		for (unsigned i = 0; i < n->n; i++) {
			if (never(c, c->kids[n->first + i])) {
				return true;
			}
		}
		return false;
	case NODE_OR:
		for (unsigned i = 0; i < n->n; i++) {
			if (!never(c, c->kids[n->first + i])) {
				return false;
			}
		}
		return true;
	default:
		return false;
	}
}

/* An exact match on the field, or a choice of such. */
static bool only_values(const struct condition *c, unsigned at, unsigned field)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;

	if (n->op == NODE_MATCH) {
		m = &c->matches[n->first];
		return m->op == MATCH_EXACT && m->field == field && !m->cased;
	}
	for (unsigned i = 0; n->op == NODE_OR && i < n->n; i++) {
		if (!only_values(c, c->kids[n->first + i], field)) {
			return false;
		}
	}
	return n->op == NODE_OR;
}

/* What the masks of the rule say as well: an exact outcome, a field that is
 * there. */
static bool in_masks(const struct condition *c, unsigned at)
{
	const struct match *m = &c->matches[c->nodes[at].first];

	if (c->nodes[at].op != NODE_MATCH) {
		return false;
	}
	return (m->op == MATCH_EXACT && m->field == RULE_FIELD_OUTCOME) ||
	       (m->op == MATCH_EXISTS && m->u.number != 0 && m->field < FIELD_NR &&
		m->field != FIELD_SOURCE_ADDRESS);
}

struct terms {
	unsigned field;  /* of the dispatch; RULE_FIELD_NR: by none */
	bool dispatched; /* the term that it stands on has been left out */
	uint16_t *p;     /* each once, so that there is room for all */
	uint16_t n;
};

/* Collects the terms of nested ands that are still to be judged once a record
 * has been dispatched. */
static void open_terms(const struct condition *c, unsigned at, struct terms *t)
{
	const struct node *n = &c->nodes[at];

	if (n->op == NODE_AND) {
		for (unsigned i = 0; i < n->n; i++) {
			open_terms(c, c->kids[n->first + i], t);
		}
		return;
	}
	if (!t->dispatched && only_values(c, at, t->field)) {
		t->dispatched = true;
		return;
	}
	for (unsigned i = 0; i < t->n; i++) {
		if (t->p[i] == at) {
			return;
		}
	}
	if (!in_masks(c, at)) {
		t->p[t->n++] = (uint16_t)at;
	}
}

static int set_rest(struct detect *d, struct rule *r, unsigned field)
{
	const struct condition *c = &r->condition;
	struct terms t = {field, false, NULL, 0};

	t.p = arena_take(&d->set.arena, c->n_nodes * sizeof *t.p);
	if (t.p == NULL) {
		return UV_ENOMEM;
	}
	open_terms(c, c->root, &t);
	r->rest = t.p;
	r->n_rest = t.n;
	return 0;
}

/* ---- the dispatch ---- */

/* One line of the plan: this rule is to be tried where field is value. */
struct plan {
	struct rule *rule;
	struct slice value;
	uint8_t field; /* PLAN_FIELD + x: where field x is there; PLAN_ALWAYS */
};
enum { PLAN_FIELD = 128, PLAN_ALWAYS = 255 };

struct planning {
	struct plan *p;
	size_t n, room;
};

static int plan_add(struct planning *pl, struct rule *r, unsigned field,
		    struct slice value)
{
	if (pl->n == pl->room) {
		size_t room = pl->room == 0 ? 64 : pl->room * 2;
		struct plan *p = realloc(pl->p, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		pl->p = p;
		pl->room = room;
	}
	pl->p[pl->n++] = (struct plan){r, value, (uint8_t)field};
	return 0;
}

static int plan_rule(struct detect *d, struct planning *pl, struct rule *r)
{
	static const uint8_t keys[] = {FIELD_EVENT_ACTION, RULE_FIELD_PROGRAM,
				       FIELD_EVENT_CATEGORY};
	const struct condition *c = &r->condition;
	struct values v;
	uint64_t mask;
	int rc = 0;

	r->outcomes = outcomes(c, c->root);
	r->needs = needs(c, c->root);
	if (never(c, c->root)) {
		return 0;
	}
	for (size_t i = 0; i < sizeof keys; i++) {
		v.n = 0;
		if (!implies(c, c->root, keys[i], &v)) {
			continue;
		}
		for (size_t k = 0; rc == 0 && k < v.n; k++) {
			bool twice = false;

			for (size_t q = 0; q < k; q++) {
				twice = twice || slice_eq(v.v[q], v.v[k]);
			}
			rc = twice ? 0 : plan_add(pl, r, keys[i], v.v[k]);
		}
		return rc == 0 ? set_rest(d, r, keys[i]) : rc;
	}
	rc = set_rest(d, r, RULE_FIELD_NR);
	if (rc != 0) {
		return rc;
	}
	mask = r->needs;
	if (mask != 0) {
		unsigned field = 63u - (unsigned)__builtin_clzll(mask);

		return plan_add(pl, r, PLAN_FIELD + field, SLICE_NONE);
	}
	return plan_add(pl, r, PLAN_ALWAYS, SLICE_NONE);
}

static int plan_compare(const void *a, const void *b)
{
	const struct plan *x = a, *y = b;
	size_t n = x->value.n < y->value.n ? x->value.n : y->value.n;
	int rc;

	if (x->field != y->field) {
		return x->field < y->field ? -1 : 1;
	}
	rc = n == 0 ? 0 : memcmp(x->value.p, y->value.p, n);
	if (rc == 0 && x->value.n != y->value.n) {
		rc = x->value.n < y->value.n ? -1 : 1;
	}
	if (rc == 0 && x->rule->index != y->rule->index) {
		rc = x->rule->index < y->rule->index ? -1 : 1;
	}
	return rc;
}

static void bucket_put(struct dispatch *dp, const struct plan *p, uint32_t first,
		       uint32_t n)
{
	uint32_t i = dispatch_hash(p->value, p->field) & (dp->n_buckets - 1);

	while (dp->buckets[i].field != UINT8_MAX) {
		i = (i + 1) & (dp->n_buckets - 1);
	}
	dp->buckets[i] = (struct bucket){p->value, first, n, p->field};
	dp->by_program = dp->by_program || p->field == RULE_FIELD_PROGRAM;
	dp->by_action = dp->by_action || p->field == FIELD_EVENT_ACTION;
	dp->by_category = dp->by_category || p->field == FIELD_EVENT_CATEGORY;
}

static void dispatch_put(struct dispatch *dp, const struct plan *p,
			 uint32_t first, uint32_t n)
{
	if (p->field == PLAN_ALWAYS) {
		dp->always.first = first;
		dp->always.n = n;
	} else if (p->field >= PLAN_FIELD) {
		dp->by_field[p->field - PLAN_FIELD].first = first;
		dp->by_field[p->field - PLAN_FIELD].n = n;
		dp->field_mask |= UINT64_C(1) << (p->field - PLAN_FIELD);
	} else {
		bucket_put(dp, p, first, n);
	}
}

static int dispatch_build(struct detect *d, struct planning *pl)
{
	struct dispatch *dp = &d->dispatch;
	uint32_t n = 16;

	while (n < pl->n * 2) {
		n *= 2;
	}
	dp->buckets = arena_take(&d->set.arena, n * sizeof *dp->buckets);
	dp->rules = arena_take(&d->set.arena, (pl->n + 1) * sizeof *dp->rules);
	if (dp->buckets == NULL || dp->rules == NULL) {
		return UV_ENOMEM;
	}
	dp->n_buckets = n;
	for (uint32_t i = 0; i < n; i++) {
		dp->buckets[i].field = UINT8_MAX;
	}
	if (pl->n > 0) {
		qsort(pl->p, pl->n, sizeof *pl->p, plan_compare);
	}
	for (uint32_t i = 0, from = 0; i < pl->n; i++) {
		const struct plan *p = &pl->p[i];

		dp->rules[i] = p->rule;
		if (i + 1 == pl->n || pl->p[i + 1].field != p->field ||
		    !slice_eq(pl->p[i + 1].value, p->value)) {
			dispatch_put(dp, p, from, i + 1 - from);
			from = i + 1;
		}
	}
	return 0;
}

static int order_correlations(struct detect *d)
{
	d->correlations = arena_take(&d->set.arena,
				     (d->set.n + 1) * sizeof *d->correlations);
	if (d->correlations == NULL) {
		return UV_ENOMEM;
	}
	for (unsigned level = 1; level <= UINT8_MAX; level++) {
		for (struct rule *r = d->set.first; r != NULL; r = r->next) {
			if (!r->off && r->level == level) {
				d->correlations[d->n_correlations++] = r;
			}
		}
	}
	return 0;
}

int engine_compile(struct detect *d, const struct complain *c)
{
	struct planning pl = {NULL, 0, 0};
	int rc = 0, active = 0;

	find_doubles(d, c);
	drop_orphans(d, c);
	settle_levels(d, c);
	drop_orphans(d, c); /* those that named a circle */
	for (struct rule *r = d->set.first; rc == 0 && r != NULL; r = r->next) {
		rc = r->off || r->type == CORRELATION_NONE ? 0 : attach_listeners(d, r);
	}
	for (struct rule *r = d->set.first; rc == 0 && r != NULL; r = r->next) {
		r->alerts = r->alerts && !is_disabled(d, r);
		r->off = r->off || (!r->alerts && r->listeners == NULL);
		set_salt(r);
		if (!r->off) {
			active++;
			rc = r->type == CORRELATION_NONE ? plan_rule(d, &pl, r) : 0;
		}
	}
	if (rc == 0) {
		rc = dispatch_build(d, &pl);
	}
	if (rc == 0) {
		rc = order_correlations(d);
	}
	free(pl.p);
	return rc == 0 ? active : rc;
}
