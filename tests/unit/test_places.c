/* Rules over places and lists: what they fire on, what they wait for, and impossible travel
 * against a slow implementation that is obviously right. */
#include "tests/support/rulekit.h"

#include <math.h>
#include <unistd.h>

#include "common/sys_uv.h"
#include "detectors/refer.h"
#include "tests/support/mmdb.h"

enum { PLACES = 8 };

static const struct mmdb_entry places[PLACES] = {
	{"192.0.0.0/24", "DE", true, 52.52, 13.405, 20, 64500, "Berlin"},
	{"192.0.2.0/24", "DE", true, 52.3906, 13.0645, 100, 64500, "Potsdam"},
	{"192.0.4.0/24", "FR", true, 48.8566, 2.3522, 50, 64501, "Paris"},
	{"192.0.6.0/24", "JP", true, 35.6895, 139.6917, 10, 64502, "Tokyo"},
	{"192.0.8.0/24", "BR", true, -23.5505, -46.6333, 200, 64503, "Sao Paulo"},
	{"192.0.10.0/24", "GB", true, 51.5074, -0.1278, 1000, 64504, "London, or about there"},
	{"192.0.12.0/24", "NZ", true, -41.2866, 174.7756, 0, 64505, "Wellington"},
	{"192.0.14.0/24", "ES", false, 0, 0, 0, 64506, "no place"},
};

/* The bytes stand in a file for as long as it takes to read it. */
static char *file_of(const void *p, size_t n, const char *name)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/tmp/nj%ld_%s", (long)getpid(), name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
	return path;
}

static bool has_library;

/* arg: what becomes true when a file is read, or NULL. */
static void on_told(void *arg, const struct refer_told *t)
{
	if (arg != NULL) {
		*(bool *)arg = t->good;
	}
}

static struct refer *with_places(const char *type)
{
	struct detectors_options o = {.lateness_ms = 0};
	struct refer *r;
	struct buf out;
	char *path;

	buf_init(&out, 1024 * 1024);
	assert_true(mmdb_write(&out, type, places, PLACES));
	path = file_of(out.p, out.n, "places");
	o.geoip = (struct strlist){&path, 1};
	assert_int_equal(refer_new(&r, &o, rulekit_key), 0);
	refer_load(r, sys_plain(), on_told, &has_library);
	unlink(path);
	buf_fini(&out);
	return r;
}

static struct detect *compiled(const char *yaml, const struct detectors_options *o,
			       struct refer *refer, struct complaints *c)
{
	struct detect *d;

	assert_int_equal(detect_new(&d, o, rulekit_key), 0);
	detect_set_refer(d, refer);
	assert_true(detect_load_bytes(d, "test.yml", slice_str(yaml), rulekit_error, c) >= 0);
	assert_true(detect_compile(d, rulekit_error, c) >= 0);
	return d;
}

#define HEAD "title: t\nid: i\nlogsource:\n  product: linux\ndetection:\n  s:\n"
#define LOGIN "    event.action: ssh_login\n    event.outcome: success\n"
#define TAIL "  condition: s\n"

/* ---- conditions ---- */

struct fired {
	unsigned n;
	char country[4], location[24], number[12], list[40], reference[60];
};

static void on_fired(void *arg, const struct finding *f)
{
	struct fired *x = arg;
	const struct event *e = &f->record->event;

	x->n++;
	snprintf(x->country, sizeof x->country, "%.*s",
		 SLICE_ARG(event_get(e, FIELD_SOURCE_COUNTRY)));
	snprintf(x->location, sizeof x->location, "%.*s",
		 SLICE_ARG(event_get(e, FIELD_SOURCE_LOCATION)));
	snprintf(x->number, sizeof x->number, "%.*s",
		 SLICE_ARG(event_get(e, FIELD_SOURCE_AS_NUMBER)));
	x->list[0] = '\0';
	if (f->n_lists > 0) {
		snprintf(x->list, sizeof x->list, "%s", f->lists[0].name);
		snprintf(x->reference, sizeof x->reference, "%s", f->lists[0].source);
		assert_true(f->lists[0].changed_ns > 0);
	}
}

static struct fired fires(struct detect *d, const char *ip)
{
	struct record r = rulekit_login(SEC(0), OUTCOME_SUCCESS, "anna", ip);
	struct fired x = {.n = 0};

	detect_record(d, &r, on_fired, &x);
	return x;
}

static void a_rule_asks_where_an_address_is(void **state)
{
	static const struct {
		const char *condition, *ip;
		bool fires;
	} cases[] = {
		{"    source.geo.country_iso_code: jp\n", "192.0.6.1", true},
		{"    source.geo.country_iso_code: jp\n", "192.0.4.1", false},
		{"    source.geo.country_iso_code|neq: de\n", "192.0.6.1", true},
		{"    source.geo.country_iso_code|neq: de\n", "192.0.0.1", false},
		/* Of an address that is nowhere it is not known that it is not in Germany. */
		{"    source.geo.country_iso_code|neq: de\n", "10.0.0.1", false},
		{"    source.geo.country_iso_code: null\n", "10.0.0.1", true},
		{"    source.geo.country_iso_code: null\n", "192.0.0.1", false},
		{"    source.geo.location|exists: true\n", "192.0.14.1", false},
		{"    source.as.number: 64506\n", "192.0.14.1", true},
		{"    source.as.number|gte: 64506\n", "192.0.12.1", false},
		{"    source.as.organization.name|contains: paris\n", "192.0.4.9", true},
		{"    source.geo.location|startswith: '52.52'\n", "192.0.0.9", true},
		{"    source.geo.location|exists: false\n", "10.0.0.1", true},
	};
	struct refer *refer = with_places("Enterprise");

	(void)state;
	for (size_t i = 0; has_library && i < sizeof cases / sizeof *cases; i++) {
		char yaml[600];
		struct detect *d;

		snprintf(yaml, sizeof yaml, HEAD LOGIN "%s" TAIL, cases[i].condition);
		d = compiled(yaml, NULL, refer, NULL);
		if ((fires(d, cases[i].ip).n > 0) != cases[i].fires) {
			fail_msg("%s on %s", cases[i].condition, cases[i].ip);
		}
		detect_free(d);
	}
	refer_free(refer);
}

/* Whether or not the rule asks for it; and an event is not touched by it. */
static void an_alert_says_where_its_address_is(void **state)
{
	struct refer *refer = with_places("Enterprise");
	struct detect *d = compiled(HEAD LOGIN TAIL, NULL, refer, NULL);
	struct record r = rulekit_login(SEC(0), OUTCOME_SUCCESS, "anna", "192.0.6.1");
	struct fired x = {.n = 0};

	(void)state;
	detect_record(d, &r, on_fired, &x);
	if (has_library) {
		assert_string_equal(x.country, "JP");
		assert_string_equal(x.location, "35.6895,139.6917");
		assert_string_equal(x.number, "64502");
		assert_string_equal(fires(d, "192.0.14.1").location, "");
		assert_string_equal(fires(d, "192.168.0.1").country, "");
	}
	assert_false(event_has(&r.event, FIELD_SOURCE_COUNTRY));
	detect_free(d);
	refer_free(refer);
}

static void only_what_a_rule_wants_is_looked_up(void **state)
{
	struct refer *refer = with_places("Enterprise");
	struct detect *d = compiled(HEAD "    event.outcome: success\n"
				    "    source.geo.country_iso_code: JP\n" TAIL,
				    NULL, refer, NULL);
	struct refer_stats st;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char ip[20];
		struct record r;

		snprintf(ip, sizeof ip, "192.0.4.%u", i);
		r = rulekit_login(SEC(i), i < 97 ? OUTCOME_FAILURE : OUTCOME_SUCCESS, "anna",
				  i == 98 ? "192.0.4.97" : i == 99 ? "10.0.0.1" : ip);
		detect_record(d, &r, on_fired, &(struct fired){.n = 0});
	}
	refer_stats(refer, &st);
	assert_int_equal(st.looked_up, has_library);
	detect_free(d);
	refer_free(refer);
}

/* ---- lists ---- */

static struct refer *with_list(const char *text)
{
	struct detectors_options o = {.lateness_ms = 0};
	char *path = file_of(text, strlen(text), "list.txt");
	struct refer *r;

	o.lists = (struct strlist){&path, 1};
	assert_int_equal(refer_new(&r, &o, rulekit_key), 0);
	refer_load(r, sys_plain(), on_told, NULL);
	unlink(path);
	return r;
}

static void list_rule(char yaml[static 600], const char *condition)
{
	snprintf(yaml, 600, HEAD LOGIN "    %s: '%%nj%ld_list%%'\n" TAIL, condition,
		 (long)getpid());
}

static void a_placeholder_may_be_a_list(void **state)
{
	static const struct {
		const char *condition, *ip;
		bool fires;
	} cases[] = {
		{"source.ip|expand", "192.0.2.77", true},
		{"source.ip|cidr|expand", "192.0.2.77", true},
		{"source.ip|expand", "192.0.3.77", false},
		{"source.ip|expand|neq", "192.0.2.77", false},
		{"source.ip|expand|neq", "192.0.3.77", true},
		{"user.name|expand", "192.0.3.77", true},
		{"host.hostname|expand", "192.0.2.77", false},
	};
	struct refer *refer = with_list("# Source: feed X\n192.0.2.0/24\nAnna\n");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char yaml[600];
		struct detect *d;
		struct fired x;

		list_rule(yaml, cases[i].condition);
		d = compiled(yaml, NULL, refer, NULL);
		x = fires(d, cases[i].ip);
		if ((x.n > 0) != cases[i].fires) {
			fail_msg("%s on %s", cases[i].condition, cases[i].ip);
		}
		if (x.n > 0 && strstr(cases[i].condition, "neq") == NULL) {
			assert_non_null(strstr(x.list, "_list"));
			assert_string_equal(x.reference, "feed X");
		}
		detect_free(d);
	}
	refer_free(refer);
}

static void a_list_takes_no_modifiers_for_texts(void **state)
{
	struct refer *refer = with_list("192.0.2.0/24\n");
	struct complaints c = {.n = 0};
	char yaml[600];

	(void)state;
	list_rule(yaml, "user.name|contains|expand");
	detect_free(compiled(yaml, NULL, refer, &c));
	assert_int_equal(c.n, 1);
	assert_non_null(strstr(c.last, "a list is compared as a whole"));
	refer_free(refer);
}

/* ---- waiting ---- */

static void on_rule(void *arg, const struct detect_rule *r)
{
	snprintf(arg, 80, "%s", r->waits == NULL ? "" : r->waits);
}

static void waits_for(const char *yaml, struct refer *refer, const char *want)
{
	struct detect *d = compiled(yaml, NULL, refer, NULL);
	char got[80] = "";

	detect_rules(d, on_rule, got);
	if (want == NULL ? got[0] != '\0' : strstr(got, want) == NULL) {
		fail_msg("waits for \"%s\", not \"%s\":\n%s", got, want == NULL ? "" : want, yaml);
	}
	detect_free(d);
}

static void a_rule_that_waits_says_for_what(void **state)
{
	struct refer *country = with_places("GeoLite2-Country"), *all = with_places("Enterprise");
	struct detectors_options o = {.lateness_ms = 0};
	char none[] = "/nonexistent/gone.txt", *path = none;
	struct refer *gone;

	(void)state;
	o.lists = (struct strlist){&path, 1};
	assert_int_equal(refer_new(&gone, &o, rulekit_key), 0);
	refer_load(gone, sys_plain(), on_told, NULL);
	waits_for(HEAD LOGIN TAIL, NULL, NULL);
	waits_for(HEAD "    source.geo.country_iso_code: JP\n" TAIL, NULL, "of countries");
	waits_for(HEAD "    source.geo.country_iso_code: null\n" TAIL, NULL, NULL);
	waits_for(HEAD LOGIN TAIL "nightjar:\n  travel: {}\n", NULL, "of places");
	waits_for(HEAD LOGIN TAIL "nightjar:\n  first_seen:\n    field: source.as.number\n", NULL,
		  "of networks");
	waits_for(HEAD "    source.ip|expand: '%gone%'\n" TAIL, gone, "gone");
	waits_for(HEAD LOGIN "  l:\n    source.ip|expand: '%gone%'\n"
			     "  condition: s and not l\n", gone, NULL);
	if (has_library) {
		waits_for(HEAD "    source.geo.country_iso_code: JP\n" TAIL, country, NULL);
		waits_for(HEAD LOGIN TAIL "nightjar:\n  travel: {}\n", country, "of places");
		waits_for(HEAD LOGIN TAIL "nightjar:\n  travel: {}\n", all, NULL);
	}
	refer_free(country);
	refer_free(all);
	refer_free(gone);
}

static void travel_that_is_wrong_is_refused(void **state)
{
	static const char *const wrong[] = {
		"{speed: 0}", "{speed: 100001}", "{distance: 30000}", "{distance: far}",
		"{pace: 3}", "{per: user.nam}", "1000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct complaints c = {.n = 0};
		char yaml[600];

		snprintf(yaml, sizeof yaml, HEAD LOGIN TAIL "nightjar:\n  travel: %s\n", wrong[i]);
		detect_free(compiled(yaml, NULL, NULL, &c));
		assert_int_equal(c.n, 1);
	}
}

/* ---- impossible travel ---- */

enum { EVENTS = 200, USERS = 3, MOST = 200 };

struct login {
	int64_t ms, arrives;
	unsigned user, place;
};

struct told {
	unsigned user;
	int64_t first_ms, last_ms;
	uint64_t count;
};

struct tellings {
	struct told v[MOST];
	size_t n;
};

struct course {
	unsigned speed, distance;
	struct login v[EVENTS];
	size_t n;
};

/* All as docs/rules.md says it, with every pair looked at. */
static bool too_far(const struct course *c, const struct login *a, const struct login *b)
{
	const struct mmdb_entry *x = &places[a->place], *y = &places[b->place];
	int64_t km;

	if (!x->located || !y->located || a->user != b->user) {
		return false;
	}
	km = (int64_t)geo_distance_km((int32_t)lround(x->latitude * 1e4),
				      (int32_t)lround(x->longitude * 1e4),
				      (int32_t)lround(y->latitude * 1e4),
				      (int32_t)lround(y->longitude * 1e4)) -
	     x->radius_km - y->radius_km;
	/* From a place to itself it is no way, however unsure. */
	return a->place != b->place && km >= (int64_t)c->distance &&
	       km * 3600000 > (int64_t)c->speed * (b->ms - a->ms);
}

static int by_time(const void *a, const void *b)
{
	const struct login *x = a, *y = b;

	return (x->ms > y->ms) - (x->ms < y->ms);
}

static int by_arrival(const void *a, const void *b)
{
	const struct login *x = a, *y = b;

	return (x->arrives > y->arrives) - (x->arrives < y->arrives);
}

static int by_telling(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return x->user != y->user ? (x->user > y->user) - (x->user < y->user)
				  : (x->first_ms > y->first_ms) - (x->first_ms < y->first_ms);
}

/* Since when the login is impossible; TIME_NONE: it is not. */
static int64_t impossible_since(const struct course *c, const struct login *sorted, size_t i)
{
	int64_t since = TIME_NONE;

	for (size_t k = 0; k < c->n && sorted[k].ms <= sorted[i].ms; k++) {
		if (k != i && too_far(c, &sorted[k], &sorted[i])) {
			since = sorted[k].ms;
		}
	}
	return since;
}

static void by_reference(const struct course *c, struct tellings *out)
{
	int64_t span = INT64_C(3600000) * 20016 / c->speed + 1;
	struct login sorted[EVENTS];

	memcpy(sorted, c->v, sizeof sorted);
	qsort(sorted, c->n, sizeof *sorted, by_time);
	out->n = 0;
	for (unsigned user = 0; user < USERS; user++) {
		struct told *open = NULL;
		int64_t began = 0;

		for (size_t i = 0; i < c->n; i++) {
			int64_t t = sorted[i].ms, since = impossible_since(c, sorted, i);

			if (sorted[i].user != user || since == TIME_NONE) {
				continue;
			}
			if (open == NULL || t - open->last_ms >= span) {
				open = &out->v[out->n++];
				*open = (struct told){user, since, t, 0};
				began = t;
			}
			open->first_ms = t == began && since > open->first_ms ? since
									      : open->first_ms;
			open->last_ms = t;
			open->count++;
		}
	}
	qsort(out->v, out->n, sizeof *out->v, by_telling);
}

static void on_travel(void *arg, const struct finding *f)
{
	struct tellings *out = arg;

	if (f->state == FINDING_END && f->count > 0) {
		assert_int_equal(f->n_group, 1);
		assert_true(out->n < MOST);
		out->v[out->n++] = (struct told){(unsigned)(f->group[0].value.p[0] - 'a'),
						 f->first_ns / 1000000, f->last_ns / 1000000,
						 f->count};
	}
}

static struct detect *travel_rule(const struct course *c, struct refer *refer)
{
	const struct detectors_options o = {.lateness_ms = 300000};
	char yaml[600];

	snprintf(yaml, sizeof yaml,
		 HEAD LOGIN TAIL "nightjar:\n  travel: {speed: %u, distance: %u}\n", c->speed,
		 c->distance);
	return compiled(yaml, &o, refer, NULL);
}

/* In the order of arrival; at `save` the state goes into another. */
static void by_engine(const struct course *c, struct refer *refer, size_t save,
		      struct tellings *out)
{
	struct detect *d = travel_rule(c, refer);
	struct login arriving[EVENTS];

	memcpy(arriving, c->v, sizeof arriving);
	qsort(arriving, c->n, sizeof *arriving, by_arrival);
	out->n = 0;
	for (size_t i = 0; i < c->n; i++) {
		char user[2] = {(char)('a' + arriving[i].user), 0}, ip[20];
		struct record r;

		snprintf(ip, sizeof ip, "192.0.%u.%zu", arriving[i].place * 2, i % 256);
		r = rulekit_login(arriving[i].ms * 1000000, OUTCOME_SUCCESS, user, ip);
		detect_record(d, &r, on_travel, out);
		if (i == save) {
			struct detect *next = travel_rule(c, refer);
			struct buf state;

			buf_init(&state, 1024 * 1024);
			assert_int_equal(detect_save(d, &state), 0);
			assert_int_equal(detect_restore(next, buf_slice(&state)), 0);
			buf_fini(&state);
			detect_free(d);
			d = next;
		}
	}
	detect_advance(d, INT64_MAX, on_travel, out);
	detect_free(d);
	qsort(out->v, out->n, sizeof *out->v, by_telling);
}

static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void any_course(uint64_t *seed, struct course *c)
{
	static const unsigned speeds[] = {100, 1000, 20000, 100000};
	int64_t t = SEC(0) / 1000000;

	c->speed = speeds[next(seed) % 4];
	c->distance = next(seed) % 2 ? 500 : 1;
	c->n = 1 + next(seed) % EVENTS;
	for (size_t i = 0; i < c->n; i++) {
		uint64_t r = next(seed);
		/* Mostly at home; now and then at the same time, or much later. */
		unsigned place = r % 4 != 0 ? 0 : (unsigned)(r >> 8) % PLACES;
		int64_t step = (int64_t)(r >> 16 & 7) == 0 ? 0
			       : (int64_t)(r >> 20 & 15) == 0 ? INT64_C(90000000)
							      : (int64_t)(r >> 24) % 600000;

		t += step;
		c->v[i] = (struct login){t, t + (int64_t)(next(seed) % 300000),
					 (unsigned)(r >> 60) % USERS, place};
	}
}

static void impossible_travel_is_what_no_order_of_lines_changes(void **state)
{
	uint64_t seed = (uint64_t)sys_wall_ns(sys_plain());
	struct refer *refer = with_places("GeoLite2-City");
	uint64_t told = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (unsigned round = 0; has_library && round < 400; round++) {
		static struct tellings want, got;
		struct course c;
		uint64_t of_round = seed;

		any_course(&seed, &c);
		by_reference(&c, &want);
		by_engine(&c, refer, next(&seed) % (EVENTS * 2), &got);
		told += want.n;
		if (got.n != want.n || memcmp(got.v, want.v, want.n * sizeof *want.v) != 0) {
			for (size_t i = 0; i < want.n || i < got.n; i++) {
				print_message("want %u %lld %lld %llu, got %u %lld %lld %llu\n",
					      want.v[i].user, (long long)want.v[i].first_ms,
					      (long long)want.v[i].last_ms,
					      (unsigned long long)want.v[i].count, got.v[i].user,
					      (long long)got.v[i].first_ms,
					      (long long)got.v[i].last_ms,
					      (unsigned long long)got.v[i].count);
			}
			fail_msg("seed %llu: %zu alerts, not %zu; speed %u distance %u, %zu logins",
				 (unsigned long long)of_round, got.n, want.n, c.speed, c.distance,
				 c.n);
		}
	}
	assert_true(!has_library || told > 400);
	refer_free(refer);
}

/* The first is told at once, with both lines. */
static void on_new(void *arg, const struct finding *f)
{
	unsigned *n = arg;

	if (f->state == FINDING_NEW) {
		++*n;
		assert_int_equal(f->n_evidence, 1);
		assert_true(f->record != NULL && f->open);
	}
}

static void impossible_travel_is_told_at_once_with_both_lines(void **state)
{
	struct course c = {.speed = 1000, .distance = 500};
	struct refer *refer = with_places("GeoLite2-City");
	struct detect *d = travel_rule(&c, refer);
	struct record r = rulekit_login(SEC(0), OUTCOME_SUCCESS, "anna", "192.0.0.1");
	unsigned n = 0;

	(void)state;
	detect_record(d, &r, on_new, &n);
	assert_int_equal(n, 0);
	r = rulekit_login(SEC(3600), OUTCOME_SUCCESS, "anna", "192.0.6.1");
	detect_record(d, &r, on_new, &n);
	assert_int_equal(n, has_library);
	detect_free(d);
	refer_free(refer);
}

/* An automat that logs in all the time takes the memory of one place. */
static void many_logins_from_one_place_take_little(void **state)
{
	struct course c = {.speed = 1000, .distance = 500};
	struct refer *refer = with_places("GeoLite2-City");
	struct detect *d = travel_rule(&c, refer);
	struct detect_stats st;
	struct buf saved;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct record r = rulekit_login(SEC(10 * i), OUTCOME_SUCCESS, "anna", "192.0.0.1");

		detect_record(d, &r, on_new, &n);
	}
	buf_init(&saved, 1024 * 1024);
	detect_stats(d, &st);
	assert_int_equal(st.evicted, 0);
	assert_int_equal(detect_save(d, &saved), 0);
	assert_true(saved.n < 256 * 1024 + 4096); /* The ring of lines, and this. */
	buf_fini(&saved);
	assert_int_equal(n, 0);
	detect_free(d);
	refer_free(refer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_asks_where_an_address_is),
		cmocka_unit_test(an_alert_says_where_its_address_is),
		cmocka_unit_test(only_what_a_rule_wants_is_looked_up),
		cmocka_unit_test(a_placeholder_may_be_a_list),
		cmocka_unit_test(a_list_takes_no_modifiers_for_texts),
		cmocka_unit_test(a_rule_that_waits_says_for_what),
		cmocka_unit_test(travel_that_is_wrong_is_refused),
		cmocka_unit_test(impossible_travel_is_what_no_order_of_lines_changes),
		cmocka_unit_test(impossible_travel_is_told_at_once_with_both_lines),
		cmocka_unit_test(many_logins_from_one_place_take_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
