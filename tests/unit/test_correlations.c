/* Correlations of every kind against a slow reference (tests/support/reference.c): random
 * rules, random streams with late lines, restarts, and kills after which lines are read
 * again.
 *
 *   CORRELATIONS_SEED=N    one seed, and its rules
 *   CORRELATIONS_SEEDS=N   so many */
#include "tests/support/reference.h"
#include "tests/support/rulekit.h"

enum {
	RULES = 3, PLAIN = 3, LINES = 160, KEYS = 3, ALERTS = 8192, YAML = 8192,
	STATE = 8 * 1024 * 1024,
};

static uint64_t state;

static uint64_t rnd(uint64_t below)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

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

struct line {
	struct ref_event e;
	int64_t arrives_ms;
	unsigned number;
};

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

static int by_arrival(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->arrives_ms != y->arrives_ms) {
		return x->arrives_ms < y->arrives_ms ? -1 : 1;
	}
	return x->number < y->number ? -1 : x->number > y->number;
}

static const char *const addresses[KEYS] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
static const char *const users[KEYS] = {"anna", "bert", "root"};

static void feed(struct detect *d, const struct line *l, detect_cb cb, void *arg)
{
	const struct ref_event *e = &l->e;
	struct record r = rulekit_login(e->ms * 1000000,
					(e->plain & 1) != 0 ? OUTCOME_FAILURE : OUTCOME_SUCCESS,
					users[e->key[1]], addresses[e->key[0]]);
	char value[16], text[64];

	snprintf(value, sizeof value, "%d", e->value);
	snprintf(text, sizeof text, "line %u%.*s", l->number, (int)(l->number % 9),
		 "=========");
	r.line = slice_str(text);
	r.event.attempts = e->weight;
	if (e->value != REF_NONE) {
		event_set(&r.event, FIELD_SOURCE_PORT, slice_str(value));
	}
	if ((e->plain & 4) != 0) {
		event_set(&r.event, FIELD_DESTINATION_PORT, SLICE_LIT("1"));
	}
	detect_record(d, &r, cb, arg);
}

/* ---- alerts ---- */

struct seen_alert {
	struct ref_alert a;
	int64_t since_ns;
	bool ended;
};

struct run {
	struct seen_alert *v;
	size_t n;
	size_t line, known_to; /* lines before known_to are read again */
	const char *yaml;
	uint64_t seed;
};

static int key_of(struct slice v, const char *const *names)
{
	for (int i = 0; i < KEYS; i++) {
		if (slice_eq(v, slice_str(names[i]))) {
			return i;
		}
	}
	fail_msg("a group that is none");
	return REF_NONE;
}

static void on_finding(void *arg, const struct finding *f)
{
	struct run *run = arg;
	struct seen_alert s = {.a = {.key = {REF_NONE, REF_NONE}, .count = f->count,
				     .first_ms = f->first_ns / 1000000,
				     .last_ms = f->last_ns / 1000000},
			       .since_ns = f->since_ns,
			       .ended = f->state == FINDING_END};

	if (f->single) {
		return;
	}
	s.a.rule = (unsigned)(f->rule_id[1] - '0');
	for (size_t i = 0; i < f->n_group; i++) {
		unsigned key = slice_eq(f->group[i].name, SLICE_LIT("user.name"));

		s.a.key[key] = key_of(f->group[i].value, key == 1 ? users : addresses);
	}
	for (size_t i = 0; i < run->n; i++) {
		struct seen_alert *old = &run->v[i];

		if (old->a.rule == s.a.rule && old->since_ns == s.since_ns &&
		    memcmp(old->a.key, s.a.key, sizeof s.a.key) == 0) {
			/* New again only when its lines are read again, or when it
			 * had been joined with another. */
			if (f->state == FINDING_NEW && run->line >= run->known_to &&
			    old->a.count > 0) {
				fail_msg("seed %llu: told as new twice\n%s",
					 (unsigned long long)run->seed, run->yaml);
			}
			*old = s;
			return;
		}
	}
	if (f->state != FINDING_NEW) {
		fail_msg("seed %llu: of c%u told what was not new\n%s",
			 (unsigned long long)run->seed, s.a.rule, run->yaml);
	}
	assert_true(run->n < ALERTS);
	run->v[run->n++] = s;
}

static int alert_order(const void *a, const void *b)
{
	const struct ref_alert *x = a, *y = b;
	int rc = (int)x->rule - (int)y->rule;

	for (unsigned k = 0; rc == 0 && k < REF_KEYS; k++) {
		rc = x->key[k] - y->key[k];
	}
	return rc != 0 ? rc : x->first_ms != y->first_ms
				      ? (x->first_ms < y->first_ms ? -1 : 1)
				      : (x->last_ms > y->last_ms) - (x->last_ms < y->last_ms);
}

static void show(const char *who, const struct ref_alert *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		print_error("%s c%u [%d %d] first %lld last %lld count %llu\n", who,
			    a[i].rule, a[i].key[0], a[i].key[1],
			    (long long)(a[i].first_ms - SEC(0) / 1000000),
			    (long long)(a[i].last_ms - SEC(0) / 1000000),
			    (unsigned long long)a[i].count);
	}
}

static void compare(const struct run *run, struct ref_result *want)
{
	struct ref_alert *got = malloc((run->n + 1) * sizeof *got);
	size_t n = 0, wrong = SIZE_MAX;

	for (size_t i = 0; i < run->n; i++) {
		if (!run->v[i].ended) {
			fail_msg("seed %llu: an alert has no end",
				 (unsigned long long)run->seed);
		}
		if (run->v[i].a.count > 0) {
			got[n++] = run->v[i].a;
		}
	}
	qsort(got, n, sizeof *got, alert_order);
	if (want->n > 0) {
		qsort(want->v, want->n, sizeof *want->v, alert_order);
	}
	for (size_t i = 0; wrong == SIZE_MAX && i < (n > want->n ? n : want->n); i++) {
		if (i == n || i == want->n || alert_order(&got[i], &want->v[i]) != 0 ||
		    got[i].count != want->v[i].count) {
			wrong = i;
		}
	}
	if (wrong != SIZE_MAX) {
		show("engine   ", got + wrong, n - wrong < 4 ? n - wrong : 4);
		show("reference", want->v + wrong, want->n - wrong < 4 ? want->n - wrong : 4);
		fail_msg("seed %llu: %zu alerts, the reference has %zu; they differ from "
			 "number %zu on, with these rules:\n%s",
			 (unsigned long long)run->seed, n, want->n, wrong, run->yaml);
	}
	free(got);
}

/* ---- runs ---- */

static struct detect *load(const char *yaml, int64_t late_ms)
{
	struct detectors_options o = {.lateness_ms = (uint64_t)late_ms};

	return rulekit_detect(yaml, &o, NULL);
}

/* Feeds all lines; now and then the state is saved, and the detectors are replaced by new
 * ones that go on from it: at once, or later, when the lines since are read again. */
static void run_lines(struct run *run, const struct line *l, int64_t late_ms,
		      unsigned restarts)
{
	struct detect *d = load(run->yaml, late_ms);
	size_t saved_at = 0;
	struct buf saved;

	buf_init(&saved, STATE);
	assert_int_equal(detect_save(d, &saved), 0);
	for (run->line = 0; run->line < LINES; run->line++) {
		feed(d, &l[run->line], on_finding, run);
		if (restarts == 0 || rnd(restarts) != 0) {
			continue;
		}
		if (rnd(2) == 0) {
			buf_clear(&saved);
			assert_int_equal(detect_save(d, &saved), 0);
			saved_at = run->line + 1;
		}
		if (rnd(2) == 0 && (run->known_to <= run->line || rnd(4) == 0)) {
			detect_free(d);
			d = load(run->yaml, late_ms);
			assert_int_equal(detect_restore(d, buf_slice(&saved)), 0);
			run->known_to = run->line + 1 > run->known_to ? run->line + 1
								       : run->known_to;
			run->line = saved_at - 1; /* wraps: the loop adds one */
		}
	}
	detect_advance(d, INT64_MAX, on_finding, run);
	detect_free(d);
	buf_fini(&saved);
}

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
	run_lines(&run, lines, late_ms, restarts);
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

/* ---- silence ---- */

static int by_event_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->e.ms < y->e.ms ? -1 : x->e.ms > y->e.ms;
}

/* Each pause of a group that is longer than `after`, and the one at its end as far as the
 * watermark has seen it. */
static void expect_silences(struct line *l, int64_t after_ms, int64_t late_ms,
			    struct ref_result *out)
{
	qsort(l, LINES, sizeof *l, by_event_time);
	*out = (struct ref_result){calloc(LINES, sizeof *out->v), 0, LINES};
	for (int key = 0; key < KEYS; key++) {
		int64_t before = -1, seen = l[LINES - 1].e.ms - late_ms;

		for (size_t i = 0; i < LINES; i++) {
			if (l[i].e.key[0] != key || (l[i].e.plain & 1) == 0) {
				continue;
			}
			if (before >= 0 && l[i].e.ms - before > after_ms) {
				out->v[out->n++] = (struct ref_alert){
					0, {key, REF_NONE}, before, l[i].e.ms, 1};
			}
			before = l[i].e.ms;
		}
		if (before >= 0 && before + after_ms < seen) {
			out->v[out->n++] = (struct ref_alert){
				0, {key, REF_NONE}, before, before + after_ms, 1};
		}
	}
}

static void silences_are_those_between_the_lines(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct run run = {.v = malloc(ALERTS * sizeof *run.v), .seed = seed};
		struct line lines[LINES];
		struct ref_result want;
		int64_t after_ms, late_ms;
		unsigned restarts;
		char yaml[512];

		state = seed;
		after_ms = 1000 * (5 + (int64_t)rnd(300));
		late_ms = rnd(4) == 0 ? 0 : 1000 * (int64_t)rnd(90);
		restarts = rnd(2) == 0 ? 0 : 2 + (unsigned)rnd(30);
		snprintf(yaml, sizeof yaml,
			 "title: s\nid: c0\nlogsource: {product: linux}\n"
			 "detection: {s: {event.outcome: failure}, condition: s}\n"
			 "nightjar: {silence: %llds, group-by: source.ip}\n",
			 (long long)(after_ms / 1000));
		run.yaml = yaml;
		make_lines(lines, LINES, late_ms);
		qsort(lines, LINES, sizeof *lines, by_arrival);
		run_lines(&run, lines, late_ms, restarts);
		expect_silences(lines, after_ms, late_ms, &want);
		compare(&run, &want);
		free(want.v);
		free(run.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alerts_are_those_of_the_reference),
		cmocka_unit_test(silences_are_those_between_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
