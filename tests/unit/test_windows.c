/* Counting in event time: against a slow reference that is obviously right, over
 * restarts, with late lines and forged stamps. */
#include "tests/support/rulekit.h"

#define FAILED_BY_IP(span, condition)                                           \
	"title: base\nname: base\nlogsource: {category: authentication}\n"     \
	"detection: {s: {event.outcome: failure}, condition: s}\n---\n"         \
	"title: many\nid: many\ncorrelation:\n  type: event_count\n"            \
	"  rules: base\n  group-by: source.ip\n  timespan: " span "\n"          \
	"  condition: {" condition "}\n"                                        \
	"nightjar: {weight: attempts}\n"

/* ---- what was found, by group and beginning ---- */

enum { FOUND = 4096, GROUPS = 4 };

struct episode_seen {
	char group[32];
	int64_t since_ns, first_ns, last_ns;
	uint64_t count;
	unsigned news, ends;
};

struct found {
	struct episode_seen e[FOUND];
	size_t n;
	unsigned updates;
};

static void on_finding(void *arg, const struct finding *f)
{
	struct found *found = arg;
	struct episode_seen *e = NULL;
	char group[32] = "";

	if (f->n_group > 0) {
		snprintf(group, sizeof group, "%.*s", SLICE_ARG(f->group[0].value));
	}
	for (size_t i = 0; i < found->n; i++) {
		if (strcmp(found->e[i].group, group) == 0 &&
		    found->e[i].since_ns == f->since_ns) {
			e = &found->e[i];
		}
	}
	if (e == NULL) {
		assert_int_equal(f->state, FINDING_NEW);
		assert_true(found->n < FOUND);
		e = &found->e[found->n++];
		*e = (struct episode_seen){.since_ns = f->since_ns};
		memcpy(e->group, group, sizeof group);
	}
	assert_true(f->count >= e->count);
	assert_true(f->n_evidence <= LIMIT_EVIDENCE_LINES);
	e->first_ns = f->first_ns;
	e->last_ns = f->last_ns;
	e->count = f->count;
	e->news += f->state == FINDING_NEW;
	/* One that is told alone ends at once. */
	e->ends += f->state == FINDING_END || !f->open;
	found->updates += f->state == FINDING_UPDATE;
}

/* ---- the reference: all events of a group in the order of their times ---- */

struct sample {
	int64_t ms;
	unsigned weight;
	unsigned group;
};

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->ms < y->ms ? -1 : x->ms > y->ms;
}

static const char *const addresses[GROUPS] = {"192.0.2.1", "192.0.2.2",
					      "192.0.2.3", "2001:db8::1"};

/* Appends the episodes of one group's sorted events. */
static void refer(const struct sample *s, size_t n, int64_t span_ms,
		  uint64_t least, struct found *out)
{
	size_t from = 0; /* what earlier episodes have not used */

	for (size_t j = 0; j < n; j++) {
		struct episode_seen *e = &out->e[out->n];
		uint64_t sum = 0;
		size_t i = j + 1;

		if (j < from) {
			continue;
		}
		while (i > from && s[i - 1].ms > s[j].ms - span_ms) {
			sum += s[--i].weight;
		}
		if (sum < least) {
			continue;
		}
		*e = (struct episode_seen){.first_ns = s[i].ms * 1000000,
					   .last_ns = s[j].ms * 1000000,
					   .count = sum};
		snprintf(e->group, sizeof e->group, "%s", addresses[s->group]);
		for (from = j + 1; from < n && s[from].ms - s[from - 1].ms < span_ms;
		     from++) {
			e->last_ns = s[from].ms * 1000000;
			e->count += s[from].weight;
		}
		out->n++;
	}
}

static void refer_all(struct sample *all, size_t n, int64_t span_ms,
		      uint64_t least, struct found *out)
{
	struct sample *one = malloc(n * sizeof *one);

	for (unsigned g = 0; g < GROUPS; g++) {
		size_t k = 0;

		for (size_t i = 0; i < n; i++) {
			if (all[i].group == g) {
				one[k++] = all[i];
			}
		}
		qsort(one, k, sizeof *one, by_time);
		if (k > 0) {
			refer(one, k, span_ms, least, out);
		}
	}
	free(one);
}

static int episode_order(const void *a, const void *b)
{
	const struct episode_seen *x = a, *y = b;
	int rc = strcmp(x->group, y->group);

	return rc != 0 ? rc : x->first_ns < y->first_ns ? -1
					: x->first_ns > y->first_ns;
}

static void compare(struct found *got, struct found *want, uint64_t seed)
{
	qsort(got->e, got->n, sizeof *got->e, episode_order);
	qsort(want->e, want->n, sizeof *want->e, episode_order);
	if (got->n != want->n) {
		fail_msg("seed %llu: %zu episodes, the reference has %zu",
			 (unsigned long long)seed, got->n, want->n);
	}
	for (size_t i = 0; i < got->n; i++) {
		const struct episode_seen *g = &got->e[i], *w = &want->e[i];

		if (strcmp(g->group, w->group) != 0 || g->first_ns != w->first_ns ||
		    g->last_ns != w->last_ns || g->count != w->count ||
		    g->news != 1 || g->ends != 1) {
			fail_msg("seed %llu: %s first %lld last %lld count %llu "
				 "(new %u, end %u), the reference has %s first "
				 "%lld last %lld count %llu",
				 (unsigned long long)seed, g->group,
				 (long long)g->first_ns, (long long)g->last_ns,
				 (unsigned long long)g->count, g->news, g->ends,
				 w->group, (long long)w->first_ns,
				 (long long)w->last_ns, (unsigned long long)w->count);
		}
	}
}

/* ---- random streams ---- */

static uint64_t state;

static uint64_t rnd(uint64_t below)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

enum { EVENTS = 400, SPAN_S = 60, LEAST = 5 };

/* Bursts and pauses, so that episodes begin, go on, end and begin again. */
static void make_stream(struct sample *s, size_t n)
{
	int64_t ms = SEC(0) / 1000000;

	for (size_t i = 0; i < n; i++) {
		switch (rnd(12)) {
		case 0:
			ms += (int64_t)rnd(4 * SPAN_S * 1000);
			break;
		case 1:
			ms += SPAN_S * 1000; /* just at the edge */
			break;
		case 2:
			break; /* the same time */
		default:
			ms += (int64_t)rnd(SPAN_S * 1000 / 2);
		}
		s[i] = (struct sample){ms, 1, (unsigned)rnd(GROUPS)};
		if (rnd(20) == 0) {
			s[i].weight = 1 + (unsigned)rnd(9);
		}
	}
}

static void feed(struct detect *d, const struct sample *s, struct found *out)
{
	struct record r = rulekit_login(s->ms * 1000000, OUTCOME_FAILURE, "u",
					addresses[s->group]);

	r.event.attempts = s->weight;
	detect_record(d, &r, on_finding, out);
}

static const char *const window_rule = FAILED_BY_IP("60s", "gte: 5");

static void windows_in_order_are_those_of_the_reference(void **unused)
{
	static struct found got, want;
	struct sample s[EVENTS];

	(void)unused;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct detect *d = rulekit_detect(window_rule, NULL, NULL);

		state = seed;
		got.n = want.n = 0;
		make_stream(s, EVENTS);
		for (size_t i = 0; i < EVENTS; i++) {
			feed(d, &s[i], &got);
		}
		detect_advance(d, INT64_MAX, on_finding, &got);
		detect_free(d);
		refer_all(s, EVENTS, SPAN_S * 1000, LEAST, &want);
		compare(&got, &want, seed);
	}
}

/* Each event is up to the lateness behind where it belongs.  Episodes that were
 * told and then joined stay two (docs/rules.md); streams here pause longer than
 * timespan and lateness together, or not at all. */
static void make_gentle_stream(struct sample *s, size_t n)
{
	int64_t ms = SEC(0) / 1000000;

	for (size_t i = 0; i < n; i++) {
		ms += rnd(40) == 0 ? INT64_C(600000) : (int64_t)rnd(4000);
		s[i] = (struct sample){ms, 1, (unsigned)rnd(GROUPS)};
	}
}

static void shuffle_within(struct sample *s, size_t n, int64_t late_ms)
{
	/* An event may fall behind those that are at most late_ms newer. */
	for (size_t i = n; i > 1; i--) {
		struct sample one = s[i - 2];
		size_t k = i - 2;

		if (rnd(3) != 0) {
			continue;
		}
		while (k + 1 < n && s[k + 1].ms < one.ms + late_ms && rnd(8) != 0) {
			s[k] = s[k + 1];
			k++;
		}
		s[k] = one;
	}
}

static bool was_joined(const struct sample *s, size_t n, const struct found *want);

static void late_lines_count_where_they_belong(void **unused)
{
	static struct found got, want;
	struct sample s[EVENTS];
	unsigned compared = 0;

	(void)unused;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct detect *d = rulekit_detect(window_rule, NULL, NULL);

		state = seed;
		got.n = want.n = 0;
		make_gentle_stream(s, EVENTS);
		refer_all(s, EVENTS, SPAN_S * 1000, LEAST, &want);
		shuffle_within(s, EVENTS, 40000);
		for (size_t i = 0; i < EVENTS; i++) {
			feed(d, &s[i], &got);
		}
		detect_advance(d, INT64_MAX, on_finding, &got);
		detect_free(d);
		if (!was_joined(s, EVENTS, &want)) {
			compare(&got, &want, seed);
			compared++;
		}
	}
	assert_true(compared > 100);
}

/* Whether some gap of a timespan inside an episode was only closed by a line that
 * came when both sides of it had been seen. */
static bool was_joined(const struct sample *s, size_t n, const struct found *want)
{
	for (size_t e = 0; e < want->n; e++) {
		int64_t newest = INT64_MIN;

		for (size_t i = 0; i < n; i++) {
			const char *group = addresses[s[i].group];
			int64_t ns = s[i].ms * 1000000;

			if (strcmp(group, want->e[e].group) != 0 ||
			    ns < want->e[e].first_ns || ns > want->e[e].last_ns) {
				continue;
			}
			if (newest != INT64_MIN &&
			    ns - newest >= (int64_t)SPAN_S * NS_PER_S) {
				return true;
			}
			newest = ns > newest ? ns : newest;
		}
	}
	return false;
}

/* ---- restarts ---- */

static struct detect *restart(struct detect *d, const char *yaml)
{
	struct detect *fresh = rulekit_detect(yaml, NULL, NULL);
	struct buf saved;

	buf_init(&saved, 64 * 1024 * 1024);
	assert_int_equal(detect_save(d, &saved), 0);
	assert_int_equal(detect_restore(fresh, buf_slice(&saved)), 0);
	detect_free(d);
	buf_fini(&saved);
	return fresh;
}

/* Everything a finding says, as a running hash. */
static void on_digest(void *arg, const struct finding *f)
{
	uint64_t *h = arg;
	const int64_t parts[] = {f->state, f->first_ns, f->last_ns, f->since_ns,
				 (int64_t)f->count, f->open,
				 (int64_t)f->n_evidence, (int64_t)f->n_group};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		*h = (*h ^ (uint64_t)parts[i]) * 0x9e3779b97f4a7c15u;
	}
	for (size_t i = 0; i < f->n_evidence; i++) {
		*h = (*h ^ f->evidence[i].n) * 0x9e3779b97f4a7c15u;
	}
	for (size_t i = 0; i < f->n_group; i++) {
		*h = (*h ^ (uint8_t)f->group[i].value.p[f->group[i].value.n - 1]) *
		     0x9e3779b97f4a7c15u;
	}
}

static uint64_t digest_of(const struct sample *s, size_t n, uint64_t restarts)
{
	const char *yaml =
		FAILED_BY_IP("60s", "gte: 5")
		"---\ntitle: new\nid: new\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n"
		"nightjar: {first_seen: {field: source.ip, learning: 300s}}\n"
		"---\ntitle: two\nid: two\ncorrelation:\n  type: temporal\n"
		"  rules: [base, many]\n  group-by: source.ip\n  timespan: 90s\n";
	struct detect *d = rulekit_detect(yaml, NULL, NULL);
	uint64_t h = 1;

	for (size_t i = 0; i < n; i++) {
		struct record r = rulekit_login(s[i].ms * 1000000, OUTCOME_FAILURE,
						"u", addresses[s[i].group]);
		char line[64];

		snprintf(line, sizeof line, "line number %zu%.*s", i, (int)(i % 7),
			 "=======");
		r.line = slice_str(line);
		r.event.attempts = s[i].weight;
		detect_record(d, &r, on_digest, &h);
		if (restarts > 0 && rnd(restarts) == 0) {
			d = restart(d, yaml);
		}
	}
	detect_advance(d, INT64_MAX, on_digest, &h);
	detect_free(d);
	return h;
}

static void a_restart_at_any_point_changes_nothing(void **unused)
{
	struct sample s[EVENTS];

	(void)unused;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t without, with;

		state = seed;
		make_stream(s, EVENTS);
		without = digest_of(s, EVENTS, 0);
		with = digest_of(s, EVENTS, 1 + seed % 20);
		if (with != without) {
			fail_msg("seed %llu: a restart changed the findings",
				 (unsigned long long)seed);
		}
	}
}

static void damaged_state_is_refused_and_leaves_nothing_behind(void **unused)
{
	struct detect *d = rulekit_detect(window_rule, NULL, NULL), *fresh;
	static struct found got;
	struct sample s[EVENTS];
	struct detect_stats st;
	struct buf saved;

	(void)unused;
	state = 7;
	make_stream(s, 60);
	for (size_t i = 0; i < 60; i++) {
		feed(d, &s[i], &got);
	}
	buf_init(&saved, 1 << 24);
	assert_int_equal(detect_save(d, &saved), 0);
	fresh = rulekit_detect(window_rule, NULL, NULL);
	for (size_t cut = 0; cut < saved.n; cut += cut < 100 ? 1 : 37) {
		assert_int_equal(detect_restore(fresh, slice(saved.p, cut)),
				 ERR_MALFORMED);
		detect_stats(fresh, &st);
		assert_int_equal(st.groups + st.episodes, 0);
	}
	saved.p[0] = 99;
	assert_int_equal(detect_restore(fresh, buf_slice(&saved)), ERR_VERSION);
	buf_fini(&saved);
	detect_free(fresh);
	detect_free(d);
}

/* ---- single cases ---- */

static struct found run;

static void login_at(struct detect *d, int64_t at_s, enum outcome o,
		     const char *user, const char *ip)
{
	struct record r = rulekit_login(SEC(at_s), o, user, ip);

	detect_record(d, &r, on_finding, &run);
}

static void a_window_ends_just_before_its_timespan(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("60s", "gte: 2"), NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_FAILURE, "u", "192.0.2.1");
	login_at(d, 60, OUTCOME_FAILURE, "u", "192.0.2.1");
	assert_int_equal(run.n, 0);
	login_at(d, 119, OUTCOME_FAILURE, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(60));
	detect_free(d);
}

static void silence_gives_memory_back_and_forgets_nothing_that_counts(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("600s", "gte: 3"), NULL, NULL);
	struct detect_stats st;
	char ip[32];

	(void)unused;
	run.n = 0;
	for (int i = 0; i < 5000; i++) {
		snprintf(ip, sizeof ip, "10.0.%d.%d", i / 250, i % 250);
		login_at(d, i / 100, OUTCOME_FAILURE, "u", ip);
	}
	login_at(d, 1000, OUTCOME_FAILURE, "u", "192.0.2.1");
	login_at(d, 1001, OUTCOME_FAILURE, "u", "192.0.2.1");
	detect_advance(d, SEC(1300), on_finding, &run);
	detect_stats(d, &st);
	assert_int_equal(st.groups, 1);
	login_at(d, 1310, OUTCOME_FAILURE, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].count, 3);
	detect_advance(d, SEC(9000), on_finding, &run);
	assert_int_equal(run.e[0].ends, 1);
	detect_stats(d, &st);
	assert_int_equal(st.groups + st.episodes, 0);
	for (int i = 0; i < 3; i++) {
		login_at(d, 9001 + i, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	assert_int_equal(run.n, 2);
	assert_int_equal(run.e[1].count, 3);
	detect_free(d);
}

static void a_flood_makes_few_updates_under_one_identity(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("60s", "gte: 5"), NULL, NULL);

	(void)unused;
	run.n = run.updates = 0;
	for (int i = 0; i < 100000; i++) {
		login_at(d, i / 100, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	assert_int_equal(run.n, 1);
	assert_true(run.updates <= 15);
	assert_int_equal(run.e[0].ends, 0);
	detect_advance(d, INT64_MAX, on_finding, &run);
	assert_int_equal(run.e[0].ends, 1);
	assert_int_equal(run.e[0].count, 100000);
	detect_free(d);
}

static void conditions_of_counts_are_understood(void **unused)
{
	static const struct {
		const char *condition;
		unsigned fires_at; /* 0: never */
	} cases[] = {
		{"gt: 3", 4}, {"gte: 3", 3}, {"eq: 2", 2}, {"lt: 5", 1},
		{"lte: 1", 1}, {"neq: 1", 2}, {"gt: 1, lte: 3", 2},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char yaml[1024];
		unsigned at = 0;

		snprintf(yaml, sizeof yaml, FAILED_BY_IP("60s", "%s"),
			 cases[i].condition);
		for (unsigned n = 1; at == 0 && n <= 6; n++) {
			struct detect *d = rulekit_detect(yaml, NULL, NULL);

			run.n = 0;
			for (unsigned k = 1; k <= n; k++) {
				login_at(d, k, OUTCOME_FAILURE, "u", "192.0.2.1");
			}
			detect_advance(d, INT64_MAX, on_finding, &run);
			at = run.n > 0 ? n : 0;
			detect_free(d);
		}
		assert_int_equal(at, cases[i].fires_at);
	}
}

static void a_line_that_counts_no_attempt_is_not_counted(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("60s", "gte: 2"), NULL, NULL);
	struct record r = rulekit_login(SEC(1), OUTCOME_FAILURE, "u", "192.0.2.1");

	(void)unused;
	run.n = 0;
	r.event.attempts = 0;
	for (int i = 0; i < 10; i++) {
		detect_record(d, &r, on_finding, &run);
	}
	assert_int_equal(run.n, 0);
	r.event.attempts = 7;
	detect_record(d, &r, on_finding, &run);
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].count, 7);
	detect_free(d);
}

static void a_forged_stamp_makes_no_other_line_late(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("60s", "gte: 5"), NULL, NULL);
	struct detect_stats st;

	(void)unused;
	run.n = 0;
	for (int i = 0; i < 5; i++) {
		struct record r = rulekit_login(SEC(i), OUTCOME_FAILURE, "u",
						"192.0.2.1");

		r.observed_ns = SEC(i);
		detect_record(d, &r, on_finding, &run);
		r = rulekit_login(SEC(2400000000), OUTCOME_FAILURE, "u",
				  "192.0.2.2");
		r.observed_ns = SEC(i);
		detect_record(d, &r, on_finding, &run);
	}
	detect_stats(d, &st);
	assert_int_equal(st.future, 5);
	assert_int_equal(st.late, 0);
	assert_int_equal(st.watermark_ns, SEC(4 - 300));
	assert_int_equal(run.n, 2);
	detect_free(d);
}

static void a_full_table_gives_up_groups_and_counts_them(void **unused)
{
	struct detectors_options o = {.groups_max = 128};
	struct detect *d = rulekit_detect(FAILED_BY_IP("60s", "gte: 3"), &o, NULL);
	struct detect_stats st;

	(void)unused;
	run.n = 0;
	for (int i = 0; i < 20000; i++) {
		char ip[32];

		snprintf(ip, sizeof ip, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		login_at(d, 0, OUTCOME_FAILURE, "u", ip);
	}
	detect_stats(d, &st);
	assert_true(st.groups <= 112);
	assert_true(st.evicted >= 19000);
	for (int i = 0; i < 3; i++) {
		login_at(d, 1, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	assert_int_equal(run.n, 1);
	detect_free(d);
}

static void groups_that_come_and_go_are_found_as_long_as_they_count(void **unused)
{
	struct detect *d = rulekit_detect(FAILED_BY_IP("600s", "gte: 3"), NULL, NULL);
	struct detect_stats st;
	char ip[32];

	(void)unused;
	run.n = 0;
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 2 * 700; i++) {
			snprintf(ip, sizeof ip, "10.%d.%d.%d", round, i % 700 >> 8, i % 700 & 255);
			login_at(d, round * 500 + i / 700, OUTCOME_FAILURE, "u", ip);
		}
	}
	assert_int_equal(run.n, 0);
	/* Of the last two rounds only, two failures and this one are within ten minutes. */
	for (int i = 0; i < 8 * 700; i++) {
		snprintf(ip, sizeof ip, "10.%d.%d.%d", i / 700, i % 700 >> 8, i % 700 & 255);
		login_at(d, 7 * 500 + 2, OUTCOME_FAILURE, "u", ip);
	}
	assert_int_equal(run.n, 2 * 700);
	detect_stats(d, &st);
	assert_int_equal(st.evicted, 0);
	assert_true(st.groups >= 8 * 700);
	detect_advance(d, SEC(100000), on_finding, &run);
	detect_stats(d, &st);
	assert_int_equal(st.groups + st.episodes, 0);
	login_at(d, 100001, OUTCOME_FAILURE, "u", ip);
	detect_stats(d, &st);
	assert_int_equal(st.groups, 1);
	detect_free(d);
}

static const char *const success_after =
	FAILED_BY_IP("600s", "gte: 3")
	"---\ntitle: ok\nname: ok\nlogsource: {category: authentication}\n"
	"detection: {s: {event.outcome: success}, condition: s}\n---\n"
	"title: after\nid: after\ncorrelation:\n  type: temporal_ordered\n"
	"  rules: [many, ok]\n  group-by: source.ip\n  timespan: 1h\n";

static void temporal_ordered_wants_the_order_and_the_group(void **unused)
{
	struct detect *d = rulekit_detect(success_after, NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_SUCCESS, "u", "192.0.2.1");
	for (int i = 1; i <= 3; i++) {
		login_at(d, i, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	login_at(d, 10, OUTCOME_SUCCESS, "u", "192.0.2.2");
	assert_int_equal(run.n, 0);
	login_at(d, 3602, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(3));
	detect_free(d);
}

static void temporal_ordered_ends_with_its_timespan(void **unused)
{
	struct detect *d = rulekit_detect(success_after, NULL, NULL);

	(void)unused;
	run.n = 0;
	for (int i = 1; i <= 3; i++) {
		login_at(d, i, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	login_at(d, 3603, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 0);
	detect_free(d);
}

static void a_late_failure_still_comes_before_the_success(void **unused)
{
	struct detect *d = rulekit_detect(success_after, NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 1, OUTCOME_FAILURE, "u", "192.0.2.1");
	login_at(d, 2, OUTCOME_FAILURE, "u", "192.0.2.1");
	login_at(d, 10, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 0);
	login_at(d, 3, OUTCOME_FAILURE, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].last_ns, SEC(10));
	detect_free(d);
}

static void of_a_long_run_of_one_rule_only_what_may_count_is_kept(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: bad\nname: bad\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
		"title: ok\nname: ok\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n---\n"
		"title: after\nid: after\ncorrelation:\n  type: temporal_ordered\n"
		"  rules: [bad, ok]\n  group-by: source.ip\n  timespan: 1d\n", NULL, NULL);
	struct detect_stats st;

	(void)unused;
	run.n = 0;
	for (int i = 0; i < 20000; i++) {
		login_at(d, i * 3, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	/* Late by four minutes: the failure before it is still known. */
	login_at(d, 60000 - 242, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(60000 - 243));
	login_at(d, 60000, OUTCOME_SUCCESS, "u", "192.0.2.1");
	detect_advance(d, INT64_MAX, on_finding, &run);
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].count, 2);
	detect_stats(d, &st);
	assert_int_equal(st.evicted, 0);
	detect_free(d);
}

static void of_more_events_than_are_kept_those_go_that_others_are_close_to(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: bad\nname: bad\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
		"title: ok\nname: ok\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n---\n"
		"title: after\nid: after\ncorrelation:\n  type: temporal_ordered\n"
		"  rules: [bad, ok]\n  group-by: source.ip\n  timespan: 1d\n", NULL, NULL);
	struct detect_stats st;

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_FAILURE, "u", "192.0.2.1");
	login_at(d, 100, OUTCOME_FAILURE, "u", "192.0.2.1");
	/* All are recent enough for a line that comes late. */
	for (int i = 0; i < 5000; i++) {
		login_at(d, 200 + i / 50, OUTCOME_FAILURE, "u", "192.0.2.1");
		login_at(d, 200 + i / 50, OUTCOME_FAILURE, "u", "192.0.2.1");
	}
	login_at(d, 150, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(100));
	login_at(d, 299, OUTCOME_SUCCESS, "u", "192.0.2.1");
	detect_advance(d, INT64_MAX, on_finding, &run);
	assert_int_equal(run.e[0].count, 2);
	assert_int_equal(run.e[0].last_ns, SEC(299));
	detect_stats(d, &st);
	assert_int_equal(st.groups, 1);
	detect_free(d);
}

static void temporal_takes_any_order(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: a\nname: a\nlogsource: {product: linux}\n"
		"detection: {s: {user.name: a}, condition: s}\n---\n"
		"title: b\nname: b\nlogsource: {product: linux}\n"
		"detection: {s: {user.name: b}, condition: s}\n---\n"
		"title: both\nid: both\ncorrelation:\n  type: temporal\n"
		"  rules: [a, b]\n  group-by: source.ip\n  timespan: 60s\n",
		NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_NONE, "b", "192.0.2.1");
	login_at(d, 60, OUTCOME_NONE, "a", "192.0.2.1");
	assert_int_equal(run.n, 0);
	login_at(d, 61, OUTCOME_NONE, "b", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(60));
	detect_free(d);
}

static void aliases_name_the_field_of_each_rule(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: a\nname: a\nlogsource: {product: linux}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
		"title: b\nname: b\nlogsource: {product: linux}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n---\n"
		"title: both\nid: both\ncorrelation:\n  type: temporal\n"
		"  rules: [a, b]\n  group-by: who\n  timespan: 60s\n"
		"  aliases:\n    who: {a: user.name, b: source.ip}\n", NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_FAILURE, "192.0.2.1", "192.0.2.9");
	login_at(d, 1, OUTCOME_SUCCESS, "u", "192.0.2.2");
	assert_int_equal(run.n, 0);
	login_at(d, 2, OUTCOME_SUCCESS, "u", "192.0.2.1");
	assert_int_equal(run.n, 1);
	assert_string_equal(run.e[0].group, "192.0.2.1");
	detect_free(d);
}

enum { DAY = 86400 };

static void first_seen_learns_fires_once_and_forgets(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: t\nid: t\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n"
		"nightjar:\n  first_seen: {field: source.ip, per: user.name, "
		"learning: 7d, forget: 30d}\n", NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_SUCCESS, "anna", "192.0.2.1");
	login_at(d, 6 * DAY, OUTCOME_SUCCESS, "anna", "192.0.2.2");
	assert_int_equal(run.n, 0); /* learning */
	login_at(d, 8 * DAY, OUTCOME_SUCCESS, "anna", "192.0.2.3");
	assert_int_equal(run.n, 1);
	login_at(d, 9 * DAY, OUTCOME_SUCCESS, "anna", "192.0.2.3");
	login_at(d, 9 * DAY, OUTCOME_SUCCESS, "anna", "192.0.2.1");
	assert_int_equal(run.n, 1); /* known */
	login_at(d, 9 * DAY, OUTCOME_SUCCESS, "bert", "192.0.2.4");
	assert_int_equal(run.n, 1); /* another user learns for himself */
	login_at(d, 20 * DAY, OUTCOME_SUCCESS, "anna", "192.0.2.1");
	login_at(d, 39 * DAY + 1, OUTCOME_SUCCESS, "anna", "192.0.2.3");
	assert_int_equal(run.n, 2); /* not seen for thirty days */
	detect_free(d);
}

/* Two days of logins with this value and another, then one with a new value: it alone is
 * told. */
static void only_the_new_value_is_told(enum event_field id, const char *name,
				       const char *const values[static 3])
{
	char yaml[400];
	struct detect *d;

	snprintf(yaml, sizeof yaml,
		 "title: t\nid: t\nlogsource: {category: authentication}\n"
		 "detection: {s: {event.outcome: success}, condition: s}\n"
		 "nightjar: {first_seen: {field: %s, per: user.name, learning: 2d}}\n", name);
	d = rulekit_detect(yaml, NULL, NULL);
	run.n = 0;
	for (unsigned i = 0; i < 8; i++) {
		/* The last comes without any, as one may of which no country is known: that
		 * is no news. */
		const char *value = values[i == 5 ? 2 : i % 2];
		struct record r = rulekit_login(SEC(i * DAY / 2), OUTCOME_SUCCESS, "anna", NULL);

		if (i < 7) {
			event_set(&r.event, id, slice_str(value));
		}
		detect_record(d, &r, on_finding, &run);
	}
	assert_int_equal(run.n, 1);
	assert_int_equal(run.e[0].first_ns, SEC(5 * DAY / 2));
	detect_free(d);
}

static void first_seen_knows_addresses_networks_keys_and_devices(void **unused)
{
	(void)unused;
	only_the_new_value_is_told(FIELD_SOURCE_IP, "source.ip", (const char *const[]){
		"192.0.2.1", "2001:db8::1", "192.0.2.2"});
	only_the_new_value_is_told(FIELD_SOURCE_IP, "source.address", (const char *const[]){
		"192.0.2.1", "2001:db8::1", "2001:db8::2"});
	only_the_new_value_is_told(FIELD_SOURCE_IP, "source.network", (const char *const[]){
		"192.0.2.1", "2001:db8:1:2:3::1", "2001:db8:1:3:3::1"});
	only_the_new_value_is_told(FIELD_KEY_FINGERPRINT, "auth.key.fingerprint",
				   (const char *const[]){"SHA256:AAAA", "SHA256:BBBB",
							 "SHA256:aaaa"});
	only_the_new_value_is_told(FIELD_SOURCE_MAC, "source.mac", (const char *const[]){
		"aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02", "aa:bb:cc:dd:ee:03"});
}

static void one_network_is_one_value(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: t\nid: t\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n"
		"nightjar: {first_seen: {field: source.network, learning: 0}}\n", NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_SUCCESS, "anna", "192.0.2.1");
	login_at(d, 1, OUTCOME_SUCCESS, "anna", "192.0.2.254");
	login_at(d, 2, OUTCOME_SUCCESS, "anna", "2001:db8:1:2::1");
	login_at(d, 3, OUTCOME_SUCCESS, "anna", "2001:db8:1:2:ffff::1");
	login_at(d, 4, OUTCOME_SUCCESS, "anna", "2001:db8:1:2:a:b:c:d");
	assert_int_equal(run.n, 2);
	login_at(d, 5, OUTCOME_SUCCESS, "anna", "2001:db8:3::1");
	login_at(d, 6, OUTCOME_SUCCESS, "anna", "2001:db8:3:0:a:b:c:d");
	login_at(d, 7, OUTCOME_SUCCESS, "anna", "2001:db8:3:0:a::");
	assert_int_equal(run.n, 3);
	login_at(d, 8, OUTCOME_SUCCESS, "anna", "::1");
	login_at(d, 9, OUTCOME_SUCCESS, "anna", "2001:db8:3:10::1");
	assert_int_equal(run.n, 5);
	login_at(d, 10, OUTCOME_SUCCESS, "anna", "192.0.3.1");
	assert_int_equal(run.n, 6);
	detect_free(d);
}

/* As in Central Europe, summer begins in the eleventh day. */
static int32_t summer(const void *zone, int64_t unix_s)
{
	(void)zone;
	return unix_s < SEC(10 * DAY - 7200) / NS_PER_S ? 3600 : 7200;
}

static void a_new_hour_is_one_of_the_devices_clock(void **unused)
{
	static const char yaml[] =
		"title: t\nid: t\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: success}, condition: s}\n"
		"nightjar: {first_seen: {field: event.hour, per: user.name, learning: 5d}, "
		"group-by: event.hour}\n";
	struct detect *d = rulekit_detect(yaml, NULL, NULL);

	(void)unused;
	/* SEC(0) is 22:13 in UTC, 23:13 there in winter. */
	detect_set_zone(d, summer, NULL);
	run.n = 0;
	for (int day = 0; day < 20; day++) {
		/* Always at 23:13 of the clock on the wall. */
		login_at(d, day * DAY - (day < 10 ? 0 : 3600), OUTCOME_SUCCESS, "anna", NULL);
	}
	assert_int_equal(run.n, 0);
	login_at(d, 20 * DAY, OUTCOME_SUCCESS, "anna", NULL); /* half past midnight */
	assert_int_equal(run.n, 1);
	assert_string_equal(run.e[0].group, "00");
	login_at(d, 20 * DAY, OUTCOME_SUCCESS, "bert", NULL); /* he is being learned */
	assert_int_equal(run.n, 1);
	detect_free(d);

	/* Without a zone it is UTC, and the change of clocks a new hour. */
	d = rulekit_detect(yaml, NULL, NULL);
	run.n = 0;
	for (int day = 0; day < 20; day++) {
		login_at(d, day * DAY - (day < 10 ? 0 : 3600), OUTCOME_SUCCESS, "anna", NULL);
	}
	assert_int_equal(run.n, 1);
	assert_string_equal(run.e[0].group, "21");
	detect_free(d);
}

static void an_hour_in_a_condition_is_that_of_the_devices_clock(void **unused)
{
	struct detect *d = rulekit_detect(
		"title: t\nid: t\nlogsource: {category: authentication}\n"
		"detection: {s: {event.hour: '23'}, condition: s}\n", NULL, NULL);

	(void)unused;
	run.n = 0;
	login_at(d, 0, OUTCOME_SUCCESS, "anna", NULL);
	assert_int_equal(run.n, 0);
	detect_set_zone(d, summer, NULL);
	login_at(d, 1, OUTCOME_SUCCESS, "anna", NULL);
	assert_int_equal(run.n, 1);
	detect_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_in_order_are_those_of_the_reference),
		cmocka_unit_test(late_lines_count_where_they_belong),
		cmocka_unit_test(a_restart_at_any_point_changes_nothing),
		cmocka_unit_test(damaged_state_is_refused_and_leaves_nothing_behind),
		cmocka_unit_test(a_window_ends_just_before_its_timespan),
		cmocka_unit_test(silence_gives_memory_back_and_forgets_nothing_that_counts),
		cmocka_unit_test(a_flood_makes_few_updates_under_one_identity),
		cmocka_unit_test(conditions_of_counts_are_understood),
		cmocka_unit_test(a_line_that_counts_no_attempt_is_not_counted),
		cmocka_unit_test(a_forged_stamp_makes_no_other_line_late),
		cmocka_unit_test(a_full_table_gives_up_groups_and_counts_them),
		cmocka_unit_test(groups_that_come_and_go_are_found_as_long_as_they_count),
		cmocka_unit_test(temporal_ordered_wants_the_order_and_the_group),
		cmocka_unit_test(temporal_ordered_ends_with_its_timespan),
		cmocka_unit_test(a_late_failure_still_comes_before_the_success),
		cmocka_unit_test(of_a_long_run_of_one_rule_only_what_may_count_is_kept),
		cmocka_unit_test(of_more_events_than_are_kept_those_go_that_others_are_close_to),
		cmocka_unit_test(temporal_takes_any_order),
		cmocka_unit_test(aliases_name_the_field_of_each_rule),
		cmocka_unit_test(first_seen_learns_fires_once_and_forgets),
		cmocka_unit_test(first_seen_knows_addresses_networks_keys_and_devices),
		cmocka_unit_test(one_network_is_one_value),
		cmocka_unit_test(a_new_hour_is_one_of_the_devices_clock),
		cmocka_unit_test(an_hour_in_a_condition_is_that_of_the_devices_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
