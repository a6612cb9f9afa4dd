/* Unit tests of shipper/collectors.h: who is dialled in which order, and how a fleet
 * that has lost its collector spreads itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sys_uv.h"
#include "shipper/collectors.h"
#include "shipper/options.h"
#include "tests/support/fault_sys.h"

/* A generator with a seed, so that a run can be had again. */
struct seeded_sys {
	struct sys sys; /* first */
	struct sys_ops ops;
	uint64_t state;
};

static int seeded_random(struct sys *s, void *out, size_t n)
{
	struct seeded_sys *r = (struct seeded_sys *)s;
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		/* splitmix64 */
		uint64_t z = r->state += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		p[i] = (uint8_t)(z >> 32);
	}
	return 0;
}

static void seeded_init(struct seeded_sys *r, uint64_t seed)
{
	*r = (struct seeded_sys){.state = seed};
	r->ops = *sys_plain()->ops;
	r->ops.random = seeded_random;
	r->sys.ops = &r->ops;
}

static struct shipper_options options_for(const char *const *names,
					  const unsigned *ranks, size_t n)
{
	struct shipper_options o = {
		.reconnect_min_ms = 1000,
		.reconnect_max_ms = 120000,
		.reconnect_spread_ms = 60000,
	};

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(hostlist_add(&o.collectors,
					      slice_str(names[i]), 7514,
					      ranks[i]),
				 0);
	}
	return o;
}

static const char *now(const struct collectors *c)
{
	return collectors_now(c)->name;
}

static void an_ordered_list_is_tried_in_its_order(void **state)
{
	const char *const names[] = {"a", "b", "c"};
	const unsigned ranks[] = {0, 1, 2};
	struct shipper_options o = options_for(names, ranks, 3);
	struct seeded_sys sys;
	struct collectors c;

	(void)state;
	seeded_init(&sys, 1);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			assert_string_equal(now(&c), names[i]);
			assert_int_equal(collectors_at_best(&c), i == 0);
			assert_int_equal(c.rounds, round);
			collectors_failed(&c);
		}
	}
	collectors_fini(&c);
	hostlist_fini(&o.collectors);
}

static void a_lost_collector_is_tried_once_more_then_all_from_the_first(void **state)
{
	const char *const names[] = {"a", "b", "c"};
	const unsigned ranks[] = {0, 1, 2};
	const char *const from_b[] = {"b", "a", "b", "c", "a"};
	const char *const from_a[] = {"a", "b", "c", "a"};
	struct shipper_options o = options_for(names, ranks, 3);
	struct seeded_sys sys;
	struct collectors c;

	(void)state;
	seeded_init(&sys, 1);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	collectors_failed(&c);
	collectors_lost(&c);
	for (int i = 0; i < 5; i++) {
		assert_string_equal(now(&c), from_b[i]);
		collectors_failed(&c);
	}
	collectors_return(&c);
	collectors_lost(&c);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(now(&c), from_a[i]);
		collectors_failed(&c);
	}
	collectors_fini(&c);
	hostlist_fini(&o.collectors);
}

static void another_list_goes_on_with_whom_both_name(void **state)
{
	const char *const names[] = {"a", "b", "c"}, *const others[] = {"x", "c", "b", "y"};
	const char *const strangers[] = {"p", "q"};
	const unsigned ranks[] = {0, 1, 2, 3};
	struct shipper_options o = options_for(names, ranks, 3),
			       next = options_for(others, ranks, 4),
			       last = options_for(strangers, ranks, 2);
	struct hostlist before = o.collectors;
	struct seeded_sys sys;
	struct collectors c;

	(void)state;
	seeded_init(&sys, 1);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	collectors_failed(&c);
	assert_string_equal(now(&c), "b");
	o.collectors = next.collectors;
	assert_true(collectors_reload(&c, &before));
	assert_string_equal(now(&c), "b");
	assert_false(collectors_at_best(&c));
	collectors_failed(&c);
	assert_string_equal(now(&c), "y");
	o.collectors = last.collectors;
	assert_false(collectors_reload(&c, &next.collectors));
	assert_string_equal(now(&c), "p");
	assert_true(collectors_at_best(&c));
	collectors_failed(&c);
	assert_string_equal(now(&c), "q");
	collectors_fini(&c);
	hostlist_fini(&before);
	hostlist_fini(&next.collectors);
	hostlist_fini(&last.collectors);
}

static void one_alone_is_tried_again_and_again(void **state)
{
	const char *const names[] = {"a"};
	const unsigned ranks[] = {0};
	struct shipper_options o = options_for(names, ranks, 1);
	struct seeded_sys sys;
	struct collectors c;

	(void)state;
	seeded_init(&sys, 1);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_string_equal(now(&c), "a");
		assert_true(collectors_at_best(&c));
		collectors_failed(&c);
		assert_int_equal(c.rounds, i + 1);
	}
	collectors_lost(&c);
	assert_int_equal(c.rounds, 0);
	collectors_failed(&c);
	assert_string_equal(now(&c), "a");
	collectors_fini(&c);
	hostlist_fini(&o.collectors);
}

/* Equals share a fleet, and never come behind one that is not preferred. */
static void a_group_is_drawn_anew_by_each_device(void **state)
{
	const char *const names[] = {"a", "b", "c", "standby"};
	const unsigned ranks[] = {0, 0, 0, 1};
	struct shipper_options o = options_for(names, ranks, 4);
	unsigned first[3] = {0};
	enum { DEVICES = 3000 };

	(void)state;
	for (unsigned d = 0; d < DEVICES; d++) {
		struct seeded_sys sys;
		struct collectors c;
		unsigned seen = 0;

		seeded_init(&sys, d);
		assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
		first[now(&c)[0] - 'a']++;
		for (int i = 0; i < 3; i++) {
			assert_true(collectors_at_best(&c));
			seen |= 1u << (now(&c)[0] - 'a');
			collectors_failed(&c);
		}
		assert_int_equal(seen, 7);
		assert_string_equal(now(&c), "standby");
		assert_false(collectors_at_best(&c));
		collectors_fini(&c);
	}
	for (int i = 0; i < 3; i++) {
		assert_in_range(first[i], DEVICES / 3 - 150, DEVICES / 3 + 150);
	}
	hostlist_fini(&o.collectors);
}

static void pauses_double_and_stay_within_their_bounds(void **state)
{
	const char *const names[] = {"a"};
	const unsigned ranks[] = {0};
	struct shipper_options o = options_for(names, ranks, 1);
	struct seeded_sys sys;
	struct collectors c;

	(void)state;
	seeded_init(&sys, 7);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	for (unsigned round = 1; round <= 20; round++) {
		uint64_t base = round < 7 ? 1000ull << round : 120000;

		collectors_failed(&c);
		for (int i = 0; i < 200; i++) {
			uint64_t ms = collectors_pause_ms(&c, PAUSE_FAILED, 0);

			assert_in_range(ms, base / 2, base);
			assert_in_range(collectors_pause_ms(&c, PAUSE_LONG, 0),
					60000, 120000);
			assert_in_range(collectors_pause_ms(&c, PAUSE_SHORT, 0),
					500, 1000);
			assert_in_range(collectors_pause_ms(&c, PAUSE_LOST, 0),
					0, 60000);
			/* What the collector asks for is the least. */
			assert_true(collectors_pause_ms(&c, PAUSE_LOST, 90000) >=
				    45000);
		}
	}
	collectors_fini(&c);
	hostlist_fini(&o.collectors);
}

static int by_time(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x == y ? 0 : x < y ? -1 : 1;
}

/* The busiest second of all. */
static unsigned peak(uint64_t *at_ms, size_t n)
{
	unsigned most = 0;

	qsort(at_ms, n, sizeof *at_ms, by_time);
	for (size_t i = 0, from = 0; i < n; i++) {
		while (at_ms[i] - at_ms[from] >= 1000) {
			from++;
		}
		if (i - from + 1 > most) {
			most = (unsigned)(i - from + 1);
		}
	}
	return most;
}

enum { FLEET = 10000 };

/* Ten thousand sessions end in the same moment: the collector was started again. */
static void a_fleet_does_not_come_back_at_once(void **state)
{
	const char *const names[] = {"a"};
	const unsigned ranks[] = {0};
	struct shipper_options o = options_for(names, ranks, 1);
	uint64_t *at_ms = calloc(FLEET, sizeof *at_ms);
	unsigned tenths[10] = {0};

	(void)state;
	assert_non_null(at_ms);
	for (unsigned d = 0; d < FLEET; d++) {
		struct seeded_sys sys;
		struct collectors c;

		seeded_init(&sys, d);
		assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
		collectors_lost(&c);
		at_ms[d] = collectors_pause_ms(&c, PAUSE_LOST, 0);
		tenths[at_ms[d] * 10 / 60001]++;
		collectors_fini(&c);
	}
	/* Even: each tenth of the minute has a tenth of them. */
	for (int i = 0; i < 10; i++) {
		assert_in_range(tenths[i], FLEET / 10 - 120, FLEET / 10 + 120);
	}
	/* 167 a second on average; a handshake takes 2 ms. */
	assert_true(peak(at_ms, FLEET) < 260);
	free(at_ms);
	hostlist_fini(&o.collectors);
}

/* The collector takes so many a second (limits.handshakes and 2 ms each), the others
 * find it busy and come again: how long until all are back, and how busy is it? */
static void a_storm_passes(void **state)
{
	enum { CAPACITY = 400, SECONDS = 600 };
	const char *const names[] = {"a"};
	const unsigned ranks[] = {0};
	struct shipper_options o = options_for(names, ranks, 1);
	struct collectors *c = calloc(FLEET, sizeof *c);
	struct seeded_sys *sys = calloc(FLEET, sizeof *sys);
	uint64_t *at_ms = calloc(FLEET, sizeof *at_ms);
	unsigned left = FLEET, most = 0, second = 0;

	(void)state;
	assert_non_null(c);
	assert_non_null(sys);
	assert_non_null(at_ms);
	for (unsigned d = 0; d < FLEET; d++) {
		seeded_init(&sys[d], d);
		assert_int_equal(collectors_init(&c[d], &sys[d].sys, &o), 0);
		/* Down for half a minute: all of them try in vain at first. */
		collectors_lost(&c[d]);
		at_ms[d] = collectors_pause_ms(&c[d], PAUSE_LOST, 0);
	}
	for (; second < SECONDS && left > 0; second++) {
		unsigned taken = 0, tried = 0;

		for (unsigned d = 0; d < FLEET; d++) {
			while (at_ms[d] / 1000 == second) {
				tried++;
				if (second >= 30 && taken < CAPACITY) {
					taken++;
					left--;
					at_ms[d] = UINT64_MAX;
					break;
				}
				collectors_failed(&c[d]);
				at_ms[d] += collectors_pause_ms(&c[d],
								PAUSE_FAILED, 0);
			}
		}
		most = tried > most ? tried : most;
	}
	assert_int_equal(left, 0);
	assert_true(second < 180); /* No longer than the longest pause and a half. */
	assert_true(most < 4 * CAPACITY);
	for (unsigned d = 0; d < FLEET; d++) {
		collectors_fini(&c[d]);
	}
	free(c);
	free(sys);
	free(at_ms);
	hostlist_fini(&o.collectors);
}

static void without_randomness_it_still_works(void **state)
{
	const char *const names[] = {"a", "b"};
	const unsigned ranks[] = {0, 0};
	struct shipper_options o = options_for(names, ranks, 2);
	struct fault_sys sys;
	struct collectors c;

	(void)state;
	fault_sys_init(&sys, 0, UV_EIO);
	assert_int_equal(collectors_init(&c, &sys.sys, &o), 0);
	assert_true(sys.fired);
	assert_true(collectors_pause_ms(&c, PAUSE_FAILED, 0) <= 1000);
	collectors_fini(&c);
	hostlist_fini(&o.collectors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ordered_list_is_tried_in_its_order),
		cmocka_unit_test(another_list_goes_on_with_whom_both_name),
		cmocka_unit_test(
			a_lost_collector_is_tried_once_more_then_all_from_the_first),
		cmocka_unit_test(one_alone_is_tried_again_and_again),
		cmocka_unit_test(a_group_is_drawn_anew_by_each_device),
		cmocka_unit_test(pauses_double_and_stay_within_their_bounds),
		cmocka_unit_test(a_fleet_does_not_come_back_at_once),
		cmocka_unit_test(a_storm_passes),
		cmocka_unit_test(without_randomness_it_still_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
