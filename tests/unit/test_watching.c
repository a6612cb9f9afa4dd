/* Rules that watch their groups (nightjar.silence, nightjar.rate): against a slow reference
 * (tests/support/reference_watch.c) with random rules, late lines, restarts and kills; and
 * single cases.
 *
 *   WATCHING_SEED=N    one seed, and its rule
 *   WATCHING_SEEDS=N   so many of each kind */
#include "tests/support/reference_watch.h"
#include "tests/support/streams.h"

enum { LINES = 400, YAML = 1024 };

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* ---- streams of lines ---- */

/* Steps of about so long, at times much longer, and some on the edges of hours. */
static void make_lines(struct line *l, int64_t step_ms, int64_t late_ms)
{
	int64_t ms = SEC(0) / 1000000;

	for (size_t i = 0; i < LINES; i++) {
		switch (rnd(30)) {
		case 0:
			ms += (int64_t)rnd((uint64_t)step_ms * 100);
			break;
		case 1:
			ms += HOUR - ms % HOUR - (int64_t)rnd(2);
			break;
		case 2:
		case 3:
		case 4:
			break;
		default:
			ms += (int64_t)rnd((uint64_t)step_ms);
		}
		l[i] = (struct line){.e = {
			.ms = ms, .key = {(int)rnd(rnd(3) == 0 ? KEYS : 1), 0},
			.value = REF_NONE, .weight = rnd(6) == 0 ? (unsigned)rnd(5) : 1,
			.plain = rnd(20) == 0 ? 2 : 1}, .number = (unsigned)i};
		l[i].arrives_ms = ms + (rnd(2) == 0 ? (int64_t)rnd((uint64_t)late_ms + 1) : 0);
	}
}

static int by_event_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->e.ms < y->e.ms ? -1 : x->e.ms > y->e.ms;
}

/* The events of one group that count, in their order; how many. */
static size_t events_of(const struct line *l, int key, bool weigh, struct ref_event *out)
{
	struct line sorted[LINES];
	size_t n = 0;

	memcpy(sorted, l, sizeof sorted);
	qsort(sorted, LINES, sizeof *sorted, by_event_time);
	for (size_t i = 0; i < LINES; i++) {
		struct ref_event e = sorted[i].e;

		e.weight = weigh ? e.weight : 1;
		if (e.key[0] == key && (e.plain & 1) != 0 && e.weight > 0) {
			out[n++] = e;
		}
	}
	return n;
}

static int64_t last_watermark(const struct line *l, int64_t late_ms)
{
	int64_t newest = INT64_MIN;

	for (size_t i = 0; i < LINES; i++) {
		newest = l[i].e.ms > newest ? l[i].e.ms : newest;
	}
	return newest - late_ms;
}

/* ---- random rules ---- */

struct random_rule {
	bool is_rate, weigh;
	struct ref_rate rate;
	struct ref_silence silence;
	int64_t step_ms, late_ms;
	char yaml[YAML];
};

static void put_head(struct random_rule *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put_head(struct random_rule *r, const char *fmt, ...)
{
	int n = snprintf(r->yaml, sizeof r->yaml,
			 "title: s\nid: c0\nlogsource: {product: linux}\n"
			 "detection: {s: {event.outcome: failure}, condition: s}\n"
			 "nightjar:\n  group-by: source.ip\n");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->yaml + n, sizeof r->yaml - (size_t)n, fmt, ap);
	va_end(ap);
}

static void make_given(struct random_rule *r)
{
	r->silence.given_ms = SECOND * (5 + (int64_t)rnd(300));
	r->step_ms = 20 * SECOND;
	r->late_ms = rnd(4) == 0 ? 0 : SECOND * (int64_t)rnd(90);
	put_head(r, "  silence: %llds\n", (long long)(r->silence.given_ms / SECOND));
}

static void make_learned(struct random_rule *r)
{
	struct ref_silence *s = &r->silence;

	s->forget_days = 3 + (int64_t)rnd(12);
	s->least_ms = MINUTE * (1 + (int64_t)rnd(600));
	s->most_ms = s->least_ms + MINUTE * (int64_t)rnd(3000);
	s->most_ms = s->most_ms < s->forget_days * DAY ? s->most_ms : s->forget_days * DAY;
	s->learning_ms = DAY * (int64_t)rnd(4);
	s->factor = 1001 + (int64_t)rnd(3000);
	s->percentile = 1 + (int64_t)rnd(100);
	r->step_ms = MINUTE * (5 + (int64_t)rnd(200));
	r->late_ms = rnd(4) == 0 ? 0 : MINUTE * (int64_t)rnd(400);
	put_head(r, "  silence:\n    factor: %lld.%03lld\n    percentile: %lld\n    least: %lldm\n"
		 "    most: %lldm\n    learning: %lld%s\n    forget: %lldd\n",
		 (long long)(s->factor / 1000), (long long)(s->factor % 1000),
		 (long long)s->percentile, (long long)(s->least_ms / MINUTE),
		 (long long)(s->most_ms / MINUTE), (long long)(s->learning_ms / DAY),
		 s->learning_ms == 0 ? "" : "d",
		 (long long)s->forget_days);
}

static void make_rate(struct random_rule *r)
{
	static const struct {
		const char *name;
		int cells, step_min;
	} kinds[] = {{"hour", 1, 30}, {"day", 24, 60}, {"week", 168, 240}};
	unsigned kind = (unsigned)rnd(3);
	struct ref_rate *a = &r->rate;
	char above[64] = "", below[64] = "";

	a->cells = kinds[kind].cells;
	a->learning_ms = HOUR * (a->cells + (int64_t)rnd((uint64_t)a->cells * 2));
	a->forget_ms = HOUR * (a->cells + (int64_t)rnd((uint64_t)a->cells * 5));
	a->minimum = 1 + (int64_t)rnd(6);
	a->offset = streams_offset;
	if (rnd(4) != 0) {
		a->above = 1001 + (int64_t)rnd(3000);
		snprintf(above, sizeof above, "    above: %lld.%03lld\n",
			 (long long)(a->above / 1000), (long long)(a->above % 1000));
	}
	if (a->above == 0 || rnd(2) == 0) {
		a->below = 1001 + (int64_t)rnd(3000);
		snprintf(below, sizeof below, "    below: %lld.%03lld\n",
			 (long long)(a->below / 1000), (long long)(a->below % 1000));
	}
	r->weigh = rnd(2) == 0;
	r->step_ms = MINUTE * (1 + (int64_t)rnd((uint64_t)kinds[kind].step_min));
	r->late_ms = rnd(4) == 0 ? 0 : MINUTE * (int64_t)rnd(200);
	put_head(r, "%s  rate:\n    baseline: %s\n%s%s    minimum: %lld\n    learning: %lldh\n"
		 "    forget: %lldh\n", r->weigh ? "  weight: attempts\n" : "", kinds[kind].name,
		 above, below, (long long)a->minimum, (long long)(a->learning_ms / HOUR),
		 (long long)(a->forget_ms / HOUR));
}

typedef void make_cb(struct random_rule *r);

static size_t try_seed(uint64_t seed, make_cb *make, bool tell)
{
	struct random_rule r = {.is_rate = make == make_rate};
	struct run run = {.v = malloc(ALERTS * sizeof *run.v), .yaml = r.yaml, .seed = seed};
	struct ref_result want = {NULL, 0, 0};
	struct line lines[LINES];
	struct ref_event events[LINES];
	unsigned restarts;
	size_t alerts;

	state = seed;
	make(&r);
	if (tell) {
		print_message("%s", r.yaml);
	}
	make_lines(lines, r.step_ms, r.late_ms);
	restarts = rnd(2) == 0 ? 0 : 2 + (unsigned)rnd(60);
	for (int key = 0; key < KEYS; key++) {
		size_t n = events_of(lines, key, r.weigh, events);
		int64_t seen = last_watermark(lines, r.late_ms);

		if (n > 0 && r.is_rate) {
			reference_rate(&r.rate, key, events, n, seen, &want);
		} else if (n > 0) {
			reference_silence(&r.silence, key, events, n, seen, &want);
		}
	}
	qsort(lines, LINES, sizeof *lines, by_arrival);
	run_lines(&run, lines, LINES, r.late_ms, restarts);
	compare(&run, &want);
	alerts = want.n;
	free(want.v);
	free(run.v);
	return alerts;
}

static void try_seeds(make_cb *make, uint64_t standard)
{
	const char *one = getenv("WATCHING_SEED"), *many = getenv("WATCHING_SEEDS");
	uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : standard;
	size_t alerts = 0;

	if (one != NULL) {
		try_seed(strtoull(one, NULL, 10), make, true);
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		alerts += try_seed(seed, make, false);
	}
	print_message("seeds 1 to %llu: %zu alerts\n", (unsigned long long)seeds, alerts);
	assert_true(alerts > seeds);
}

static void silences_are_those_between_the_lines(void **unused)
{
	(void)unused;
	try_seeds(make_given, 300);
}

static void learned_silences_are_those_of_the_reference(void **unused)
{
	(void)unused;
	try_seeds(make_learned, 300);
}

static void rates_are_those_of_the_reference(void **unused)
{
	(void)unused;
	try_seeds(make_rate, 300);
}

/* ---- single cases ---- */

#define BASE "title: t\nid: t\nname: t\nlogsource: {category: authentication}\n" \
	"detection: {s: {event.outcome: failure}, condition: s}\n"

struct told {
	unsigned n, new;
	struct finding last;
	char usual[FINDING_NOTE], group[32];
};

static void on_told(void *arg, const struct finding *f)
{
	struct told *t = arg;

	t->n++;
	t->new += f->state == FINDING_NEW;
	t->last = *f;
	snprintf(t->usual, sizeof t->usual, "%s", f->usual == NULL ? "" : f->usual);
	snprintf(t->group, sizeof t->group, "%.*s", (int)(f->n_group > 0 ? f->group[0].value.n : 0),
		 f->n_group > 0 ? f->group[0].value.p : "");
}

static void fail_at(struct detect *d, int64_t at_s, const char *user, struct told *t)
{
	struct record r = rulekit_login(SEC(at_s), OUTCOME_FAILURE, user, "192.0.2.1");

	detect_record(d, &r, on_told, t);
}

static void every_hour(struct detect *d, int64_t from_h, int64_t to_h, unsigned each,
		       struct told *t)
{
	for (int64_t h = from_h; h < to_h; h++) {
		for (unsigned i = 0; i < each; i++) {
			fail_at(d, h * 3600 + i, "anna", t);
		}
	}
}

static void a_rate_far_above_the_usual_is_told_when_it_is_reached(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {rate: {above: 3, minimum: 10, learning: 48h}}\n", NULL, NULL);
	struct told t = {0};

	(void)unused;
	/* The hour of SEC(0) has begun 800 seconds before. */
	every_hour(d, 0, 48, 4, &t);
	assert_int_equal(t.n, 0);
	every_hour(d, 48, 49, 12, &t);
	assert_int_equal(t.n, 0); /* three times as many, not more */
	every_hour(d, 49, 50, 12, &t);
	assert_int_equal(t.n, 0);
	every_hour(d, 50, 51, 14, &t);
	assert_int_equal(t.n, 1); /* in that hour */
	assert_int_equal(t.last.count, 13);
	assert_int_equal(t.last.first_ns, SEC(50 * 3600 - 800));
	assert_int_equal(t.last.last_ns, SEC(50 * 3600 + 12));
	assert_true(t.last.open);
	assert_int_equal(t.last.n_evidence, LIMIT_EVIDENCE_LINES);
	assert_string_equal(t.usual, "4.3 an hour");
	every_hour(d, 51, 52, 1, &t);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.last.state, FINDING_END);
	assert_int_equal(t.last.count, 14);
	detect_free(d);
}

static void a_rate_far_below_the_usual_is_told_when_the_hour_is_over(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {rate: {below: 4, minimum: 10, learning: 48h}}\n", NULL, NULL);
	struct told t = {0};

	(void)unused;
	every_hour(d, 0, 60, 20, &t);
	every_hour(d, 60, 61, 5, &t);
	every_hour(d, 61, 62, 20, &t);
	assert_int_equal(t.n, 0);
	every_hour(d, 62, 63, 4, &t);
	assert_int_equal(t.n, 0);
	detect_advance(d, SEC(63 * 3600 - 800 + 299), on_told, &t);
	assert_int_equal(t.n, 0);
	detect_advance(d, SEC(63 * 3600 - 800 + 300), on_told, &t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.last.count, 4);
	assert_false(t.last.open);
	assert_int_equal(t.last.last_ns, SEC(63 * 3600 - 800));
	detect_free(d);
}

static void the_first_minutes_of_an_hour_wait_for_the_hour_before(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {rate: {above: 3, minimum: 10, learning: 48h}}\n", NULL, NULL);
	const int64_t hour = 50 * 3600 - 800; /* one begins */
	struct told t = {0};

	(void)unused;
	every_hour(d, 0, 50, 2, &t);
	for (int i = 0; i < 12; i++) {
		fail_at(d, hour + 20 * i, "anna", &t);
	}
	assert_int_equal(t.n, 0); /* more lines of the last hour may come */
	detect_advance(d, SEC(hour + 300), on_told, &t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.last.state, FINDING_NEW);
	assert_int_equal(t.last.count, 12);
	assert_int_equal(t.last.n_evidence, LIMIT_EVIDENCE_LINES);
	detect_free(d);
}

static void an_attack_does_not_become_usual_at_once(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {rate: {above: 3, minimum: 10, learning: 48h, forget: 7d}}\n",
		NULL, NULL);
	struct told t = {0};

	(void)unused;
	every_hour(d, 0, 200, 4, &t);
	every_hour(d, 200, 212, 500, &t);
	assert_int_equal(t.new, 12);
	detect_free(d);
}

static void an_hour_of_the_week_is_compared_with_its_like(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {rate: {baseline: week, above: 3, minimum: 10, learning: 14d}}\n",
		NULL, NULL);
	struct told t = {0};

	(void)unused;
	for (int64_t week = 0; week < 4; week++) {
		every_hour(d, week * 168, week * 168 + 167, 2, &t);
		every_hour(d, week * 168 + 167, week * 168 + 168, 100, &t); /* the backup */
	}
	assert_int_equal(t.n, 0);
	every_hour(d, 4 * 168, 4 * 168 + 1, 100, &t);
	assert_int_equal(t.new, 1);
	assert_string_equal(t.usual, "2.0 in this hour of the week");
	detect_free(d);
}

static void a_source_is_missed_when_it_is_silent_for_longer_than_it_is(void **unused)
{
	struct detect *d = rulekit_detect(
		BASE "nightjar: {group-by: user.name, "
		"silence: {factor: 3, least: 10m, most: 2d}}\n",
		NULL, NULL);
	struct told t = {0};

	(void)unused;
	for (int64_t h = 0; h < 20 * 24; h++) {
		fail_at(d, h * 3600, "anna", &t);
		fail_at(d, h * 3600 + 1800, h % 8 == 0 ? "bert" : "anna", &t);
		if (h % 100 == 0) {
			fail_at(d, h * 3600 + 2000, "carl", &t);
		}
	}
	assert_int_equal(t.n, 0); /* each as usual; Carl too seldom to be missed */
	for (int64_t h = 20 * 24; h < 20 * 24 + 6; h++) {
		fail_at(d, h * 3600, "root", &t);
	}
	assert_int_equal(t.n, 1);
	assert_string_equal(t.group, "anna");
	assert_string_equal(t.usual, "hardly ever silent for 3h 0m");
	for (int64_t h = 20 * 24 + 6; h < 21 * 24; h++) {
		fail_at(d, h * 3600, "root", &t);
	}
	assert_int_equal(t.n, 2);
	assert_string_equal(t.group, "bert");
	assert_string_equal(t.usual, "hardly ever silent for 1d 0h");
	fail_at(d, 21 * 24 * 3600, "anna", &t);
	fail_at(d, 21 * 24 * 3600 + 600, "root", &t);
	assert_int_equal(t.last.state, FINDING_END);
	assert_int_equal(t.last.last_ns, SEC(21 * 24 * 3600));
	detect_free(d);
}

static void what_was_learned_is_bounded_and_what_goes_is_counted(void **unused)
{
	struct detectors_options o = {.baselines_max = 16, .lateness_ms = 1000};
	struct detect *d = rulekit_detect(
		BASE "nightjar: {group-by: user.name, silence: {least: 10m}}\n"
		"---\ntitle: r\nid: r\nlogsource: {category: authentication}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n"
		"nightjar: {group-by: user.name, rate: {above: 2, minimum: 5}}\n", &o, NULL);
	struct detect_stats st;
	struct told t = {0};

	(void)unused;
	for (int i = 0; i < 5000; i++) {
		char user[16];

		snprintf(user, sizeof user, "u%d", i);
		fail_at(d, i, user, &t);
	}
	detect_stats(d, &st);
	assert_int_equal(st.baselines, 16);
	assert_int_equal(st.evicted, 10000 - 16);
	assert_true(st.groups < 200);
	detect_advance(d, INT64_MAX, on_told, &t);
	detect_stats(d, &st);
	assert_int_equal(st.baselines + st.episodes, 0);
	detect_free(d);
}

static void state_from_before_anything_was_learned_is_read(void **unused)
{
	static const char yaml[] = BASE "nightjar: {silence: 1h}\n";
	struct detect *d = rulekit_detect(yaml, NULL, NULL);
	struct told t = {0};
	struct buf saved;

	(void)unused;
	fail_at(d, 0, "anna", &t);
	buf_init(&saved, 1 << 20);
	assert_int_equal(detect_save(d, &saved), 0);
	detect_free(d);
	/* Version 3 had no sections: here two, of nothing. */
	assert_int_equal(saved.p[0], 4);
	assert_memory_equal(saved.p + saved.n - 9, "\2\1\1\0\2\3\0\0\0", 9);
	saved.p[0] = 3;
	d = rulekit_detect(yaml, NULL, NULL);
	assert_int_equal(detect_restore(d, slice(saved.p, saved.n - 9)), 0);
	fail_at(d, 4000, "anna", &t);
	assert_int_equal(t.n, 1);
	detect_free(d);
	/* One that is not known is passed over. */
	saved.p[0] = 4;
	saved.p[saved.n - 8] = 99;
	d = rulekit_detect(yaml, NULL, NULL);
	assert_int_equal(detect_restore(d, buf_slice(&saved)), 0);
	detect_free(d);
	buf_fini(&saved);
}

static void a_correlation_can_not_count_what_has_no_events(void **unused)
{
	struct complaints c = {0, ""};
	struct detect *d = rulekit_detect(
		BASE "nightjar: {silence: 1h}\n---\ntitle: c\ncorrelation:\n  type: event_count\n"
		"  rules: t\n  timespan: 5m\n  condition:\n    gte: 5\n", NULL, &c);

	(void)unused;
	assert_int_equal(c.n, 1);
	assert_string_equal(c.last, "11:10: \"t\" watches for silence or a rate: it has no "
			    "events that could be counted");
	detect_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silences_are_those_between_the_lines),
		cmocka_unit_test(learned_silences_are_those_of_the_reference),
		cmocka_unit_test(rates_are_those_of_the_reference),
		cmocka_unit_test(a_rate_far_above_the_usual_is_told_when_it_is_reached),
		cmocka_unit_test(a_rate_far_below_the_usual_is_told_when_the_hour_is_over),
		cmocka_unit_test(the_first_minutes_of_an_hour_wait_for_the_hour_before),
		cmocka_unit_test(an_attack_does_not_become_usual_at_once),
		cmocka_unit_test(an_hour_of_the_week_is_compared_with_its_like),
		cmocka_unit_test(a_source_is_missed_when_it_is_silent_for_longer_than_it_is),
		cmocka_unit_test(what_was_learned_is_bounded_and_what_goes_is_counted),
		cmocka_unit_test(state_from_before_anything_was_learned_is_read),
		cmocka_unit_test(a_correlation_can_not_count_what_has_no_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
