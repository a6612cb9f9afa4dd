/* streams: random lines of logins, brought to detectors late, with restarts and kills, and
 * their alerts against those of a reference.  One test program at a time. */
#ifndef TESTS_SUPPORT_STREAMS_H
#define TESTS_SUPPORT_STREAMS_H

#include "tests/support/reference.h"
#include "tests/support/rulekit.h"

enum { KEYS = 3, ALERTS = 8192, STATE = 8 * 1024 * 1024 };

static uint64_t state; /* of rnd(): the seed */

static inline uint64_t rnd(uint64_t below)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

/* ---- lines ---- */

struct line {
	struct ref_event e;
	int64_t arrives_ms;
	unsigned number;
};

static inline int by_arrival(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->arrives_ms != y->arrives_ms) {
		return x->arrives_ms < y->arrives_ms ? -1 : 1;
	}
	return x->number < y->number ? -1 : x->number > y->number;
}

static const char *const addresses[KEYS] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
static const char *const users[KEYS] = {"anna", "bert", "root"};

static inline void feed(struct detect *d, const struct line *l, detect_cb cb, void *arg)
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
	bool ended, joined;
};

struct run {
	struct seen_alert *v;
	size_t n;
	size_t line, known_to; /* lines before known_to are read again */
	const char *yaml;
	uint64_t seed;
};

static inline int key_of(struct slice v, const char *const *names)
{
	for (int i = 0; i < KEYS; i++) {
		if (slice_eq(v, slice_str(names[i]))) {
			return i;
		}
	}
	fail_msg("a group that is none");
	return REF_NONE;
}

static inline void on_finding(void *arg, const struct finding *f)
{
	struct run *run = arg;
	struct seen_alert s = {.a = {.key = {REF_NONE, REF_NONE}, .count = f->count,
				     .first_ms = f->first_ns / 1000000,
				     .last_ms = f->last_ns / 1000000},
			       .since_ns = f->since_ns,
			       .ended = !f->open,
			       .joined = f->state == FINDING_END && f->count == 0};

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
			    !old->joined) {
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

static inline int alert_order(const void *a, const void *b)
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

static inline void show(const char *who, const struct ref_alert *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		print_error("%s c%u [%d %d] first %lld last %lld count %llu\n", who,
			    a[i].rule, a[i].key[0], a[i].key[1],
			    (long long)(a[i].first_ms - SEC(0) / 1000000),
			    (long long)(a[i].last_ms - SEC(0) / 1000000),
			    (unsigned long long)a[i].count);
	}
}

static inline void compare(const struct run *run, struct ref_result *want)
{
	struct ref_alert *got = malloc((run->n + 1) * sizeof *got);
	size_t n = 0, wrong = SIZE_MAX;

	for (size_t i = 0; i < run->n; i++) {
		if (!run->v[i].ended) {
			fail_msg("seed %llu: an alert has no end",
				 (unsigned long long)run->seed);
		}
		if (!run->v[i].joined) {
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

/* Where clocks are put forward in the middle of what the tests tell of. */
static inline int32_t streams_offset(const void *zone, int64_t unix_s)
{
	(void)zone;
	return unix_s < SEC(9 * 86400) / NS_PER_S ? 3600 : 7200;
}

static inline struct detect *load(const char *yaml, int64_t late_ms)
{
	struct detectors_options o = {.lateness_ms = (uint64_t)late_ms};
	struct detect *d = rulekit_detect(yaml, &o, NULL);

	detect_set_zone(d, streams_offset, NULL);
	return d;
}

/* Feeds all lines; now and then the state is saved, and the detectors are replaced by new
 * ones that go on from it: at once, or later, when the lines since are read again. */
static inline void run_lines(struct run *run, const struct line *l, size_t n, int64_t late_ms,
			     unsigned restarts)
{
	struct detect *d = load(run->yaml, late_ms);
	size_t saved_at = 0;
	struct buf saved;

	buf_init(&saved, STATE);
	assert_int_equal(detect_save(d, &saved), 0);
	for (run->line = 0; run->line < n; run->line++) {
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

#endif
