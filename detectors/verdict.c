#include "detectors/verdict.h"

#include "detectors/engine.h"

/* ---- what a class decides ---- */

static bool decided_match(const struct match *m, bool reason)
{
	switch (m->field) {
	case FIELD_EVENT_REASON:
		return m->op == MATCH_EXISTS || m->op == MATCH_NULL ||
		       (reason && m->op != MATCH_RE && m->op != MATCH_FIELDREF &&
			m->op != MATCH_LIST);
	case RULE_FIELD_PROGRAM:
	case RULE_FIELD_OUTCOME:
	case FIELD_EVENT_ACTION:
	case FIELD_EVENT_CATEGORY:
	case FIELD_EVENT_TYPE:
		/* An expression may run into its limit, which is counted; a list may change. */
		return m->op != MATCH_RE && m->op != MATCH_FIELDREF && m->op != MATCH_LIST;
	default:
		return m->field < FIELD_NR &&
		       (m->op == MATCH_EXISTS || m->op == MATCH_NULL);
	}
}

bool verdict_decides(const struct condition *c, unsigned at, bool reason)
{
	const struct node *n = &c->nodes[at];

	if (n->op == NODE_MATCH) {
		return decided_match(&c->matches[n->first], reason);
	}
	for (unsigned i = 0; i < (n->op == NODE_NOT ? 1u : n->n); i++) {
		if (!verdict_decides(c, c->kids[n->first + i], reason)) {
			return false;
		}
	}
	return true;
}

/* ---- the table ---- */

static inline bool same_text(const struct verdict *v, unsigned i,
			     struct slice text)
{
	return slice_eq_short(slice(v->text[i], v->text_n[i]), text);
}

static inline bool same_class(const struct verdict *v, const struct record *r)
{
	const struct event *e = &r->event;

	if (v->outcome != e->outcome || !same_text(v, 0, rule_program(r))) {
		return false;
	}
	return verdict_constants(v, e) ||
	       (same_text(v, 1, e->f[FIELD_EVENT_ACTION]) &&
		same_text(v, 2, e->f[FIELD_EVENT_CATEGORY]) &&
		same_text(v, 3, e->f[FIELD_EVENT_TYPE]));
}

static bool add_rules(struct verdict *v, struct detect *d,
		      const struct record *r, struct dispatch_list list)
{
	const struct event *e = &r->event;

	for (uint32_t i = 0; i < list.n; i++) {
		struct rule *rule = d->dispatch.rules[list.first + i];
		bool open = rule->by_literal || rule->n_decided < rule->n_rest;
		bool by_reason = open && rule->by_reason && !rule->by_literal;

		if ((e->has & rule->needs) != rule->needs ||
		    (rule->outcomes >> e->outcome & 1) == 0) {
			continue;
		}
		if (!condition_all(&rule->condition, rule->rest, rule->n_decided, &d->ctx, r)) {
			continue;
		}
		if (v->n == VERDICT_RULES) {
			return false;
		}
		v->open |= (uint32_t)open << v->n;
		v->by_reason |= (uint32_t)by_reason << v->n;
		v->rules[v->n++] = rule;
	}
	return true;
}

static bool judge_class(struct verdict *v, struct detect *d,
			const struct record *r)
{
	const struct dispatch *dp = &d->dispatch;
	uint64_t fields = r->event.has & dp->field_mask;
	bool fits = true;

	for (unsigned i = 0; fits && i < DISPATCH_KEYS; i++) {
		unsigned field = dispatch_keys[i];

		fits = add_rules(v, d, r,
				 dispatch_find(dp, dispatch_value(r, field), field));
	}
	for (; fits && fields != 0; fields &= fields - 1) {
		fits = add_rules(v, d, r,
				 dp->by_field[__builtin_ctzll(fields)]);
	}
	return fits && add_rules(v, d, r, dp->always);
}

static bool begin_class(struct verdict *v, const struct record *r)
{
	const struct slice texts[VERDICT_TEXTS] = {
		rule_program(r),
		r->event.f[FIELD_EVENT_ACTION],
		r->event.f[FIELD_EVENT_CATEGORY],
		r->event.f[FIELD_EVENT_TYPE],
	};

	*v = (struct verdict){.outcome = (uint8_t)r->event.outcome};
	for (unsigned i = 0; i < VERDICT_TEXTS; i++) {
		if (texts[i].n > VERDICT_TEXT) {
			return false;
		}
		v->text_n[i] = (uint8_t)texts[i].n;
		if (texts[i].n > 0) {
			memcpy(v->text[i], texts[i].p, texts[i].n);
		}
		if (i > 0 && r->event.constant) {
			v->constant[i - 1] = texts[i].p;
		}
	}
	v->has = r->event.has;
	return true;
}

/* Exchanges bits i and i + 1. */
static uint32_t exchanged(uint32_t bits, unsigned i)
{
	uint32_t two = bits >> i & 3;

	two = (two >> 1 | two << 1) & 3;
	return (bits & ~(UINT32_C(3) << i)) | two << i;
}

/* In the order in which they were loaded; there are few. */
static void sort_rules(struct verdict *v)
{
	for (unsigned i = 1; i < v->n; i++) {
		for (unsigned k = i; k > 0 && v->rules[k - 1]->index > v->rules[k]->index; k--) {
			struct rule *later = v->rules[k - 1];

			v->rules[k - 1] = v->rules[k];
			v->rules[k] = later;
			v->open = exchanged(v->open, k - 1);
			v->by_reason = exchanged(v->by_reason, k - 1);
		}
	}
}

/* Of the few places that a class may have, one that is free or else the last, to
 * which what is in the others moves on. */
static __attribute__((noinline)) struct verdict *
learn(struct verdict *set, unsigned at, struct detect *d, const struct record *r)
{
	struct verdict *v = &set[at];
	unsigned i = 1;

	while (i < VERDICT_WAYS && v->has != 0) {
		v = &set[at ^ i++];
	}
	if (v->has != 0) {
		for (i = VERDICT_WAYS - 1; i > 0; i--) {
			set[at ^ i] = set[at ^ (i - 1)];
		}
		v = &set[at];
	}
	if (!begin_class(v, r)) {
		v->has = 0;
		return NULL;
	}
	v->fits = judge_class(v, d, r);
	sort_rules(v);
	return v->fits ? v : NULL;
}

struct verdict *verdict_look_for(struct detect *d, const struct record *r)
{
	unsigned place = verdict_place(r), at = place % VERDICT_WAYS;
	struct verdict *set = &d->verdicts[place - at];

	for (unsigned i = 0; i < VERDICT_WAYS; i++) {
		struct verdict *v = &set[at ^ i];

		if (v->has == r->event.has && same_class(v, r)) {
			return v->fits ? v : NULL;
		}
	}
	return learn(set, at, d, r);
}

/* ---- reasons ---- */

uint32_t verdict_judge_reason(struct detect *d, struct verdict *v, const struct record *r)
{
	struct slice text = event_get(&r->event, FIELD_EVENT_REASON);
	struct verdict_reason k = {.n_and_one = 0};
	unsigned at = 1;

	while (at < VERDICT_REASONS &&
	       (v->reasons[at].n_and_one != text.n + 1 ||
		!slice_eq(slice(v->reasons[at].text, text.n), text))) {
		at++;
	}
	if (at < VERDICT_REASONS) {
		k = v->reasons[at];
	}
	for (unsigned i = 0; k.n_and_one == 0 && i < v->n; i++) {
		const struct rule *rule = v->rules[i];
		bool holds = (v->by_reason >> i & 1) != 0 &&
			     condition_all(&rule->condition, rule->rest + rule->n_decided,
					   (size_t)rule->n_rest - rule->n_decided, &d->ctx, r);

		k.holds |= (uint32_t)holds << i;
	}
	if (text.n > VERDICT_REASON) {
		return k.holds;
	}
	k.n_and_one = (uint8_t)(text.n + 1);
	if (text.n > 0) {
		memcpy(k.text, text.p, text.n);
	}
	/* The one that came before stays, unless it is this one. */
	for (at = at < VERDICT_REASONS ? at : VERDICT_REASONS - 1; at > 0; at--) {
		v->reasons[at] = v->reasons[at - 1];
	}
	v->reasons[0] = k;
	return k.holds;
}
