/* Unit tests of shipper/pace.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/timefmt.h"
#include "shipper/options.h"
#include "shipper/pace.h"

/* 2026-11-22T00:00:00Z; the tests run in UTC but where they say so. */
static const int64_t midnight_ns = INT64_C(1795305600) * NS_PER_S;

static int in_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void without_limits_everything_goes(void **state)
{
	struct shipper_options o = {0};
	struct pace p = {.options = &o};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(pace_ask(&p, 1000000, 5, midnight_ns), PACE_GO);
		pace_sent(&p, 1000000, 5, midnight_ns);
	}
	assert_string_equal(pace_wait_name(p.wait), "");
}

/* Whatever the sizes and the times at which somebody asks: over any long time no more
 * than the rate, and not much less. */
static void bandwidth_is_kept_over_time(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 50; seed++) {
		struct shipper_options o = {.bandwidth = 5000 * seed};
		struct pace p = {.options = &o};
		uint64_t sent = 0, largest = 0;
		int64_t now = 0;

		srand(seed);
		while (now < 600 * NS_PER_S) {
			uint64_t n = (uint64_t)(rand() % 40000) + 1;

			while (pace_ask(&p, n, now, midnight_ns + now) ==
			       PACE_GO) {
				pace_sent(&p, n, now, midnight_ns + now);
				sent += n;
				largest = n > largest ? n : largest;
			}
			assert_int_equal(p.wait, PACE_BANDWIDTH);
			now += rand() % 500 * NS_PER_MS;
		}
		if (sent > 602 * o.bandwidth + largest ||
		    sent < 500 * o.bandwidth) {
			fail_msg("seed %u: %llu bytes in 600 s at %llu a second",
				 seed, (unsigned long long)sent,
				 (unsigned long long)o.bandwidth);
		}
	}
}

static void a_pause_saves_up_one_second_and_no_more(void **state)
{
	struct shipper_options o = {.bandwidth = 1000};
	struct pace p = {.options = &o};
	int64_t hour = 1800 * NS_PER_S;
	unsigned n = 0;

	(void)state;
	pace_sent(&p, 5000, 0, midnight_ns);
	while (pace_ask(&p, 36, hour, midnight_ns + hour) == PACE_GO) {
		pace_sent(&p, 36, hour, midnight_ns + hour);
		n++;
	}
	assert_int_equal(n, 10); /* 1000 / (36 + 64), rounded up by 1. */
}

static void night_has_a_rate_of_its_own(void **state)
{
	struct shipper_options o = {.bandwidth = 1000,
				    .bandwidth_night = 9000,
				    .night = {22 * 60, 6 * 60}};
	struct pace p = {.options = &o};

	(void)state;
	for (int minute = 0; minute < 24 * 60; minute++) {
		int64_t at = midnight_ns + minute * 60 * NS_PER_S;
		bool night = minute >= 22 * 60 || minute < 6 * 60;

		assert_int_equal(pace_rate(&p, at), night ? 9000 : 1000);
	}
	o.night = (struct day_span){60, 120};
	assert_int_equal(pace_rate(&p, midnight_ns), 1000);
	assert_int_equal(pace_rate(&p, midnight_ns + 3600 * NS_PER_S), 9000);
	assert_int_equal(pace_rate(&p, midnight_ns + 7200 * NS_PER_S), 1000);
	/* No limit at night. */
	o.bandwidth_night = 0;
	assert_int_equal(pace_rate(&p, midnight_ns + 3600 * NS_PER_S), 0);
}

static void a_budget_is_never_exceeded_and_new_every_day(void **state)
{
	struct shipper_options o = {.budget_day = 100000};
	struct pace p = {.options = &o};
	uint64_t days[3] = {0};

	(void)state;
	for (int day = 0; day < 3; day++) {
		for (int minute = 0; minute < 24 * 60; minute++) {
			int64_t at = midnight_ns +
				     (day * 1440 + minute) * 60 * NS_PER_S;

			if (pace_ask(&p, 700, at, at) == PACE_GO) {
				uint64_t before = p.spent;

				pace_sent(&p, 700, at, at);
				days[day] += 700;
				assert_true(minute == 0 || p.spent > before);
			} else {
				assert_int_equal(p.wait, PACE_BUDGET);
			}
		}
		assert_in_range(days[day], 85000, 100000);
		assert_true(p.spent <= 100000 + 200); /* The last one's headers. */
	}
}

/* Nobody asks for alerts; they are counted. */
static void alerts_use_up_what_others_wait_for(void **state)
{
	struct shipper_options o = {.budget_day = 10000, .bandwidth = 100};
	struct pace p = {.options = &o};

	(void)state;
	pace_sent(&p, 20000, 0, midnight_ns);
	assert_int_equal(pace_ask(&p, 1, 0, midnight_ns), PACE_BUDGET);
	o.budget_day = 0;
	assert_int_equal(pace_ask(&p, 1, 0, midnight_ns), PACE_BANDWIDTH);
	assert_int_equal(pace_ask(&p, 1, 300 * NS_PER_S,
				  midnight_ns + 300 * NS_PER_S),
			 PACE_GO);
}

/* A clock that was a year ahead must not have spent tomorrow's budget. */
static void a_clock_that_is_set_back_begins_a_day(void **state)
{
	struct shipper_options o = {.budget_day = 10000};
	struct pace p = {.options = &o};

	(void)state;
	pace_connected(&p, 0, midnight_ns + 365 * 86400 * NS_PER_S);
	pace_sent(&p, 9000, 0, midnight_ns + 365 * 86400 * NS_PER_S);
	assert_int_equal(pace_ask(&p, 5000, 0, midnight_ns), PACE_GO);
	assert_int_equal(pace_today(&p, midnight_ns), 0);
}

static void a_day_ends_at_local_midnight(void **state)
{
	struct shipper_options o = {.budget_day = 1000};
	struct pace p = {.options = &o};
	int64_t eleven_pm_utc = midnight_ns + 23 * 3600 * NS_PER_S;

	(void)state;
	setenv("TZ", "EAST-02", 1); /* Two hours east. */
	tzset();
	pace_sent(&p, 900, 0, eleven_pm_utc - 2 * 3600 * NS_PER_S);
	assert_int_equal(pace_ask(&p, 900, 0, eleven_pm_utc - 7201 * NS_PER_S),
			 PACE_BUDGET);
	assert_int_equal(pace_ask(&p, 900, 0, eleven_pm_utc), PACE_GO);
	in_utc(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_limits_everything_goes),
		cmocka_unit_test(bandwidth_is_kept_over_time),
		cmocka_unit_test(a_pause_saves_up_one_second_and_no_more),
		cmocka_unit_test(night_has_a_rate_of_its_own),
		cmocka_unit_test(a_budget_is_never_exceeded_and_new_every_day),
		cmocka_unit_test(alerts_use_up_what_others_wait_for),
		cmocka_unit_test(a_clock_that_is_set_back_begins_a_day),
		cmocka_unit_test(a_day_ends_at_local_midnight),
	};

	return cmocka_run_group_tests(tests, in_utc, NULL);
}
