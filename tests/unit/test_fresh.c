/* What is new, in event time: against a slow reference that is obviously right, in many orders
 * of arrival and over restarts. */
#include "tests/support/rulekit.h"

enum { EVENTS = 240, ALERTS = 1024, LATENESS_S = 5 };

static uint64_t state;

static uint64_t rnd(uint64_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % n;
}

/* ---- what was told in the end ---- */

struct told {
	char rule[8], group[64];
	int64_t first_ns, last_ns;
	uint64_t count;
	int64_t since_ns; /* with about: which alert it is */
	uint64_t about;
};

struct result {
	struct told v[ALERTS];
	size_t n, corrected;
};

static void on_finding(void *arg, const struct finding *f)
{
	struct result *out = arg;
	struct told t = {.first_ns = f->first_ns, .last_ns = f->last_ns, .count = f->count,
			 .since_ns = f->since_ns, .about = f->about};
	size_t at = 0, i = 0;

	snprintf(t.rule, sizeof t.rule, "%s", f->rule_id);
	for (size_t k = 0; k < f->n_group; k++) {
		at += (size_t)snprintf(t.group + at, sizeof t.group - at, "%.*s ",
				       SLICE_ARG(f->group[k].value));
	}
	while (i < out->n && (strcmp(out->v[i].rule, t.rule) != 0 ||
			      strcmp(out->v[i].group, t.group) != 0 ||
			      out->v[i].since_ns != t.since_ns || out->v[i].about != t.about)) {
		i++;
	}
	if (i == out->n) {
		assert_int_equal(f->state, FINDING_NEW);
		assert_true(out->n < ALERTS);
		out->n++;
	}
	out->corrected += f->about != 0 && f->state != FINDING_NEW;
	out->v[i] = t;
}

static int by_text(const void *a, const void *b)
{
	const struct told *x = a, *y = b;
	int rc = strcmp(x->rule, y->rule);

	rc = rc != 0 ? rc : (x->first_ns > y->first_ns) - (x->first_ns < y->first_ns);
	return rc != 0 ? rc : strcmp(x->group, y->group);
}

/* Without what was taken back, sorted. */
static void settle(struct result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].count > 0) {
			r->v[n] = r->v[i];
			r->v[n].since_ns = 0;
			r->v[n++].about = 0;
		}
	}
	r->n = n;
	qsort(r->v, n, sizeof *r->v, by_text);
}

static void print_result(const char *what, const struct result *r)
{
	print_message("%s:\n", what);
	for (size_t i = 0; i < r->n; i++) {
		print_message("  %s %s %lld to %lld: %llu\n", r->v[i].rule, r->v[i].group,
			      (long long)(r->v[i].first_ns - T0) / 1000000,
			      (long long)(r->v[i].last_ns - T0) / 1000000,
			      (unsigned long long)r->v[i].count);
	}
}

static void assert_alike(uint64_t seed, const char *what, const struct result *want,
			 const struct result *got)
{
	if (want->n != got->n || memcmp(want->v, got->v, want->n * sizeof *want->v) != 0) {
		print_result("wanted", want);
		print_result("got", got);
		fail_msg("seed %llu: %s", (unsigned long long)seed, what);
	}
}

/* ---- lines ---- */

struct sample {
	int64_t ms, arrival;
	unsigned user, host, number;
};

/* Two addresses of each of three networks. */
static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "198.51.100.1",
					"198.51.100.2", "203.0.113.1", "203.0.113.2"};
static const char *const users[] = {"anna", "bert"};

struct settings {
	int forget_s, learning_s;
};

static struct detect *rules_of(struct settings s)
{
	const struct detectors_options o = {.lateness_ms = LATENESS_S * 1000};
	char yaml[900];

	snprintf(yaml, sizeof yaml,
		 "title: new\nname: new\nid: new\nlogsource: {category: authentication}\n"
		 "detection: {s: {event.outcome: success}, condition: s}\n"
		 "nightjar: {first_seen: {field: source.network, per: user.name, "
		 "learning: %d%s, forget: %ds}}\n"
		 "---\ntitle: two\nid: two\ncorrelation:\n  type: event_count\n"
		 "  rules: [new]\n  group-by: [user.name]\n  timespan: 9s\n  generate: true\n"
		 "  condition: {gte: 2}\n", s.learning_s, s.learning_s == 0 ? "" : "s", s.forget_s);
	return rulekit_detect(yaml, &o, NULL);
}

static struct detect *restart(struct detect *d, struct settings s)
{
	struct detect *fresh = rules_of(s);
	struct buf saved;

	buf_init(&saved, 4 * 1024 * 1024);
	assert_int_equal(detect_save(d, &saved), 0);
	assert_int_equal(detect_restore(fresh, buf_slice(&saved)), 0);
	detect_free(d);
	buf_fini(&saved);
	return fresh;
}

static void run(const struct sample *s, size_t n, struct settings set, uint64_t restarts,
		struct result *out)
{
	struct detect *d = rules_of(set);

	*out = (struct result){.n = 0};
	for (size_t i = 0; i < n; i++) {
		struct record r = rulekit_login(T0 + s[i].ms * 1000000, OUTCOME_SUCCESS,
						users[s[i].user], addresses[s[i].host]);
		char line[32];

		snprintf(line, sizeof line, "line %u", s[i].number);
		r.line = slice_str(line);
		detect_record(d, &r, on_finding, out);
		if (restarts > 0 && rnd(restarts) == 0) {
			d = restart(d, set);
		}
	}
	detect_advance(d, INT64_MAX, on_finding, out);
	detect_free(d);
	settle(out);
}

/* ---- the reference: all lines in the order of their times ---- */

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->ms > y->ms) - (x->ms < y->ms);
}

static int by_arrival(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->arrival != y->arrival ? (x->arrival > y->arrival) - (x->arrival < y->arrival)
					: (x->number > y->number) - (x->number < y->number);
}

/* Whether line i is news, by looking at all in front of it. */
static bool is_news(const struct sample *s, size_t i, struct settings set)
{
	int64_t forget = set.forget_s > LATENESS_S ? set.forget_s : LATENESS_S;
	int64_t begun = s[i].ms / 1000;

	for (size_t k = i; k-- > 0;) {
		int64_t at = s[k].ms / 1000;

		if (s[k].user != s[i].user) {
			continue;
		}
		if (s[k].host / 2 == s[i].host / 2 && s[i].ms / 1000 - at <= forget) {
			return false;
		}
		if (begun - at > forget) {
			break;
		}
		begun = at;
	}
	/* The value may have been seen by a group that was over since: it is known only
	 * within `forget`, and so not. */
	return s[i].ms / 1000 - begun >= set.learning_s;
}

static void add(struct result *out, const char *rule, const char *group, int64_t first,
		int64_t last, uint64_t count)
{
	struct told *t = &out->v[out->n++];

	*t = (struct told){.first_ns = T0 + first * 1000000, .last_ns = T0 + last * 1000000,
			   .count = count};
	snprintf(t->rule, sizeof t->rule, "%s", rule);
	snprintf(t->group, sizeof t->group, "%s", group);
}

/* Two pieces of news of a user within nine seconds, and what follows. */
static void refer_two(const int64_t *ms, size_t n, const char *group, struct result *out)
{
	for (size_t i = 0; i + 1 < n; i++) {
		size_t k = i + 1;

		if (ms[k] - ms[i] >= 9000) {
			continue;
		}
		while (k + 1 < n && ms[k + 1] - ms[k] < 9000) {
			k++;
		}
		add(out, "two", group, ms[i], ms[k], k - i + 1);
		i = k;
	}
}

static void refer(struct sample *s, size_t n, struct settings set, struct result *out)
{
	*out = (struct result){.n = 0};
	qsort(s, n, sizeof *s, by_time);
	for (unsigned u = 0; u < 2; u++) {
		int64_t ms[EVENTS];
		size_t n_ms = 0;
		char group[64];

		for (size_t i = 0; i < n; i++) {
			if (s[i].user == u && is_news(s, i, set)) {
				snprintf(group, sizeof group, "%s %s ", users[u],
					 addresses[s[i].host]);
				add(out, "new", group, s[i].ms, s[i].ms, 1);
				ms[n_ms++] = s[i].ms;
			}
		}
		snprintf(group, sizeof group, "%s ", users[u]);
		refer_two(ms, n_ms, group, out);
	}
	settle(out);
}

/* ---- the properties ---- */

/* No two lines have the same time unless they may. */
static void make_stream(struct sample *s, size_t n, bool same_times)
{
	int64_t ms = 1;

	for (size_t i = 0; i < n; i++) {
		ms += rnd(25) == 0 ? (int64_t)rnd(60000) : 1 + (int64_t)rnd(2500);
		if (same_times) {
			ms = (ms + 999) / 1000 * 1000 - (int64_t)rnd(2) * 1000;
		}
		s[i] = (struct sample){ms, ms + (int64_t)rnd(LATENESS_S * 1000 + 1),
				       (unsigned)rnd(2), (unsigned)rnd(6), (unsigned)i};
	}
}

static struct settings make_settings(void)
{
	return (struct settings){(int)(1 + rnd(25)),
				 rnd(4) == 0 ? 0 : (int)(1 + rnd(30))};
}

static void the_order_of_arrival_and_restarts_change_nothing(void **unused)
{
	static struct result want, got;
	size_t alerts = 0, corrected = 0;
	struct sample s[EVENTS];

	(void)unused;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct settings set;

		state = seed;
		set = make_settings();
		make_stream(s, EVENTS, false);
		refer(s, EVENTS, set, &want);
		run(s, EVENTS, set, 0, &got);
		assert_alike(seed, "in order", &want, &got);
		assert_int_equal(got.corrected, 0);
		qsort(s, EVENTS, sizeof *s, by_arrival);
		run(s, EVENTS, set, 0, &got);
		assert_alike(seed, "with late lines", &want, &got);
		run(s, EVENTS, set, 1 + seed % 20, &got);
		assert_alike(seed, "with late lines and restarts", &want, &got);
		alerts += want.n;
		corrected += got.corrected;
	}
	print_message("seeds 1 to 400: %zu alerts, %zu put right\n", alerts, corrected);
	assert_true(alerts > 1000 && corrected > 1000);
}

static void lines_of_the_same_time_may_come_in_any_order(void **unused)
{
	static struct result want, got;
	struct sample s[EVENTS];

	(void)unused;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct settings set;

		state = seed;
		set = make_settings();
		make_stream(s, EVENTS, true);
		qsort(s, EVENTS, sizeof *s, by_time);
		run(s, EVENTS, set, 0, &want);
		qsort(s, EVENTS, sizeof *s, by_arrival);
		run(s, EVENTS, set, seed % 2 * 7, &got);
		assert_alike(seed, "lines of the same time", &want, &got);
	}
}

/* The next order of n numbers; false: that was the last. */
static bool next_order(unsigned *v, unsigned n)
{
	unsigned i = n - 1, k = n - 1, x;

	while (i > 0 && v[i - 1] > v[i]) {
		i--;
	}
	if (i == 0) {
		return false;
	}
	while (v[k] < v[i - 1]) {
		k--;
	}
	x = v[k];
	v[k] = v[i - 1];
	v[i - 1] = x;
	for (k = n - 1; i < k; i++, k--) {
		x = v[i];
		v[i] = v[k];
		v[k] = x;
	}
	return true;
}

static void every_order_within_the_lateness_gives_the_same(void **unused)
{
	enum { BEFORE = 6, ANY = 5 };
	static struct result want, got;
	struct sample s[BEFORE + ANY], in_order[BEFORE + ANY];

	(void)unused;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		unsigned order[ANY] = {0, 1, 2, 3, 4};
		struct settings set;

		state = seed;
		set = make_settings();
		make_stream(in_order, BEFORE + ANY, false);
		for (unsigned i = BEFORE; i < BEFORE + ANY; i++) {
			in_order[i].ms = in_order[BEFORE].ms + (int64_t)(i - BEFORE) * 1000 +
					 (int64_t)rnd(999);
		}
		refer(in_order, BEFORE + ANY, set, &want);
		memcpy(s, in_order, sizeof s);
		do {
			for (unsigned i = 0; i < ANY; i++) {
				s[BEFORE + i] = in_order[BEFORE + order[i]];
			}
			run(s, BEFORE + ANY, set, rnd(2) * 3, &got);
			assert_alike(seed, "an order", &want, &got);
		} while (next_order(order, ANY));
	}
}

/* ---- what the reader sees ---- */

static void login(struct detect *d, struct result *out, int second, const char *line,
		  const char *ip)
{
	struct record r = rulekit_login(SEC(second), OUTCOME_SUCCESS, "anna", ip);

	r.line = slice_str(line);
	detect_record(d, &r, on_finding, out);
}

static void it_is_told_at_once_and_put_right_under_its_identity(void **unused)
{
	struct detect *d = rules_of((struct settings){30, 0});
	static struct result out;

	(void)unused;
	out.n = 0;
	login(d, &out, 3, "second", "192.0.2.1");
	assert_int_equal(out.n, 1);
	assert_int_equal(out.v[0].first_ns, SEC(3));
	login(d, &out, 1, "first", "192.0.2.1");
	assert_int_equal(out.n, 1);
	assert_int_equal(out.v[0].since_ns, SEC(3));
	assert_int_equal(out.v[0].first_ns, SEC(1));
	/* Another address of the network came before both: the alert is about that line. */
	login(d, &out, 0, "other", "192.0.2.2");
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[0].count, 0);
	assert_int_equal(out.v[1].first_ns, SEC(0));
	/* What is later than that changes nothing. */
	login(d, &out, 10, "later", "192.0.2.2");
	login(d, &out, -1, "too late", "192.0.2.2");
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[1].first_ns, SEC(0));
	detect_free(d);
}

static void what_turns_out_to_be_known_is_taken_back(void **unused)
{
	struct detect *d = rules_of((struct settings){10, 0});
	static struct result out;

	(void)unused;
	out.n = 0;
	login(d, &out, 0, "a", "192.0.2.1");
	login(d, &out, 11, "b", "192.0.2.1");
	assert_int_equal(out.n, 2);
	login(d, &out, 9, "c", "192.0.2.1");
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[0].count, 1);
	assert_int_equal(out.v[1].count, 0);
	detect_free(d);
}

static void a_flood_of_new_values_is_bounded(void **unused)
{
	struct detect *d = rules_of((struct settings){60, 0});
	struct detect_stats st;
	size_t news = 0;

	(void)unused;
	for (unsigned i = 0; i < 3000; i++) {
		static struct result out;
		char ip[24];

		snprintf(ip, sizeof ip, "10.%u.%u.1", i / 250, i % 250);
		out.n = 0;
		login(d, &out, 0, ip, ip);
		news += out.n;
	}
	assert_int_equal(news, 3000);
	detect_stats(d, &st);
	assert_int_equal(st.forgotten, 3000 - 1024);
	d = restart(d, (struct settings){60, 0});
	detect_free(d);
}

static void on_nothing(void *arg, const struct finding *f)
{
	(void)arg;
	(void)f;
}

static void damaged_state_is_survived(void **unused)
{
	const struct settings set = {20, 3};
	struct sample s[40];
	struct detect *d = rules_of(set);
	struct buf saved;

	(void)unused;
	state = 7;
	make_stream(s, 40, false);
	for (size_t i = 0; i < 40; i++) {
		struct record r = rulekit_login(T0 + s[i].ms * 1000000, OUTCOME_SUCCESS,
						users[s[i].user], addresses[s[i].host]);

		detect_record(d, &r, on_nothing, NULL);
	}
	buf_init(&saved, 4 * 1024 * 1024);
	assert_int_equal(detect_save(d, &saved), 0);
	detect_free(d);
	for (size_t cut = 0; cut < saved.n; cut++) {
		d = rules_of(set);
		assert_int_not_equal(detect_restore(d, slice(saved.p, cut)), 0);
		detect_free(d);
	}
	for (unsigned i = 0; i < 2000; i++) {
		struct record r = rulekit_login(T0 + s[39].ms * 1000000 - (int64_t)rnd(6000) *
						1000000, OUTCOME_SUCCESS, "anna", addresses[i % 6]);
		size_t at = rnd(saved.n);
		char was = saved.p[at];

		saved.p[at] = (char)rnd(256);
		d = rules_of(set);
		if (detect_restore(d, buf_slice(&saved)) == 0) {
			detect_record(d, &r, on_nothing, NULL);
			detect_advance(d, INT64_MAX, on_nothing, NULL);
		}
		detect_free(d);
		saved.p[at] = was;
	}
	buf_fini(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_arrival_and_restarts_change_nothing),
		cmocka_unit_test(lines_of_the_same_time_may_come_in_any_order),
		cmocka_unit_test(every_order_within_the_lateness_gives_the_same),
		cmocka_unit_test(it_is_told_at_once_and_put_right_under_its_identity),
		cmocka_unit_test(what_turns_out_to_be_known_is_taken_back),
		cmocka_unit_test(a_flood_of_new_values_is_bounded),
		cmocka_unit_test(damaged_state_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
