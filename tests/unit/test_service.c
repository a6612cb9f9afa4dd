/* Unit tests of common/service.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/service.h"

struct fixture {
	uv_loop_t loop;
	struct service service;
	unsigned stops, reloads, renewals;
};

static void on_stop(void *arg)
{
	((struct fixture *)arg)->stops++;
}

static void on_reload(void *arg)
{
	((struct fixture *)arg)->reloads++;
}

static void on_renew(void *arg)
{
	((struct fixture *)arg)->renewals++;
}

static const struct service_cbs cbs = {on_stop, on_reload, on_renew};

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void end(struct fixture *f)
{
	service_close(&f->service);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	log_set_sink(NULL, NULL);
}

static void begin(struct fixture *f, uint64_t renew_ms)
{
	memset(f, 0, sizeof *f);
	log_set_sink(quiet, NULL);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	service_begin(&f->service);
	service_start(&f->service, &f->loop, renew_ms, &cbs, f);
}

static void it_stops_once_however_often_it_is_told(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 3600000);
	raise(SIGTERM);
	while (f.stops == 0) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	assert_true(f.service.stopping);
	raise(SIGINT);
	raise(SIGTERM);
	raise(SIGHUP);
	while (f.reloads == 0) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	uv_run(&f.loop, UV_RUN_NOWAIT);
	assert_int_equal(f.stops, 1);
	assert_int_equal(f.reloads, 1);
	end(&f);
}

static void it_looks_at_its_certificate_again_and_again(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	while (f.renewals < 3) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	assert_int_equal(f.stops + f.reloads, 0);
	end(&f);
}

static void it_says_what_process_it_is(void **state)
{
	struct service s = {0};
	struct buf reply;
	struct json j;

	(void)state;
	buf_init(&reply, 4096);
	service_begin(&s);
	j = json_begin(&reply);
	json_object(&j, NULL);
	service_status(&s, "nightjar-agent", &j);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_true(slice_find(buf_slice(&reply), SLICE_LIT("{\"program\":\"nightjar-agent\",")) ==
		    0);
	assert_true(slice_find(buf_slice(&reply), SLICE_LIT("\"uptime_s\":0")) != SIZE_MAX);
	buf_fini(&reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_stops_once_however_often_it_is_told),
		cmocka_unit_test(it_looks_at_its_certificate_again_and_again),
		cmocka_unit_test(it_says_what_process_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
