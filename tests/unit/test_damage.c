/* What an agent wrote down for its next start, damaged: cut, torn or flipped at every
 * byte.  It starts all the same, says so, sets the file aside, and reads again what it
 * no longer knows.  (The spool's bytes: test_spool.c.  The store's: test_collector.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/checkpoint.h"
#include "common/log.h"
#include "common/sys_uv.h"

enum { LINES = 12, ALERTS = 8, WHOLE_STARTS = 40 };
enum damage { CUT, TORN, FLIPPED, DAMAGES };

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	char dir[64];
	struct agent_config *config;
	unsigned errors; /* logged */
	char ids[ALERTS][ALERT_ID_TEXT];
	size_t n_ids;    /* different alerts so far */
	bool stopped;
	char last[512];  /* logged last */
};

static void count_errors(void *arg, enum log_level level, struct slice line)
{
	struct fixture *f = arg;

	snprintf(f->last, sizeof f->last, "%.*s", SLICE_ARG(line));
	f->errors += level == LOG_LEVEL_ERROR;
}

static void put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	return path;
}

/* ---- an agent without a collector ---- */

static void on_alert(void *arg, const struct alert *a)
{
	struct fixture *f = arg;

	for (size_t i = 0; i < f->n_ids; i++) {
		if (strcmp(f->ids[i], a->id) == 0) {
			return;
		}
	}
	assert_in_range(f->n_ids, 0, ALERTS - 1);
	memcpy(f->ids[f->n_ids++], a->id, ALERT_ID_TEXT);
}

static void on_stopped(void *arg)
{
	((struct fixture *)arg)->stopped = true;
}

static void on_time(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run_for(struct fixture *f, uint64_t ms)
{
	uv_timer_t timer;

	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, on_time, ms, 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Starts, reads at least so many lines, stops: a whole life. */
static void live(struct fixture *f, uint64_t lines)
{
	struct agent_params p = {
		.sys = &f->sys.sys, .config = f->config, .device = "gw",
		.on_alert = on_alert, .arg = f,
	};
	struct agent *a;

	assert_int_equal(agent_new(&a, &p), 0);
	assert_int_equal(agent_start(a), 0);
	run_for(f, 20);
	for (int i = 0; i < 1500 && agent_lines(a) < lines; i++) {
		run_for(f, 20);
	}
	f->stopped = false;
	agent_stop(a, on_stopped, f);
	while (!f->stopped) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	agent_free(a);
}

static void write_log(const struct fixture *f)
{
	char text[LINES * 128];
	size_t at = 0;

	for (unsigned i = 0; i < LINES; i++) {
		at += (size_t)snprintf(text + at, sizeof text - at,
			"2026-11-22T10:00:%02u.000000+00:00 gw sshd[7]: Failed "
			"password for root from 192.0.2.1 port %u ssh2\n",
			i, 4000 + i);
	}
	put(path_of(f, "auth.log"), text, at);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct config_errors errs;
	char yaml[512];
	int n;

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test_damage.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	uv_loop_init(&f->loop);
	sys_uv_init(&f->sys, &f->loop);
	n = snprintf(yaml, sizeof yaml,
		     "state: %s/state\nidentity:\n  certificate: /c\n  key: /k\n"
		     "  authority: /a\nsources:\n  files:\n    - paths: "
		     "[%s/auth.log]\nspool:\n  directory: %s/spool\n",
		     f->dir, f->dir, f->dir);
	assert_int_equal(config_parse_agent("test", slice(yaml, (size_t)n),
					    &f->config, &errs),
			 0);
	assert_int_equal(mkdir(path_of(f, "state"), 0700), 0);
	write_log(f);
	log_set_level(LOG_LEVEL_ERROR);
	log_set_sink(count_errors, f);
	live(f, LINES);
	assert_in_range(f->n_ids, 1, ALERTS);
	assert_int_equal(f->errors, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	log_set_sink(NULL, NULL);
	agent_config_free(f->config);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* ---- damage ---- */

/* What is left of n bytes; false: there is no such damage here. */
static bool hurt(char *p, size_t *n, size_t at, enum damage how)
{
	switch (how) {
	case CUT:
		*n = at;
		return true;
	case TORN: {
		bool changed = false;

		for (size_t i = at; i < *n; i++) {
			changed = changed || p[i] != 0;
			p[i] = 0;
		}
		return changed;
	}
	default:
		p[at] = (char)(p[at] ^ 1 << at % 8);
		return true;
	}
}

/* Every byte: nothing is taken from what is damaged, and it is kept as evidence. */
static void damaged_at(struct fixture *f, const struct device_secret *secret,
		       const char *name, const char *whole, size_t n, size_t at,
		       enum damage how)
{
	char *state = strdup(path_of(f, "state")), aside[160];
	char *p = malloc(n);
	size_t left = n;
	struct buf plain;

	assert_non_null(state);
	assert_non_null(p);
	snprintf(aside, sizeof aside, "%s/%s.damaged", state, name);
	memcpy(p, whole, n);
	if (hurt(p, &left, at, how)) {
		unlink(aside);
		snprintf(aside, sizeof aside, "%s/%s", state, name);
		put(aside, p, left);
		buf_init(&plain, CHECKPOINT_MAX);
		f->errors = 0;
		assert_int_equal(checkpoint_load(sys_plain(), state, name,
						 secret, &plain),
				 0);
		assert_int_equal(plain.n, 0);
		assert_int_equal(f->errors, 1);
		assert_int_equal(access(aside, F_OK), -1);
		snprintf(aside, sizeof aside, "%s/%s.damaged", state, name);
		assert_int_equal(access(aside, F_OK), 0);
		buf_fini(&plain);
	}
	free(p);
	free(state);
}

/* And the whole agent, at some of them. */
static void start_over_damage(struct fixture *f, const char *name,
			      const char *whole, size_t n, size_t at,
			      enum damage how)
{
	char *p = malloc(n), path[64];
	size_t left = n;

	assert_non_null(p);
	memcpy(p, whole, n);
	snprintf(path, sizeof path, "state/%s", name);
	if (hurt(p, &left, at, how)) {
		put(path_of(f, path), p, left);
		f->errors = 0;
		live(f, 0);
		assert_int_equal(f->errors, 1);
		/* It was written anew. */
		f->errors = 0;
		live(f, 0);
		assert_int_equal(f->errors, 0);
	}
	free(p);
}

static void damage_everywhere(struct fixture *f, const char *name)
{
	struct device_secret secret;
	char *whole, path[64];
	size_t n, known = f->n_ids, step;

	snprintf(path, sizeof path, "state/%s", name);
	assert_int_equal(sys_read_file(sys_plain(), path_of(f, path), 1 << 24,
				       &whole, &n),
			 0);
	assert_in_range(n, 64, 1 << 20);
	assert_int_equal(device_secret_load(&secret, sys_plain(),
					    path_of(f, "state")),
			 0);
	for (size_t at = 0; at < n; at++) {
		for (int how = CUT; how < DAMAGES; how++) {
			damaged_at(f, &secret, name, whole, n, at,
				   (enum damage)how);
		}
	}
	step = n / WHOLE_STARTS + 1;
	for (size_t at = 0; at < n; at += step) {
		start_over_damage(f, name, whole, n, at,
				  (enum damage)(at / step % DAMAGES));
	}
	/* What is judged again is told under the ids that it had. */
	assert_int_equal(f->n_ids, known);
	print_message("%s: %zu bytes, each cut, torn and flipped\n", name, n);
	free(whole);
}

static void a_damaged_table_of_streams_is_set_aside(void **state)
{
	damage_everywhere(*state, "streams");
}

static void a_damaged_state_of_detectors_is_set_aside(void **state)
{
	damage_everywhere(*state, "detect");
}

/* ---- a folder that can't be written, and a status that is asked early ---- */

static int64_t no_space(struct sys *s, int fd, const void *buf, size_t n, uint64_t offset)
{
	(void)s;
	(void)fd;
	(void)buf;
	(void)n;
	(void)offset;
	return UV_ENOSPC;
}

static void a_full_disk_is_told_as_one_and_not_as_a_wrong_owner(void **state)
{
	struct fixture *f = *state;
	struct sys_ops ops = *f->sys.sys.ops;
	struct sys_uv full = {{&ops}, &f->loop};
	struct agent_params p = {
		.sys = &full.sys, .config = f->config, .device = "gw",
		.on_alert = on_alert, .arg = f,
	};
	struct agent *a;

	ops.pwrite = no_space;
	assert_int_equal(unlink(path_of(f, "state/secret")), 0);
	assert_int_equal(agent_new(&a, &p), UV_ENOSPC);
	assert_int_equal(f->errors, 1);
	assert_non_null(strstr(f->last, "advice=\"its disk is full"));
	assert_null(strstr(f->last, "belong"));
	assert_null(strstr(f->last, "mode 0700"));
}

static const char *status_of(const struct agent *a)
{
	static char text[8192];
	struct buf reply;
	struct json j;

	buf_init(&reply, sizeof text - 1);
	j = json_begin(&reply);
	json_object(&j, NULL);
	agent_status(a, &j);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	snprintf(text, sizeof text, "%.*s", SLICE_ARG(buf_slice(&reply)));
	buf_fini(&reply);
	return text;
}

static void before_reading_has_begun_no_lag_is_known(void **state)
{
	struct fixture *f = *state;
	struct agent_params p = {
		.sys = &f->sys.sys, .config = f->config, .device = "gw",
		.on_alert = on_alert, .arg = f,
	};
	struct agent *a;

	assert_int_equal(agent_new(&a, &p), 0);
	assert_non_null(strstr(status_of(a), "\"reading\":false,\"lag_bytes\":null"));
	assert_int_equal(agent_start(a), 0);
	assert_non_null(strstr(status_of(a), "\"reading\":true,\"lag_bytes\":0"));
	f->stopped = false;
	agent_stop(a, on_stopped, f);
	while (!f->stopped) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	agent_free(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_damaged_table_of_streams_is_set_aside, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_damaged_state_of_detectors_is_set_aside, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_full_disk_is_told_as_one_and_not_as_a_wrong_owner, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			before_reading_has_begun_no_lag_is_known, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
