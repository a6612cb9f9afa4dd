/* Unit tests of collector/take.h: a collector takes a device over from another, which is stopped or
 * killed at any of its calls while the other goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/shared_store.h"

/* ---- one that lasts ---- */

static unsigned waits(struct talk *t)
{
	struct said *m;
	unsigned n = 0;

	while ((m = bench_hear(t->link, MSG_WAIT)) != NULL) {
		assert_int_equal(m->n, 0);
		free(m);
		n++;
	}
	return n;
}

/* Whose the folder of the only device is. */
static int on_owner(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct device d = {0};

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	assert_int_equal(share_find_owner(s, &d, s->member), 0);
	return 1;
}

static void assert_owner(const char *owner)
{
	struct store s = {.sys = sys_plain()};
	char devices[160];

	snprintf(s.dir, sizeof s.dir, "%s", a.options.store_dir);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, on_owner, &s), 1);
	assert_string_equal(s.member, owner);
}

/* Both clocks, as long as a lasting job of b's takes. */
static void let_pass(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 1000) {
		bench_run(&b, 1000);
		bench_run(&a, 1000);
	}
}

static void begin_with_a(void)
{

	start_both();
	visit(&a, 0, 30);
	let_pass(3000); /* No job of b's is under way. */
}

static void who_waits_for_a_take_over_is_told_so_until_it_ends(void **state)
{
	struct talk t;

	(void)state;
	begin_with_a();
	jobs = 0;
	assert_false(dial(&t, &b));
	for (int i = 0; i < 3; i++) {
		let_pass(10000);
		assert_int_equal(waits(&t), 2);
		do_jobs(i < 2 ? 1 : SIZE_MAX);
	}
	bench_run(&b, 100);
	assert_true(hear_welcome(&t));
	assert_int_equal(t.w, 30);
	send_until(&t, 50);
	assert_int_equal(t.acked, 50);
	let_pass(10000);
	assert_int_equal(waits(&t), 0);
	hang_up(&t);
	assert_held_once(50);
}

static void what_another_is_taking_is_left_to_it_until_it_is_done(void **state)
{
	struct talk t, u;

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	hang_up(&t);
	assert_owner("b.taking");
	assert_false(dial(&u, &a));
	let_pass(30000);
	assert_owner("b.taking");
	assert_in_range(waits(&u), 5, 6);
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	assert_owner("b");
	/* And then it is who asks's. */
	bench_run(&a, 2000);
	assert_owner("a");
	assert_true(hear_welcome(&u));
	assert_int_equal(u.w, 30);
	hang_up(&u);
	assert_held_once(30);
}

static void a_run_that_is_stuck_is_not_waited_for(void **state)
{
	struct talk t, u;
	char text[256];

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	assert_false(dial(&u, &a));
	let_pass(60000);
	assert_owner("b.taking");
	let_pass(20000);
	assert_in_range(waits(&t), 11, 13);
	/* Nor does who asked stay there. */
	assert_int_equal(error_of(&t, text), MSG_ERROR_BUSY);
	assert_true(t.link->gone);
	assert_true(hear_welcome(&u));
	assert_owner("a");
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	hang_up(&t);
	hang_up(&u);
	assert_held_once(30);
}

static void who_reads_slowly_is_not_stuck(void **state)
{
	struct talk t;
	char text[256];
	uint64_t began_ms;

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	do_jobs(1);
	slow_ms = 25000;
	began_ms = b.now_ms;
	bench_step(&b, b.now_ms); /* The logs are read. */
	slow_ms = 0;
	assert_in_range(b.now_ms - began_ms, 75000, 200000);
	assert_int_equal(waits(&t), (b.now_ms - began_ms) / 5000);
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	assert_int_equal(error_of(&t, text), 0);
	assert_true(hear_welcome(&t));
	hang_up(&t);
	assert_held_once(30);
}

static void each_device_is_welcomed_as_soon_as_it_is_ready(void **state)
{
	static const char *const names[] = {"gw", "gw2", "gw3"};
	struct talk t[3];

	(void)state;
	start_both();
	for (int i = 0; i < 3; i++) {
		assert_true(dial_as(&t[i], &a, names[i], 100));
		hang_up(&t[i]);
	}
	let_pass(3000);
	jobs = 1; /* Which fences the first alone; the others make the next run. */
	for (int i = 0; i < 3; i++) {
		assert_false(dial_as(&t[i], &b, names[i], 100));
	}
	do_jobs(2);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[0]));
	do_jobs(3);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[1]));
	assert_false(hear_welcome(&t[2]));
	do_jobs(SIZE_MAX);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[2]));
	for (int i = 0; i < 3; i++) {
		hang_up(&t[i]);
	}
}

static void a_device_that_went_away_before_its_turn_stays_where_it_is(void **state)
{
	struct talk t, u;

	(void)state;
	begin_with_a();
	assert_true(dial_as(&u, &a, "gw2", 100));
	hang_up(&u);
	let_pass(3000);
	jobs = 0;
	assert_false(dial_as(&u, &b, "gw2", 100)); /* Is being taken. */
	assert_false(dial(&t, &b));                /* Waits behind it. */
	hang_up(&t);
	bench_run(&b, 100);
	do_jobs(SIZE_MAX);
	bench_run(&b, 5000);
	assert_true(hear_welcome(&u));
	hang_up(&u);
	/* Still a's: it is welcomed there at once, and nobody was asked to. */
	unreadable = "/devices";
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 30);
	hang_up(&t);
}

/* ---- at its calls in turn ---- */

static struct talk there; /* with the one that goes on */

static void b_takes_over(void)
{
	reached = true;
	if (dial(&there, &b)) {
		send_until(&there, 60);
	}
}

/* Whatever has happened, the device gets all of it stored once, with either. */
static void finish(struct talk *t, uint64_t acked)
{
	stop.whom = NULL;
	hang_up(t);
	bench_run(&a, 3000);
	bench_run(&b, 3000);
	for (int i = 0; i < 2; i++) {
		assert_true(dial(t, i == 0 ? &a : &b));
		assert_true(t->w >= acked);
		if (t->w < 80) {
			send_until(t, 80);
		}
		assert_int_equal(t->acked, 80);
		acked = 80;
		hang_up(t);
	}
	assert_held_once(80);
}

static void stopped_at_any_call_it_doubles_nothing(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at += STOP_STEP) {
		struct talk t = {0};
		uint64_t acked;

		reached = false;
		there = (struct talk){0};
		stop_at(&a, at, false, b_takes_over);
		if (dial(&t, &a)) {
			send_until(&t, 40);
		}
		stop.whom = NULL;
		bench_run(&b, 100);
		acked = t.acked > there.acked ? t.acked : there.acked;
		hang_up(&there);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void killed_at_any_call_it_loses_nothing(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at += KILL_STEP) {
		struct talk t = {0};
		uint64_t acked;

		reached = false;
		there = (struct talk){0};
		stop_at(&a, at, true, b_takes_over);
		if (dial(&t, &a)) {
			send_until(&t, 40);
		}
		stop.whom = NULL;
		acked = t.acked > there.acked ? t.acked : there.acked;
		bench_kill(&a);
		assert_int_equal(bench_start(&a), 0);
		hang_up(&there);
		forget(&t);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void a_goes_on(void)
{
	reached = true;
	if (dial_patiently(&there, &a)) {
		send_until(&there, 60);
	}
}

/* The one that takes over is stopped, or dies, half-way. */
static void taking_over(bool dies)
{
	for (int at = 0;; at += dies ? KILL_STEP : STOP_STEP) {
		struct talk t = {0}, first = {0};
		uint64_t acked;

		assert_true(dial(&first, &a));
		send_until(&first, 30);
		/* In flight at the one, while the other is asked. */
		bench_seal(&first.segment, 's', 30, 40, 0);
		bench_send_batch(first.link, &first.segment, 3);
		reached = false;
		there = (struct talk){0};
		stop_at(&b, at, dies, a_goes_on);
		if (dial(&t, &b)) {
			send_until(&t, 70);
		}
		stop.whom = NULL;
		hear_acks(&first);
		acked = t.acked > there.acked ? t.acked : there.acked;
		acked = first.acked > acked ? first.acked : acked;
		if (dies) {
			bench_kill(&b);
			assert_int_equal(bench_start(&b), 0);
			forget(&t);
		}
		hang_up(&first);
		hang_up(&there);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void taking_over_can_be_stopped_at_any_call(void **state)
{
	(void)state;
	start_both();
	taking_over(false);
}

static void taking_over_can_be_killed_at_any_call(void **state)
{
	(void)state;
	start_both();
	taking_over(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_waits_for_a_take_over_is_told_so_until_it_ends),
		T(what_another_is_taking_is_left_to_it_until_it_is_done),
		T(a_run_that_is_stuck_is_not_waited_for),
		T(who_reads_slowly_is_not_stuck),
		T(each_device_is_welcomed_as_soon_as_it_is_ready),
		T(a_device_that_went_away_before_its_turn_stays_where_it_is),
		T(stopped_at_any_call_it_doubles_nothing),
		T(killed_at_any_call_it_loses_nothing),
		T(taking_over_can_be_stopped_at_any_call),
		T(taking_over_can_be_killed_at_any_call),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
