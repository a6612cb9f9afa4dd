/* Unit tests of the real struct sys: its timers and the turns of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/sys_uv.h"

enum { RUNS_MAX = 1000 };

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	uv_async_t async;   /* stands for any descriptor */
	struct sys_timer *timers[2];
	uint64_t again_ms;  /* a timer sets itself, or the other one, so */
	int64_t busy_ns;    /* how long a callback takes */
	size_t runs, other_runs;
	bool heard;
};

static void on_async(uv_async_t *async)
{
	struct fixture *f = async->data;

	f->heard = true;
}

static void spend(struct fixture *f)
{
	int64_t until = sys_mono_ns(&f->sys.sys) + f->busy_ns;

	while (sys_mono_ns(&f->sys.sys) < until) {
		/* Busy, as a callback is. */
	}
}

static void on_first(void *arg)
{
	struct fixture *f = arg;

	spend(f);
	if (++f->runs < RUNS_MAX && !f->heard) {
		sys_timer_set(&f->sys.sys, f->timers[0], f->again_ms);
	}
}

static void on_second(void *arg)
{
	struct fixture *f = arg;

	spend(f);
	if (++f->other_runs < RUNS_MAX && !f->heard) {
		sys_timer_set(&f->sys.sys, f->timers[1], f->again_ms);
	}
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	assert_int_equal(uv_async_init(&f->loop, &f->async, on_async), 0);
	uv_unref((uv_handle_t *)&f->async);
	f->async.data = f;
	assert_int_equal(sys_timer_new(&f->sys.sys, &f->timers[0], on_first, f), 0);
	assert_int_equal(sys_timer_new(&f->sys.sys, &f->timers[1], on_second, f), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sys_timer_free(&f->sys.sys, f->timers[0]);
	sys_timer_free(&f->sys.sys, f->timers[1]);
	uv_close((uv_handle_t *)&f->async, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

static void a_timer_that_sets_itself_to_zero_leaves_descriptors_their_turn(void **state)
{
	struct fixture *f = *state;

	sys_timer_set(&f->sys.sys, f->timers[0], 0);
	assert_int_equal(uv_async_send(&f->async), 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->heard);
	assert_true(f->runs <= 2);
}

static void two_slow_timers_leave_descriptors_their_turn(void **state)
{
	struct fixture *f = *state;

	f->again_ms = 1;
	f->busy_ns = 5000000;
	sys_timer_set(&f->sys.sys, f->timers[0], 1);
	sys_timer_set(&f->sys.sys, f->timers[1], 1);
	assert_int_equal(uv_async_send(&f->async), 0);
	spend(f); /* Both are due before the loop first looks. */
	spend(f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->heard);
	assert_true(f->runs <= 2 && f->other_runs <= 2);
}

static void a_timer_is_never_called_from_inside_the_call_that_sets_it(void **state)
{
	struct fixture *f = *state;

	f->heard = true; /* Once is enough. */
	sys_timer_set(&f->sys.sys, f->timers[0], 0);
	assert_int_equal(f->runs, 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->runs, 1);
}

static void the_last_setting_of_a_timer_counts(void **state)
{
	struct fixture *f = *state;
	int64_t before = sys_mono_ns(&f->sys.sys);

	f->heard = true;
	sys_timer_set(&f->sys.sys, f->timers[0], 0);
	sys_timer_set(&f->sys.sys, f->timers[0], 20);
	sys_timer_set(&f->sys.sys, f->timers[1], 3600000);
	sys_timer_set(&f->sys.sys, f->timers[1], 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->runs, 1);
	assert_int_equal(f->other_runs, 1);
	/* The loop's clock is coarse. */
	assert_true(sys_mono_ns(&f->sys.sys) - before >= 10000000);
}

static void a_stopped_timer_does_not_run(void **state)
{
	struct fixture *f = *state;

	sys_timer_set(&f->sys.sys, f->timers[0], 0);
	sys_timer_stop(&f->sys.sys, f->timers[0]);
	sys_timer_set(&f->sys.sys, f->timers[1], 1);
	sys_timer_stop(&f->sys.sys, f->timers[1]);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->runs + f->other_runs, 0);
}

/* The loop knows what time it was when it last polled. */
static void a_timer_set_after_a_long_callback_runs_no_earlier_than_asked(void **state)
{
	struct fixture *f = *state;
	int64_t set;

	f->heard = true;
	uv_run(&f->loop, UV_RUN_NOWAIT);
	f->busy_ns = 60000000;
	spend(f);
	f->busy_ns = 0;
	set = sys_mono_ns(&f->sys.sys);
	sys_timer_set(&f->sys.sys, f->timers[0], 50);
	while (f->runs == 0) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	assert_true(sys_mono_ns(&f->sys.sys) - set >= 40000000);
}

int main(void)
{
#define ITEM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ITEM(a_timer_that_sets_itself_to_zero_leaves_descriptors_their_turn),
		ITEM(two_slow_timers_leave_descriptors_their_turn),
		ITEM(a_timer_is_never_called_from_inside_the_call_that_sets_it),
		ITEM(the_last_setting_of_a_timer_counts),
		ITEM(a_stopped_timer_does_not_run),
		ITEM(a_timer_set_after_a_long_callback_runs_no_earlier_than_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
