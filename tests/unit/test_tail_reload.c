/* The tail on a virtual machine: auditd's rotation, and globs that change while it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/tail_sink.h"

#define LOG "/var/log/audit/audit.log"

enum { NUM_LOGS = 5, LINES = 4000 };

struct bench {
	struct world w;
	struct sink k;
	struct sources_options options;
	struct sources_file files[2];
	char *patterns[2][2];
	unsigned written;
};

static void bench_init(struct bench *b, uint64_t seed, const char *pattern)
{
	static char empty[] = "", zone[] = "UTC";

	memset(b, 0, sizeof *b);
	world_init(&b->w, seed);
	for (size_t i = 0; i < 2; i++) {
		b->files[i] = (struct sources_file){.zone = zone, .label = empty,
						    .program = empty,
						    .paths = {b->patterns[i], 1}};
	}
	b->patterns[0][0] = strdup(pattern);
	b->options = (struct sources_options){.files = b->files, .n_files = 1,
					      .line_max = 4096, .poll_interval_ms = 1000,
					      .last_line_timeout_ms = 5000};
	sink_init(&b->k, &b->w, &b->options);
}

static void set_pattern(struct bench *b, size_t i, const char *pattern)
{
	free(b->patterns[i][0]);
	b->patterns[i][0] = strdup(pattern);
}

static void bench_fini(struct bench *b)
{
	sink_fini(&b->k);
	world_fini(&b->w);
	free(b->patterns[0][0]);
	free(b->patterns[1][0]);
}

static void settle(struct bench *b, int ms)
{
	for (int i = 0; i < ms; i += 100) {
		world_run(&b->w, 100);
		sink_ack_all(&b->k);
	}
}

static void put(struct bench *b, const char *path)
{
	char line[200];

	snprintf(line, sizeof line,
		 "type=USER_LOGIN msg=audit(1795361866.%03u:%u): pid=%u uid=0 "
		 "msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" res=failed'\n",
		 b->written % 1000, b->written, b->written);
	world_append(&b->w, path, line);
	b->written++;
}

/* rotate_logs() of audit's auditd-event.c with max_log_file_action ROTATE: the names
 * move up, the last one falls off, and audit.log is made anew. */
static void rotate(struct bench *b)
{
	char from[64], to[64];

	for (unsigned i = NUM_LOGS - 1; i > 0; i--) {
		if (i == 1) {
			snprintf(from, sizeof from, LOG);
		} else {
			snprintf(from, sizeof from, LOG ".%u", i - 1);
		}
		snprintf(to, sizeof to, LOG ".%u", i);
		if (world_name(&b->w, from) != NULL) {
			world_rename(&b->w, from, to);
		}
	}
	world_write(&b->w, LOG, "", 0);
}

/* Each number once, and nothing else.  A gap may be told: when auditd has removed a file
 * while nobody ran, whether there was more in it is not known; nor is then whose
 * beginning a new file shares. */
static void expect_all(const struct bench *b)
{
	unsigned *seen = calloc(b->written, sizeof *seen);

	assert_non_null(seen);
	for (size_t i = 0; i < b->k.n_stored; i++) {
		const char *at = b->k.stored[i].text == NULL
					 ? NULL
					 : strstr(b->k.stored[i].text, "pid=");
		unsigned long n;

		if (at == NULL) {
			continue; /* The record of an opening or a gap. */
		}
		n = strtoul(at + 4, NULL, 10);
		assert_true(n < b->written);
		seen[n]++;
	}
	for (unsigned n = 0; n < b->written; n++) {
		if (seen[n] != 1) {
			fail_msg("line %u came %u times", n, seen[n]);
		}
	}
	free(seen);
}

static void auditd_turns(struct bench *b)
{
	unsigned rotations = 0;

	sink_start(&b->k);
	while (b->written < LINES) {
		for (uint64_t n = world_rand(&b->w) % 60; n > 0; n--) {
			put(b, LOG);
		}
		if (world_rand(&b->w) % 3 == 0) {
			rotate(b);
			rotations++;
		}
		world_run(&b->w, (int64_t)(world_rand(&b->w) % 300));
		sink_ack(&b->k, world_rand(&b->w) % 100);
		if (world_rand(&b->w) % 8 == 0) {
			sink_checkpoint(&b->k);
			sink_crash(&b->k);
			/* Fewer than what falls off, or lines are destroyed unread. */
			for (uint64_t n = world_rand(&b->w) % 3; n > 0; n--) {
				put(b, LOG);
				rotate(b);
			}
			put(b, LOG);
			sink_start(&b->k);
		}
		/* And never further behind than what auditd keeps. */
		if (rotations % 2 == 0) {
			settle(b, 3000);
		}
	}
	settle(b, 60000);
}

static void auditds_rotation_loses_and_doubles_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct bench b;

		bench_init(&b, seed, LOG);
		b.k.hello = true;
		auditd_turns(&b);
		expect_all(&b);
		bench_fini(&b);
	}
}

static void a_glob_that_is_added_is_read_and_the_others_go_on(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, LOG);
	sink_start(&b.k);
	put(&b, LOG);
	settle(&b, 3000);
	put(&b, "/var/log/other.log");
	/* In front of the first: its stream has another index now. */
	set_pattern(&b, 1, LOG);
	set_pattern(&b, 0, "/var/log/*.log");
	b.options.n_files = 2;
	tail_reload(b.k.tail);
	put(&b, LOG);
	settle(&b, 5000);
	expect_all(&b);
	assert_int_equal(b.k.opened, 2);
	assert_int_equal(b.k.closed, 0);
	bench_fini(&b);
}

static void what_is_named_no_more_is_left_and_read_on_when_it_is_again(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, LOG);
	sink_start(&b.k);
	put(&b, LOG);
	settle(&b, 3000);
	set_pattern(&b, 0, "/var/log/other.log");
	tail_reload(b.k.tail);
	assert_int_equal(b.k.closed, 1);
	put(&b, LOG);
	settle(&b, 5000);
	assert_int_equal(b.k.n_stored, 1);
	set_pattern(&b, 0, LOG);
	tail_reload(b.k.tail);
	settle(&b, 5000);
	expect_all(&b);
	assert_true(stream_id_eq(&b.k.stored[0].id, &b.k.stored[1].id));
	bench_fini(&b);
}

static void a_reload_at_any_time_loses_and_doubles_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct bench b;

		bench_init(&b, seed, "/var/log/*.log");
		sink_start(&b.k);
		for (int i = 0; i < 200; i++) {
			put(&b, world_rand(&b.w) % 2 == 0 ? "/var/log/a.log"
							  : "/var/log/b.log");
			world_run(&b.w, (int64_t)(world_rand(&b.w) % 200));
			sink_ack(&b.k, world_rand(&b.w) % 5);
			if (world_rand(&b.w) % 4 == 0) {
				set_pattern(&b, 0, world_rand(&b.w) % 2 == 0
							   ? "/var/log/*.log"
							   : "/var/log/a.log");
				tail_reload(b.k.tail);
			}
		}
		set_pattern(&b, 0, "/var/log/*.log");
		tail_reload(b.k.tail);
		settle(&b, 20000);
		expect_all(&b);
		bench_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auditds_rotation_loses_and_doubles_nothing),
		cmocka_unit_test(a_glob_that_is_added_is_read_and_the_others_go_on),
		cmocka_unit_test(what_is_named_no_more_is_left_and_read_on_when_it_is_again),
		cmocka_unit_test(a_reload_at_any_time_loses_and_doubles_nothing),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("tail_reload", tests, NULL, NULL);
}
