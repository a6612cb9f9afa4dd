/* Who attacked whom: sums against plain ones, and what is approximate within its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/summary.h"
#include "common/timefmt.h"

static uint64_t state;

static uint32_t chance(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* ---- the axis ---- */

static int64_t piece_of(const struct axis *a, int64_t ns)
{
	int64_t length_ns = axis_length_s(a) * NS_PER_S;

	return ns / length_ns - (ns % length_ns < 0);
}

static int64_t random_time(int64_t from_s, uint32_t span_s)
{
	return (from_s + chance(span_s)) * NS_PER_S + chance(1000000000);
}

static void counts_stand_where_their_times_are_however_these_come(void **arg)
{
	enum { TIMES = 400 };
	static const uint32_t spans[] = {1, 100, 5000, 86400, 30 * 86400, 399 * 86400};

	(void)arg;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		int64_t times[TIMES], at, step;
		uint32_t counts[AXIS_PIECES] = {0}, want[AXIS_PIECES] = {0}, span;
		struct axis a = {.level = 0};
		struct axis_move m;
		int way;

		state = seed;
		span = spans[chance(6)];
		way = (int)chance(3);
		at = (int64_t)chance(UINT32_MAX) - 2000000000;
		step = 1 + (int64_t)(span / TIMES);
		for (int i = 0; i < TIMES; i++) {
			int piece;

			times[i] = way == 0 ? random_time(at, span)
				   : (at + (way == 1 ? i : TIMES - i) * step) * NS_PER_S;
			piece = axis_place(&a, times[i], &m);
			assert_in_range(piece, 0, AXIS_PIECES - 1);
			if (m.wanted) {
				axis_move_counts(&m, counts);
			}
			counts[piece]++;
		}
		for (int i = 0; i < TIMES; i++) {
			want[piece_of(&a, times[i]) - a.from]++;
		}
		if (memcmp(counts, want, sizeof want) != 0 || counts[axis_skip(&a)] == 0 ||
		    counts[axis_skip(&a) + axis_used(&a) - 1] == 0) {
			fail_msg("seed %llu", (unsigned long long)seed);
		}
		/* No longer than it must be: a quarter of the pieces is used, or they are
		 * seconds; weeks are seven times a day. */
		assert_true(axis_length_s(&a) == 1 || axis_used(&a) > AXIS_PIECES / 8);
	}
}

static void a_stamp_far_from_all_others_does_not_stretch_the_axis(void **arg)
{
	const int64_t day = 86400 * NS_PER_S, now = 20000 * day;
	uint32_t counts[AXIS_PIECES] = {0};
	struct axis a = {.level = 0};
	struct axis_move m;

	(void)arg;
	assert_int_equal(axis_place(&a, now, &m), 0);
	for (int i = 1; i < 10; i++) {
		assert_true(axis_place(&a, now + i * NS_PER_S, &m) >= 0);
	}
	assert_int_equal(axis_place(&a, 0, &m), -1);
	assert_int_equal(axis_place(&a, INT64_MAX, &m), -1);
	assert_int_equal(axis_place(&a, INT64_MIN + 1, &m), -1);
	assert_int_equal(axis_length_s(&a), 1);
	/* More and more of them: they are right, and the first ones were wrong. */
	for (int i = 0; i < 7; i++) {
		assert_int_equal(axis_place(&a, 0, &m), -1);
	}
	assert_int_equal(axis_place(&a, 0, &m), 0);
	assert_true(m.wanted && m.clear);
	counts[3] = 7;
	axis_move_counts(&m, counts);
	assert_int_equal(counts[3], 0);
	assert_int_equal(axis_first_s(&a), 0);
	assert_int_equal(axis_place(&a, now, &m), -1);
}

/* ---- tables of bounded size ---- */

struct row {
	struct tally_row row;
	uint64_t payload;
};

static void counts_are_too_low_by_a_known_bound_once_the_table_was_full(void **arg)
{
	enum { ROWS = 64, KEYS = 1000 };

	(void)arg;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t want[KEYS] = {0}, given_up = 0;
		uint32_t keys;
		struct tally t;
		void *top[ROWS];
		int n;

		state = seed;
		keys = 1 + chance(chance(2) == 0 ? ROWS : KEYS);
		assert_int_equal(tally_init(&t, ROWS, sizeof(struct row)), 0);
		for (int i = 0; i < 5000; i++) {
			uint32_t key = chance(1 + chance(keys)), times = 1 + chance(9);
			bool is_new;
			uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
			struct row *row = tally_row(&t, hash, &is_new);

			if (is_new) {
				row->payload = key;
				row->row.keep = key == 7;
			}
			assert_int_equal(row->payload, key);
			tally_count(&row->row, times, 0, i);
			want[key] += times;
		}
		assert_true(keys > ROWS || (t.error == 0 && t.given_up == 0));
		n = tally_top(&t, ROWS, top);
		for (int i = 0; i < n; i++) {
			const struct row *row = top[i];
			uint64_t low = want[row->payload] - row->row.failed;

			if (row->row.failed > want[row->payload] || low > t.error ||
			    (i > 0 && ((struct row *)top[i - 1])->row.failed < row->row.failed)) {
				fail_msg("seed %llu: key %llu", (unsigned long long)seed,
					 (unsigned long long)row->payload);
			}
			want[row->payload] = 0;
		}
		for (uint32_t key = 0; key < KEYS; key++) {
			/* Whoever has no row failed no more often than that. */
			given_up = want[key] > given_up ? want[key] : given_up;
		}
		assert_true(given_up <= t.error);
		assert_int_equal(tally_kept(&t, ROWS, top), keys > 7);
		tally_fini(&t);
	}
}

static void how_many_there_were_is_exact_for_few_and_close_for_many(void **arg)
{
	static uint32_t v[64];

	(void)arg;
	for (uint64_t seed = 1; seed <= 500; seed++) {
		uint32_t n = 0, many;
		struct distinct d = {v, &n, 64};
		uint64_t got;
		bool exact;

		state = seed;
		many = chance(2) == 0 ? chance(64) : 64 + chance(50000);
		for (uint32_t i = 0; i < many; i++) {
			/* The multiplier is odd: all differ; and each comes twice. */
			distinct_add(&d, (i + (uint32_t)seed * 977) * 2654435761u);
			distinct_add(&d, (chance(i + 1) + (uint32_t)seed * 977) * 2654435761u);
		}
		got = distinct_count(&d, &exact);
		assert_int_equal(exact, many < 64);
		/* Five times the standard error; these hashes are spread more evenly still. */
		if (exact ? got != many : got < many / 3 || got > many * 5 / 3 + 1) {
			fail_msg("seed %llu: %llu, not %u", (unsigned long long)seed,
				 (unsigned long long)got, many);
		}
	}
}

/* ---- attempts ---- */

static struct record attempt(enum outcome outcome, uint32_t times, const char *ip,
			     const char *user, int64_t time_s)
{
	struct record r = {.flags = 0};

	r.header.time_ns = time_s * NS_PER_S;
	r.header.program = SLICE_LIT("sshd");
	r.header.host = SLICE_LIT("gw");
	r.event.outcome = outcome;
	r.event.attempts = times;
	if (ip != NULL) {
		event_set(&r.event, FIELD_SOURCE_IP, slice_str(ip));
	}
	event_set(&r.event, FIELD_USER_NAME, slice_str(user));
	return r;
}

static void add(struct summary *s, enum outcome outcome, uint32_t times, const char *ip,
		const char *user, int64_t time_s)
{
	struct record r = attempt(outcome, times, ip, user, time_s);

	summary_record(s, &r, true);
}

static struct summary_source *source(struct summary *s, const char *name)
{
	for (size_t i = 0; i < s->sources.n; i++) {
		struct summary_source *v = tally_at(&s->sources, i);

		if (slice_eq(slice(v->text, v->n), slice_str(name))) {
			return v;
		}
	}
	fail_msg("no source %s", name);
	abort(); /* what cmocka does is not known to the compiler */
}

static void a_success_after_failures_is_one_in_whatever_order_lines_are_read(void **arg)
{
	static const struct {
		bool success;
		int time_s;
	} cases[][3] = {
		{{false, 1}, {true, 5}, {false, 9}},
		{{true, 5}, {false, 1}, {false, 9}},
		{{true, 5}, {false, 9}, {false, 1}},
		{{false, 9}, {true, 5}, {false, 1}},
	};
	struct summary *s;

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(summary_new(&s), 0);
		for (int k = 0; k < 3; k++) {
			add(s, cases[i][k].success ? OUTCOME_SUCCESS : OUTCOME_FAILURE, 1,
			    "192.0.2.1", cases[i][k].success ? "pi" : "root", cases[i][k].time_s);
		}
		assert_string_equal(summary_result(source(s, "192.0.2.1")),
				    "success_after_failures");
		assert_int_equal(source(s, "192.0.2.1")->in_ns, 5 * NS_PER_S);
		assert_memory_equal(source(s, "192.0.2.1")->in_user.text, "pi", 2);
		summary_free(s);
	}
	assert_int_equal(summary_new(&s), 0);
	add(s, OUTCOME_SUCCESS, 1, "192.0.2.1", "pi", 5);
	add(s, OUTCOME_FAILURE, 1, "192.0.2.1", "pi", 6);
	add(s, OUTCOME_FAILURE, 1, "192.0.2.2", "pi", 6);
	add(s, OUTCOME_SUCCESS, 1, "192.0.2.3", "pi", 6);
	assert_string_equal(summary_result(source(s, "192.0.2.1")), "succeeded");
	assert_string_equal(summary_result(source(s, "192.0.2.2")), "failed");
	assert_string_equal(summary_result(source(s, "192.0.2.3")), "succeeded");
	summary_free(s);
}

static void who_asks_on_the_machine_itself_is_the_source(void **arg)
{
	struct record r = attempt(OUTCOME_FAILURE, 3, NULL, "bob", 1);
	struct summary *s;
	struct summary_source *v;

	(void)arg;
	assert_int_equal(summary_new(&s), 0);
	event_set(&r.event, FIELD_USER_EFFECTIVE_NAME, SLICE_LIT("root"));
	summary_record(s, &r, true);
	v = source(s, "bob");
	assert_int_equal(v->kind, SUMMARY_LOCAL);
	assert_memory_equal(v->users[0].text, "root", 4);
	assert_int_equal(v->users[0].count, 3);
	/* At a console nobody knows who it is; and an address is no user of that name. */
	add(s, OUTCOME_FAILURE, 1, NULL, "alice", 2);
	assert_int_equal(source(s, "")->row.failed, 1);
	add(s, OUTCOME_FAILURE, 1, "bob", "alice", 2);
	assert_int_equal(s->sources.n, 3);
	summary_free(s);
}

static void a_line_that_repeats_what_another_counted_counts_nothing(void **arg)
{
	struct record r = attempt(OUTCOME_FAILURE, 0, "192.0.2.1", "root", 1);
	struct summary *s;

	(void)arg;
	assert_int_equal(summary_new(&s), 0);
	summary_record(s, &r, true);
	r.event.outcome = OUTCOME_UNKNOWN;
	r.event.attempts = 1;
	summary_record(s, &r, true);
	assert_int_equal(s->failed + s->succeeded + s->sources.n + s->targets.n, 0);
	summary_free(s);
}

static void a_time_that_is_not_believed_counts_without_one(void **arg)
{
	struct record r = attempt(OUTCOME_FAILURE, 2, "192.0.2.1", "root", 4000000000);
	struct summary *s;

	(void)arg;
	assert_int_equal(summary_new(&s), 0);
	summary_record(s, &r, false);
	r.header.time_ns = TIME_NONE;
	summary_record(s, &r, true);
	assert_int_equal(s->failed, 4);
	assert_int_equal(s->unplaced, 4);
	assert_int_equal(s->first_ns, TIME_NONE);
	assert_int_equal(source(s, "192.0.2.1")->row.last_ns, TIME_NONE);
	assert_int_equal(axis_used(&s->axis), 0);
	summary_free(s);
}

static void of_many_names_the_frequent_ones_are_kept(void **arg)
{
	struct summary *s;
	struct summary_source *v;
	struct distinct users;
	uint32_t root = 0;
	bool exact;
	char name[16];

	(void)arg;
	assert_int_equal(summary_new(&s), 0);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof name, "user%d", i);
		add(s, OUTCOME_FAILURE, 1, "192.0.2.1", i % 3 == 0 ? "root" : name, i);
	}
	v = source(s, "192.0.2.1");
	for (int i = 0; i < SUMMARY_USERS; i++) {
		const struct summary_name *u = &v->users[i];

		if (slice_eq(summary_name(u), SLICE_LIT("root"))) {
			root = u->count - u->over;
		} else {
			assert_in_range(u->count - u->over, 0, 1);
		}
	}
	assert_int_equal(root, 200);
	users = summary_users(v);
	assert_in_range(distinct_count(&users, &exact), 200, 700);
	assert_false(exact);
	summary_free(s);
}

static void a_clock_that_was_not_set_at_first_costs_only_its_own_bars(void **arg)
{
	struct summary *s;
	uint64_t placed = 0;

	(void)arg;
	assert_int_equal(summary_new(&s), 0);
	for (int i = 0; i < 10; i++) {
		add(s, OUTCOME_FAILURE, 3, "192.0.2.1", "root", i);
	}
	for (int i = 0; i < 100; i++) {
		add(s, OUTCOME_FAILURE, 1, "192.0.2.1", "root", 1700000000 + i * 600);
	}
	for (int i = 0; i < AXIS_PIECES; i++) {
		placed += s->pieces[i];
		assert_int_equal(s->pieces[i], source(s, "192.0.2.1")->pieces[i]);
	}
	assert_int_equal(s->failed, 130);
	assert_int_equal(placed, 90);
	assert_int_equal(s->unplaced, 40);
	assert_true(axis_first_s(&s->axis) > 1600000000);
	summary_free(s);
}

/* All failures stand in a piece or are told as in none; of each source, too. */
static void sums_are_exact_whatever_comes(void **arg)
{
	(void)arg;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint64_t failed = 0, succeeded = 0, placed = 0, rows = 0;
		struct summary *s;
		uint32_t sources;

		state = seed;
		sources = seed % 2 == 0 ? 200 : 3 * SUMMARY_ROWS;
		assert_int_equal(summary_new(&s), 0);
		for (int i = 0; i < 60000; i++) {
			uint32_t times = 1 + chance(3);
			bool success = chance(20) == 0;
			char ip[20], user[20];
			/* A few times are fifty years off. */
			bool far = chance(500) == 0;
			int64_t time_s = chance(far ? 1000 : 30 * 86400) + (far ? 0 : 1700000000);

			snprintf(ip, sizeof ip, "10.%u.%u.1", chance(sources) / 250, chance(250));
			snprintf(user, sizeof user, "u%u", chance(chance(2) == 0 ? 3 : 50000));
			add(s, success ? OUTCOME_SUCCESS : OUTCOME_FAILURE, times, ip, user,
			    time_s);
			*(success ? &succeeded : &failed) += times;
		}
		for (int i = 0; i < AXIS_PIECES; i++) {
			placed += s->pieces[i];
		}
		for (size_t i = 0; i < s->sources.n; i++) {
			const struct summary_source *v = tally_at(&s->sources, i);
			uint64_t of_row = 0;

			for (int k = 0; k < AXIS_PIECES; k++) {
				of_row += v->pieces[k];
			}
			assert_true(of_row <= v->row.failed);
			rows += v->row.failed;
		}
		if (s->failed != failed || s->succeeded != succeeded ||
		    placed + s->unplaced != failed || s->unplaced == 0 ||
		    (s->sources.given_up == 0 ? rows != failed : rows >= failed)) {
			fail_msg("seed %llu", (unsigned long long)seed);
		}
		summary_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_stand_where_their_times_are_however_these_come),
		cmocka_unit_test(a_stamp_far_from_all_others_does_not_stretch_the_axis),
		cmocka_unit_test(counts_are_too_low_by_a_known_bound_once_the_table_was_full),
		cmocka_unit_test(how_many_there_were_is_exact_for_few_and_close_for_many),
		cmocka_unit_test(a_success_after_failures_is_one_in_whatever_order_lines_are_read),
		cmocka_unit_test(who_asks_on_the_machine_itself_is_the_source),
		cmocka_unit_test(a_line_that_repeats_what_another_counted_counts_nothing),
		cmocka_unit_test(a_time_that_is_not_believed_counts_without_one),
		cmocka_unit_test(of_many_names_the_frequent_ones_are_kept),
		cmocka_unit_test(a_clock_that_was_not_set_at_first_costs_only_its_own_bars),
		cmocka_unit_test(sums_are_exact_whatever_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
