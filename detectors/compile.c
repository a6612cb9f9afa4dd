#include <stdlib.h>

#include "common/err.h"
#include "detectors/engine.h"
#include "detectors/field.h"
#include "detectors/implied.h"

/* ---- the words that a line must hold ---- */

enum where { IN_LINES, IN_COMMANDS, IN_URLS };

struct words {
	struct slice v[VALUES_MAX];
	size_t n;
	size_t shortest;
	enum where place;
};

/* The longest piece of a glob without wildcards. */
static struct slice longest_piece(struct arena *a, const struct match *m)
{
	uint32_t from = 0, best = 0, best_n = 0;
	char *p;

	for (uint32_t i = 0; i <= m->n_glob; i++) {
		if (i < m->n_glob && m->glob[i] < 256) {
			continue;
		}
		if (i - from > best_n) {
			best = from;
			best_n = i - from;
		}
		from = i + 1;
	}
	p = arena_take(a, best_n + 1);
	for (uint32_t i = 0; p != NULL && i < best_n; i++) {
		p[i] = (char)m->glob[best + i];
	}
	return slice(p, p == NULL ? 0 : best_n);
}

/* Whether a word for this field is looked for where the place is. */
static bool is_here(unsigned field, enum where place)
{
	switch (place) {
	case IN_COMMANDS:
		return field == FIELD_PROCESS_COMMAND_LINE ||
		       field == FIELD_PROCESS_EXECUTABLE || field == RULE_FIELD_IMAGE;
	case IN_URLS:
		return field == FIELD_URL_PATH || field == FIELD_USER_AGENT;
	default:
		return field == RULE_FIELD_LINE || field == RULE_FIELD_MESSAGE;
	}
}

static bool word_of(struct arena *a, const struct match *m, struct words *out)
{
	struct slice s = m->text;

	if (!is_here(m->field, out->place) || m->cased || m->op > MATCH_GLOB ||
	    out->n == VALUES_MAX) {
		return false;
	}
	if (m->op == MATCH_GLOB) {
		s = longest_piece(a, m);
	}
	if (s.n < (out->place == IN_COMMANDS ? LITERAL_LEAST : LITERAL_MIN)) {
		return false;
	}
	out->v[out->n++] = s;
	out->shortest = s.n < out->shortest ? s.n : out->shortest;
	return true;
}

/* Whether the node can only be true for a line that holds one of some words: the
 * longest such that it offers. */
static bool words_of(struct arena *a, const struct condition *c, unsigned at,
		     struct words *out)
{
	const struct node *n = &c->nodes[at];
	struct words before = *out, best = {.shortest = 0, .place = out->place};

	if (n->op == NODE_MATCH) {
		return word_of(a, &c->matches[n->first], out);
	}
	if (n->op == NODE_NOT) {
		return false;
	}
	for (unsigned i = 0; i < n->n; i++) {
		bool has = words_of(a, c, c->kids[n->first + i], out);

		if (n->op == NODE_OR && !has) {
			return false;
		}
		if (n->op == NODE_AND) {
			if (has && out->shortest > best.shortest) {
				best = *out;
			}
			*out = before;
		}
	}
	if (n->op == NODE_AND) {
		*out = best;
		return best.n > before.n;
	}
	return n->n > 0;
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
	r->n_decided = 0;
	r->by_reason = true;
	/* What the class decides comes first; the order changes nothing else. */
	for (uint16_t i = 0; i < t.n; i++) {
		uint16_t at = t.p[i], to = i;

		r->by_reason = r->by_reason && verdict_decides(c, at, true);
		if (verdict_decides(c, at, false)) {
			for (; to > r->n_decided; to--) {
				t.p[to] = t.p[to - 1];
			}
			t.p[r->n_decided++] = at;
		}
	}
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
enum { PLAN_FIELD = 128, PLAN_ALWAYS = 255, WORTH_A_PASS = 3,
       WORTH_BYTES = 6 };

struct word_list {
	struct literal *p;
	size_t n, room;
};

struct planning {
	struct plan *p;
	size_t n, room;
	struct word_list lines, commands, urls;
};

/* Searches through the line (or its URL) that judging the rule may take. */
static unsigned searches(const struct condition *c, enum where place)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c->n_matches; i++) {
		const struct match *m = &c->matches[i];

		n += (m->op == MATCH_CONTAINS || m->op == MATCH_GLOB ||
		      m->op == MATCH_RE) &&
		     is_here(m->field, place);
	}
	return n;
}

static int add_words(struct word_list *l, const struct words *w, struct rule *r)
{
	for (size_t i = 0; i < w->n; i++) {
		if (l->n == l->room) {
			size_t room = l->room == 0 ? 64 : l->room * 2;
			struct literal *p = realloc(l->p, room * sizeof *p);

			if (p == NULL) {
				return UV_ENOMEM;
			}
			l->p = p;
			l->room = room;
		}
		l->p[l->n++] = (struct literal){.text = w->v[i], .owner = r};
	}
	r->by_literal = true;
	return 0;
}

static int plan_words(struct detect *d, struct planning *pl, struct rule *r)
{
	struct words w = {.shortest = SIZE_MAX};

	/* One search or two are cheaper than a pass for their words would be; and short words
	 * make the pass slow for all. */
	if (r->dispatched && searches(&r->condition, IN_LINES) < WORTH_A_PASS) {
		return 0;
	}
	if (!words_of(&d->set.arena, &r->condition, r->condition.root, &w) ||
	    (r->dispatched && w.shortest < WORTH_BYTES)) {
		return 0;
	}
	return add_words(&pl->lines, &w, r);
}

/* Rules about requests to web servers ask for one of many words in the path or the client's
 * name: those are looked for together. */
static int plan_url(struct detect *d, struct planning *pl, struct rule *r)
{
	struct words w = {.shortest = SIZE_MAX, .place = IN_URLS};

	if (searches(&r->condition, IN_URLS) < WORTH_A_PASS ||
	    !words_of(&d->set.arena, &r->condition, r->condition.root, &w)) {
		return 0;
	}
	return add_words(&pl->urls, &w, r);
}

/* Rules about commands are many, and each asks for a word in the command or its program:
 * those are looked for together, wherever there is a command. */
static int plan_command(struct detect *d, struct planning *pl, struct rule *r)
{
	struct words w = {.shortest = SIZE_MAX, .place = IN_COMMANDS};

	if ((r->needs >> FIELD_PROCESS_COMMAND_LINE & 1) == 0 ||
	    !words_of(&d->set.arena, &r->condition, r->condition.root, &w)) {
		return 0;
	}
	r->dispatched = false;
	return add_words(&pl->commands, &w, r);
}

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

static int plan_by_value(struct planning *pl, struct rule *r, unsigned field,
			 const struct values *v)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < v->n; k++) {
		bool twice = false;

		for (size_t q = 0; q < k; q++) {
			twice = twice || slice_eq(v->v[q], v->v[k]);
		}
		rc = twice ? 0 : plan_add(pl, r, field, v->v[k]);
	}
	return rc;
}

/* Whether it can't be true without a database of places. */
static bool asks_places(const struct rule *r)
{
	const struct first_seen *f = &r->first_seen;
	bool asks = r->travel.on || implied_places(&r->condition);

	for (unsigned i = 0; i < f->n_fields; i++) {
		asks = asks || rule_field_is_place(f->fields[i]);
	}
	for (unsigned i = 0; i < f->n_per; i++) {
		asks = asks || rule_field_is_place(f->per[i]);
	}
	return asks;
}

static int plan_rule(struct detect *d, struct planning *pl, struct rule *r)
{
	static const uint8_t keys[] = {FIELD_EVENT_ACTION, RULE_FIELD_PROGRAM,
				       FIELD_EVENT_CATEGORY};
	const struct condition *c = &r->condition;
	struct values v;
	int rc;

	r->outcomes = implied_outcomes(c, c->root);
	r->needs = implied_needs(c, c->root);
	r->never = implied_never(c);
	r->aside = asks_places(r) && !refer_has_databases(d->ctx.refer);
	if (r->never != NULL || r->aside) {
		return 0;
	}
	r->dispatched = true;
	for (size_t i = 0; i < sizeof keys; i++) {
		v.n = 0;
		if (implied_values(c, c->root, keys[i], &v)) {
			rc = plan_by_value(pl, r, keys[i], &v);
			rc = rc == 0 ? plan_url(d, pl, r) : rc;
			rc = rc == 0 && !r->by_literal ? plan_words(d, pl, r) : rc;
			return rc == 0 ? set_rest(d, r, keys[i]) : rc;
		}
	}
	rc = set_rest(d, r, RULE_FIELD_NR);
	rc = rc == 0 ? plan_command(d, pl, r) : rc;
	if (rc != 0 || r->by_literal) {
		return rc;
	}
	if (r->needs != 0) {
		unsigned field = 63u - (unsigned)__builtin_clzll(r->needs);

		rc = plan_words(d, pl, r);
		return rc == 0 ? plan_add(pl, r, PLAN_FIELD + field, SLICE_NONE)
			       : rc;
	}
	r->dispatched = false;
	rc = plan_words(d, pl, r);
	if (rc != 0 || r->by_literal) {
		return rc;
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
	dp->buckets[i] = (struct bucket){p->value, {first, n}, p->field};
	dp->sieve[dispatch_sieve(p->field)] |= dispatch_bit(p->value);
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

static int build_literals(struct detect *d, const struct word_list *words,
			  struct literals **out)
{
	struct literals *l;
	struct literal *v;

	if (words->n == 0) {
		return 0;
	}
	l = arena_take(&d->set.arena, sizeof *l);
	v = arena_take(&d->set.arena, words->n * sizeof *v);
	if (l == NULL || v == NULL) {
		return UV_ENOMEM;
	}
	memcpy(v, words->p, words->n * sizeof *v);
	literals_build(l, v, (uint32_t)words->n);
	*out = l;
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
	struct planning pl = {.p = NULL};
	int rc = engine_resolve(d, c), active = 0;

	for (struct rule *r = d->set.first; rc == 0 && r != NULL; r = r->next) {
		if (!r->off) {
			r->counted_only = r->schedule.n == 0 && !r->first_seen.on &&
					  !rule_watches(r) && !r->alerts;
			active++;
			rc = r->type == CORRELATION_NONE ? plan_rule(d, &pl, r) : 0;
		}
	}
	if (rc == 0) {
		rc = dispatch_build(d, &pl);
	}
	if (rc == 0) {
		rc = build_literals(d, &pl.lines, &d->dispatch.literals);
	}
	if (rc == 0) {
		rc = build_literals(d, &pl.commands, &d->dispatch.commands);
	}
	if (rc == 0) {
		rc = build_literals(d, &pl.urls, &d->dispatch.urls);
	}
	if (rc == 0) {
		rc = order_correlations(d);
	}
	free(pl.p);
	free(pl.lines.p);
	free(pl.commands.p);
	free(pl.urls.p);
	return rc == 0 ? active : rc;
}
