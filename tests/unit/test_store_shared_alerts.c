/* Unit tests of collector/share.h and take.h: the alerts of a device that goes from one
 * collector to another are given out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/shared_store.h"

static void alert(struct talk *t, uint64_t from)
{
	bench_segment_new(t->with, &t->segment, t->link, &t->key, LANE_ALERT, 1);
	bench_announce(t->link, &t->segment, -1,
		       sealer_hash(t->segment.sealer));
	bench_seal(&t->segment, 's', from, from + 10, RECORD_ALERT);
	bench_send_batch(t->link, &t->segment, 0);
}

static void an_alert_that_the_dead_one_kept_to_itself_is_given_out(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	/* Killed between the sync and the hooks. */
	for (int i = 0; i < 20 && a.c != NULL; i++) {
		bench_step(&a, a.now_ms + 20);
		hear_acks(&t);
		if (t.acked == 10) {
			bench_segment_free(&t.segment);
			bench_kill(&a);
		}
	}
	assert_null(a.c);
	assert_int_equal(a.alerts, 0);
	memset(&t, 0, sizeof t);
	assert_true(dial(&t, &b));
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	assert_string_equal(b.last_alert, "line at 0");
	hang_up(&t);
	/* Not again. */
	bench_kill(&b);
	assert_int_equal(bench_start(&b), 0);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	assert_int_equal(bench_start(&a), 0);
	assert_true(dial(&t, &a));
	bench_run(&a, 3000);
	assert_int_equal(a.alerts, 0);
	hang_up(&t);
}

static void a_lives_on(void)
{
	reached = true;
	bench_run(&a, 3000);
}

/* Until the alert is acknowledged, and has not been given out. */
static void store_alert(struct talk *t)
{
	assert_true(dial(t, &a));
	alert(t, 0);
	for (int i = 0; i < 20 && t->acked < 10; i++) {
		bench_step(&a, a.now_ms + 20);
		hear_acks(t);
	}
	assert_int_equal(t->acked, 10);
	assert_int_equal(a.alerts, 0);
}

/* It finds that what it has noted is another's, and its cursor goes on. */
static void an_alert_is_given_out_though_the_loser_lives_on(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at++) {
		struct talk t, u;

		store_alert(&t);
		reached = false;
		stop_at(&b, at, false, a_lives_on);
		assert_true(dial(&u, &b));
		stop.whom = NULL;
		bench_run(&a, 3000);
		bench_run(&b, 3000);
		if (a.alerts + b.alerts == 0) {
			print_error("the call is %d\n", at);
		}
		assert_in_range(a.alerts + b.alerts, 1, 2);
		hang_up(&t);
		hang_up(&u);
		if (was_last(at, 20)) {
			return;
		}
	}
}

/* Whoever finds a device left half-way knows what was given out. */
static void a_taker_that_dies_makes_nothing_come_again(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at++) {
		struct talk t;

		store_alert(&t);
		bench_run(&a, 3000);
		assert_int_equal(a.alerts, 1);
		hang_up(&t);
		reached = false;
		stop_at(&b, at, true, a_lives_on);
		dial(&t, &b);
		stop.whom = NULL;
		forget(&t);
		bench_kill(&b);
		assert_true(dial_patiently(&t, &a));
		assert_int_equal(t.w, 10);
		bench_run(&a, 3000);
		if (a.alerts != 1) {
			print_error("the call is %d\n", at);
		}
		assert_int_equal(a.alerts, 1);
		hang_up(&t);
		if (was_last(at, 20)) {
			return;
		}
	}
}

/* More than are looked for at one time. */
static void all_that_is_owed_is_given_out_once(void **state)
{
	enum { ALERTS = 9000 };
	struct talk t;
	char path[192];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	for (uint64_t i = 1; i < ALERTS; i++) {
		buf_fini(&t.segment.batches[0]);
		t.segment.n = 0;
		bench_seal(&t.segment, 's', i * 10, i * 10 + 10, RECORD_ALERT);
		bench_send_batch(t.link, &t.segment, 0);
		if (i % 64 == 0) {
			bench_run(&a, 20);
		}
	}
	bench_run(&a, 3000);
	hear_acks(&t);
	assert_int_equal(t.acked, ALERTS * 10);
	bench_segment_free(&t.segment);
	bench_kill(&a);
	snprintf(path, sizeof path, "%s/members/a/deliver.cursor",
		 a.options.store_dir);
	assert_int_equal(sys_unlink(sys_plain(), path), 0);
	assert_true(dial(&t, &b));
	bench_run(&b, 60000);
	assert_int_equal(b.alerts, ALERTS);
	hang_up(&t);
}

static void what_can_not_be_read_of_another_is_not_passed_over(void **state)
{
	static const char *const files[] = {"/a/deliver.cursor", "/owed",
					    "/a/watermarks.log"};
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	send_until(&t, 30);
	bench_run(&a, 3000);
	hang_up(&t);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unreadable = files[i];
		assert_false(dial(&t, &b));
		hang_up(&t);
	}
	unreadable = NULL;
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, 30);
	hang_up(&t);
	assert_held_once(30);
}

static int pin_device(void *arg, const char *name, bool is_dir)
{
	struct device d = {0};
	char dir[STORE_PATH];
	int fd;

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	unlisted = 3;
	fd = share_pin(arg, &d, dir);
	assert_true(fd >= 0);
	assert_string_equal(d.owner, "a");
	share_unpin(arg, fd);
	return 1;
}

static void a_device_that_is_just_renamed_is_not_read_as_empty(void **state)
{
	struct store s;
	struct talk t;
	char why[512], devices[160];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	hang_up(&t);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(store_open_read(&s, &b.fs.sys, a.options.store_dir, why),
			 0);
	assert_int_equal(sys_list(sys_plain(), devices, pin_device, &s), 1);
	store_fini(&s, true);
}

static void what_was_given_out_does_not_come_again(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	bench_run(&a, 3000);
	assert_int_equal(a.alerts, 1);
	hang_up(&t);
	assert_true(dial(&t, &b));
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 0);
	alert(&t, 10);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	hang_up(&t);
	bench_stop(&b);
	assert_int_equal(bench_start(&b), 0);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_alert_that_the_dead_one_kept_to_itself_is_given_out),
		T(an_alert_is_given_out_though_the_loser_lives_on),
		T(a_taker_that_dies_makes_nothing_come_again),
		T(all_that_is_owed_is_given_out_once),
		T(what_can_not_be_read_of_another_is_not_passed_over),
		T(a_device_that_is_just_renamed_is_not_read_as_empty),
		T(what_was_given_out_does_not_come_again),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
