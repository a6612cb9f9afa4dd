#include "tests/support/reference.h"

#include <stdlib.h>
#include <string.h>

struct list {
	struct ref_event *v;
	size_t n, room;
};

static void add(struct list *l, struct ref_event e)
{
	if (l->n == l->room) {
		l->room = l->room == 0 ? 64 : l->room * 2;
		l->v = realloc(l->v, l->room * sizeof *l->v);
	}
	l->v[l->n++] = e;
}

static void found(struct ref_result *out, struct ref_alert a)
{
	if (out->n == out->room) {
		out->room = out->room == 0 ? 64 : out->room * 2;
		out->v = realloc(out->v, out->room * sizeof *out->v);
	}
	out->v[out->n++] = a;
}

static int by_time(const void *a, const void *b)
{
	const struct ref_event *x = a, *y = b;

	if (x->ms != y->ms) {
		return x->ms < y->ms ? -1 : 1;
	}
	return (x->stage > y->stage) - (x->stage < y->stage);
}

/* ---- conditions ---- */

/* x / n against what is given. */
static bool compares(const struct ref_rule *r, int64_t x, int64_t n)
{
	return (r->gt == REF_NONE || x > r->gt * n) &&
	       (r->gte == REF_NONE || x >= r->gte * n) &&
	       (r->lt == REF_NONE || x < r->lt * n) &&
	       (r->lte == REF_NONE || x <= r->lte * n) &&
	       (r->eq == REF_NONE || x == r->eq * n) &&
	       (r->neq == REF_NONE || x != r->neq * n);
}

static int64_t distinct(const struct ref_event *e, size_t n)
{
	int64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		bool before = false;

		for (size_t k = 0; k < i; k++) {
			before = before || e[k].value == e[i].value;
		}
		count += !before;
	}
	return count;
}

static int64_t percentile(const struct ref_event *e, size_t n, unsigned percent)
{
	/* The smallest value that at least so many percent do not exceed. */
	int64_t best = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		size_t below = 0;

		for (size_t k = 0; k < n; k++) {
			below += e[k].value <= e[i].value;
		}
		if (below * 100 >= n * percent && e[i].value < best) {
			best = e[i].value;
		}
	}
	return best;
}

static bool share(const struct ref_rule *r, const struct ref_event *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t same = 0;

		for (size_t k = 0; k < n; k++) {
			same += e[k].value == e[i].value;
		}
		if (e[i].ms == e[n - 1].ms && compares(r, 100 * same, (int64_t)n)) {
			return true;
		}
	}
	return false;
}

/* Whether a window of n events fulfils the condition. */
static bool fulfils(const struct ref_rule *r, const struct ref_event *e, size_t n)
{
	int64_t sum = 0, weight = 0;

	for (size_t i = 0; i < n; i++) {
		sum += e[i].value;
		weight += e[i].weight;
	}
	switch (r->type) {
	case REF_EVENT_COUNT:
		return compares(r, weight, 1);
	case REF_VALUE_COUNT:
		return compares(r, distinct(e, n), 1);
	case REF_VALUE_SUM:
		return compares(r, sum, 1);
	case REF_VALUE_AVG:
		return compares(r, sum, (int64_t)n);
	case REF_VALUE_SHARE:
		return share(r, e, n);
	default:
		return compares(r, percentile(e, n, r->percentile), 1);
	}
}

/* ---- one group ---- */

static struct ref_alert alert_of(const struct ref_rule *r, unsigned id,
				 const struct ref_event *e)
{
	struct ref_alert a = {.rule = id, .first_ms = e->ms, .last_ms = e->ms};

	for (unsigned k = 0; k < REF_KEYS; k++) {
		a.key[k] = r->by[k] ? e->key[k] : REF_NONE;
	}
	return a;
}

static void count_group(const struct ref_rule *r, unsigned id, const struct ref_event *e,
			size_t n, struct ref_result *out, struct list *events)
{
	size_t from = 0; /* what no episode has counted */

	for (size_t j = 0; j < n; j++) {
		struct ref_alert a;
		size_t i = from, boundary = j;

		if (j < from || (j + 1 < n && e[j + 1].ms == e[j].ms)) {
			continue; /* counted, or not the last of its time */
		}
		while (e[i].ms <= e[j].ms - r->span_ms) {
			i++;
		}
		if (!fulfils(r, e + i, j + 1 - i)) {
			continue;
		}
		while (boundary > i && e[boundary - 1].ms == e[j].ms) {
			boundary--;
		}
		a = alert_of(r, id, &e[i]);
		for (from = i; from < n && (from <= j || e[from].ms - a.last_ms < r->span_ms);
		     from++) {
			a.last_ms = e[from].ms;
			a.count += e[from].weight;
			if (from >= boundary) {
				add(events, e[from]);
			}
		}
		found(out, a);
	}
}

/* The latest beginning of `want` rules in their order, the last of them that of event j. */
static int64_t chain(const struct ref_event *e, size_t j, unsigned want)
{
	int64_t best = INT64_MIN;

	if (want == 1) {
		return e[j].ms;
	}
	for (size_t i = 0; i < j; i++) {
		if (e[i].stage < e[j].stage) {
			int64_t at = chain(e, i, want - 1);

			best = at > best ? at : best;
		}
	}
	return best;
}

/* The latest time since when the window up to event j has events of `want` rules. */
static int64_t together(const struct ref_rule *r, const struct ref_event *e, size_t j,
			unsigned want)
{
	int64_t best = INT64_MIN;

	for (size_t i = 0; i <= j; i++) {
		unsigned have = 0;

		for (unsigned s = 0; s < r->stages; s++) {
			bool has = false;

			for (size_t k = 0; k <= j; k++) {
				has = has || (e[k].stage == s && e[k].ms >= e[i].ms);
			}
			have += has;
		}
		if (have >= want && e[i].ms > best) {
			best = e[i].ms;
		}
	}
	return best;
}

/* Whether the condition holds at event j, and since when its combination stands. */
static bool holds(const struct ref_rule *r, bool waits, const struct ref_event *e, size_t n,
		  size_t j, int64_t *start)
{
	size_t i = 0, last = j;
	int64_t count = 0;

	while (e[i].ms <= e[j].ms - r->span_ms) {
		i++;
	}
	while (last + 1 < n && e[last + 1].ms == e[j].ms) {
		last++;
	}
	for (unsigned k = 1; k <= r->stages; k++) {
		int64_t at = r->type == REF_ORDERED ? chain(e + i, j - i, k)
						    : together(r, e + i, last - i, k);

		if (at == INT64_MIN) {
			break;
		}
		count = k;
		*start = at;
		if (!waits && compares(r, count, 1)) {
			break;
		}
	}
	return count > 0 && compares(r, count, 1);
}

static void temporal_group(const struct ref_rule *r, unsigned id,
			   const struct ref_event *e, size_t n, struct ref_result *out,
			   struct list *events)
{
	bool waits = r->lt != REF_NONE || r->lte != REF_NONE || r->eq != REF_NONE ||
		     r->neq != REF_NONE;
	struct ref_alert a = {.count = 0};
	int64_t boundary = 0;

	for (size_t j = 0; j < n; j++) {
		int64_t start = 0;

		if (!holds(r, waits, e, n, j, &start)) {
			continue;
		}
		if (a.count > 0 && e[j].ms - a.last_ms >= r->span_ms) {
			found(out, a);
			a.count = 0;
		}
		if (a.count == 0) {
			a = alert_of(r, id, &e[j]);
			a.first_ms = start;
			boundary = e[j].ms;
		} else if (e[j].ms == boundary && start > a.first_ms) {
			a.first_ms = start;
		}
		a.last_ms = e[j].ms;
		a.count++;
		add(events, e[j]);
		events->v[events->n - 1].weight = 1;
	}
	if (a.count > 0) {
		found(out, a);
	}
}

/* ---- all groups of a rule ---- */

static bool same_group(const struct ref_rule *r, const struct ref_event *a,
		       const struct ref_event *b)
{
	for (unsigned k = 0; k < REF_KEYS; k++) {
		if (r->by[k] && a->key[k] != b->key[k]) {
			return false;
		}
	}
	return true;
}

static void each_group(const struct ref_rule *r, unsigned id, struct list *in,
		       struct ref_result *out, struct list *events)
{
	struct list group = {NULL, 0, 0};

	for (size_t i = 0; i < in->n; i++) {
		bool done = false;

		for (size_t k = 0; k < i; k++) {
			done = done || same_group(r, &in->v[k], &in->v[i]);
		}
		if (done) {
			continue;
		}
		group.n = 0;
		for (size_t k = i; k < in->n; k++) {
			if (same_group(r, &in->v[k], &in->v[i])) {
				add(&group, in->v[k]);
			}
		}
		qsort(group.v, group.n, sizeof *group.v, by_time);
		if (r->type == REF_TEMPORAL || r->type == REF_ORDERED) {
			temporal_group(r, id, group.v, group.n, out, events);
		} else {
			count_group(r, id, group.v, group.n, out, events);
		}
	}
	free(group.v);
}

static void take(const struct ref_rule *r, struct list *in, struct ref_event e,
		 unsigned stage, bool line)
{
	bool by_value = r->type >= REF_VALUE_COUNT && r->type <= REF_VALUE_PERCENTILE;

	e.stage = stage;
	if (line && !r->weigh) {
		e.weight = 1;
	}
	if (e.weight > 0 && !(by_value && e.value == REF_NONE)) {
		add(in, e);
	}
}

void reference(const struct ref_rule *rules, unsigned n_rules,
	       const struct ref_event *lines, size_t n_lines, struct ref_result *out)
{
	struct list *events = calloc(n_rules, sizeof *events);

	*out = (struct ref_result){NULL, 0, 0};
	for (unsigned i = 0; i < n_rules; i++) {
		const struct ref_rule *r = &rules[i];
		struct list in = {NULL, 0, 0};

		for (unsigned s = 0; s < r->stages; s++) {
			const struct list *named = r->named[s] < 0
							   ? &events[-1 - r->named[s]]
							   : NULL;

			for (size_t k = 0; named != NULL && k < named->n; k++) {
				take(r, &in, named->v[k], s, false);
			}
			for (size_t k = 0; named == NULL && k < n_lines; k++) {
				if ((lines[k].plain >> r->named[s] & 1) != 0) {
					take(r, &in, lines[k], s, true);
				}
			}
		}
		each_group(r, i, &in, out, &events[i]);
		free(in.v);
	}
	for (unsigned i = 0; i < n_rules; i++) {
		free(events[i].v);
	}
	free(events);
}
