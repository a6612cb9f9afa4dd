/* Correlations of every kind against a slow reference (tests/support/reference.c): random
 * rules, random streams with late lines, restarts, and kills after which lines are read
 * again.
 *
 *   CORRELATIONS_SEED=N    one seed, and its rules
 *   CORRELATIONS_SEEDS=N   so many */
#include "tests/support/streams.h"

enum {
	RULES = 3, PLAIN = 3, LINES = 160, YAML = 8192,
};

/* ---- rules ---- */

static const char *const type_names[REF_TYPES] = {
	"event_count", "value_count", "value_sum", "value_avg", "value_percentile",
	"value_percentile", "temporal", "temporal_ordered",
};

static bool is_temporal(const struct ref_rule *r)
{
	return r->type == REF_TEMPORAL || r->type == REF_ORDERED;
}

static bool by_value(const struct ref_rule *r)
{
	return r->type >= REF_VALUE_COUNT && r->type <= REF_VALUE_PERCENTILE;
}

/* Plain rules, and correlations before it whose group tells its own. */
static void name_rules(struct ref_rule *rules, unsigned at)
{
	struct ref_rule *r = &rules[at];

	r->stages = 1 + (unsigned)rnd(2) + is_temporal(r);
	for (unsigned s = 0; s < r->stages; s++) {
		unsigned first = (unsigned)rnd(PLAIN);
		int other = at == 0 ? 0 : (int)rnd(at);
		const struct ref_rule *q = &rules[other];
		bool twice = false;

		r->named[s] = (int)((first + s) % PLAIN);
		for (unsigned k = 0; k < s; k++) {
			twice = twice || r->named[k] == -1 - other;
		}
		if (at > 0 && !twice && !by_value(r) && rnd(2) == 0 &&
		    (!r->by[0] || q->by[0]) && (!r->by[1] || q->by[1])) {
			r->named[s] = -1 - other;
		}
		for (unsigned k = 0; k < s; k++) {
			if (r->named[k] == r->named[s]) {
				r->stages = s;
			}
		}
	}
}

static void make_condition(struct ref_rule *r)
{
	int64_t most = is_temporal(r) ? r->stages : 5;
	int64_t v = 1 + (int64_t)rnd((uint64_t)most);

	if (r->type == REF_VALUE_SUM) {
		v *= 20;
	} else if (r->type == REF_VALUE_AVG || r->type == REF_VALUE_PERCENTILE) {
		v *= 4;
	} else if (r->type == REF_VALUE_SHARE) {
		v *= 15;
	}
	switch (rnd(8)) {
	case 0:
		r->lt = v + 1;
		break;
	case 1:
		r->lte = v;
		break;
	case 2:
		r->eq = v;
		break;
	case 3:
		r->neq = is_temporal(r) && r->stages == 1 ? 5 : v;
		break;
	case 4:
		r->gt = v - 1;
		r->lte = v + 1;
		break;
	case 5:
		r->gt = v - 1;
		break;
	default:
		r->gte = v;
	}
}

static struct ref_rule make_rule(struct ref_rule *rules, unsigned at)
{
	struct ref_rule *r = &rules[at];
	bool nothing;

	*r = (struct ref_rule){
		.type = (enum ref_type)rnd(REF_TYPES), .span_ms = 1000 * (2 + (int64_t)rnd(90)),
		.gt = REF_NONE, .gte = REF_NONE, .lt = REF_NONE, .lte = REF_NONE,
		.eq = REF_NONE, .neq = REF_NONE, .by = {rnd(3) != 0, rnd(2) != 0},
	};
	r->percentile = r->type == REF_VALUE_PERCENTILE ? 1 + (unsigned)rnd(100) : 0;
	r->weigh = r->type == REF_EVENT_COUNT && rnd(2) == 0;
	name_rules(rules, at);
	make_condition(r);
	nothing = is_temporal(r) && rnd(2) == 0;
	if (nothing) {
		r->gt = r->lt = r->lte = r->eq = r->neq = REF_NONE;
		r->gte = r->stages;
	}
	return *r;
}

static size_t put(char *out, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static size_t put(char *out, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out + at, YAML - at, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < YAML - at);
	return at + (size_t)n;
}

static size_t put_rule(char *out, size_t at, const struct ref_rule *r, unsigned id)
{
	const struct {
		const char *name;
		int64_t v;
	} ops[] = {{"gt", r->gt}, {"gte", r->gte}, {"lt", r->lt}, {"lte", r->lte},
		   {"eq", r->eq}, {"neq", r->neq}};

	at = put(out, at, "---\ntitle: c%u\nid: c%u\nname: c%u\ncorrelation:\n  type: %s\n"
		 "  generate: true\n  timespan: %llds\n  rules:\n", id, id, id,
		 type_names[r->type], (long long)(r->span_ms / 1000));
	for (unsigned s = 0; s < r->stages; s++) {
		at = put(out, at, r->named[s] < 0 ? "    - c%d\n" : "    - p%d\n",
			 r->named[s] < 0 ? -1 - r->named[s] : r->named[s]);
	}
	if (r->by[0] || r->by[1]) {
		at = put(out, at, "  group-by:\n%s%s", r->by[0] ? "    - source.ip\n" : "",
			 r->by[1] ? "    - user.name\n" : "");
	}
	at = put(out, at, "  condition:\n");
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		if (ops[i].v != REF_NONE) {
			at = put(out, at, "    %s: %lld\n", ops[i].name,
				 (long long)ops[i].v);
		}
	}
	if (by_value(r)) {
		at = put(out, at, "    field: source.port\n");
	}
	if (r->percentile > 0) {
		at = put(out, at, "    percentile: %u\n", r->percentile);
	}
	return r->weigh ? put(out, at, "nightjar: {weight: attempts}\n") : at;
}

static void put_rules(char *out, const struct ref_rule *rules, unsigned n)
{
	size_t at = put(out, 0,
		"title: p0\nname: p0\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
		"title: p1\nname: p1\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n---\n"
		"title: p2\nname: p2\nlogsource: {category: authentication}\n"
		"detection: {s: {destination.port: '1'}, condition: s}\n");

	for (unsigned i = 0; i < n; i++) {
		at = put_rule(out, at, &rules[i], i);
	}
}

/* ---- lines ---- */

static void make_lines(struct line *l, size_t n, int64_t late_ms)
{
	int64_t ms = SEC(0) / 1000000;

	for (size_t i = 0; i < n; i++) {
		switch (rnd(12)) {
		case 0:
			ms += (int64_t)rnd(200000);
			break;
		case 1:
			ms += 1000 * (int64_t)rnd(90); /* at the edges of windows */
			break;
		case 2:
		case 3:
			break; /* the same time */
		default:
			ms += (int64_t)rnd(9) * 1000;
		}
		l[i] = (struct line){.e = {
			.ms = ms, .key = {(int)rnd(KEYS), (int)rnd(KEYS)},
			.value = rnd(9) == 0 ? REF_NONE : (int)rnd(30), .weight = 1,
			.plain = rnd(3) == 0 ? 2 : 1}, .number = (unsigned)i};
		l[i].e.value = rnd(3) == 0 && l[i].e.value > 0 ? 7 : l[i].e.value;
		l[i].e.weight = rnd(8) == 0 ? (unsigned)rnd(9) : 1;
		l[i].e.plain |= rnd(4) == 0 ? 4 : 0;
		l[i].arrives_ms = ms + (rnd(2) == 0 ? (int64_t)rnd((uint64_t)late_ms + 1) : 0);
	}
}

/* ---- runs ---- */

static size_t try_seed(uint64_t seed, bool tell)
{
	struct ref_rule rules[RULES];
	struct ref_event events[LINES];
	struct line lines[LINES];
	struct ref_result want;
	char yaml[YAML];
	struct run run = {.v = malloc(ALERTS * sizeof *run.v), .yaml = yaml, .seed = seed};
	unsigned n, restarts;
	int64_t late_ms;
	size_t alerts;

	state = seed;
	n = 1 + (unsigned)rnd(RULES);
	for (unsigned i = 0; i < n; i++) {
		make_rule(rules, i);
	}
	put_rules(yaml, rules, n);
	if (tell) {
		print_message("%s", yaml);
	}
	late_ms = rnd(4) == 0 ? 0 : 1000 * (int64_t)rnd(90);
	restarts = rnd(2) == 0 ? 0 : 2 + (unsigned)rnd(30);
	make_lines(lines, LINES, late_ms);
	for (size_t i = 0; i < LINES; i++) {
		events[i] = lines[i].e;
	}
	qsort(lines, LINES, sizeof *lines, by_arrival);
	reference(rules, n, events, LINES, &want);
	run_lines(&run, lines, LINES, late_ms, restarts);
	compare(&run, &want);
	alerts = want.n;
	free(want.v);
	free(run.v);
	return alerts;
}

static void alerts_are_those_of_the_reference(void **unused)
{
	const char *one = getenv("CORRELATIONS_SEED"), *many = getenv("CORRELATIONS_SEEDS");
	uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : 1500;
	size_t alerts = 0;

	(void)unused;
	if (one != NULL) {
		try_seed(strtoull(one, NULL, 10), true);
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		alerts += try_seed(seed, false);
	}
	print_message("seeds 1 to %llu: %zu alerts\n", (unsigned long long)seeds, alerts);
	assert_true(alerts > seeds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alerts_are_those_of_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
