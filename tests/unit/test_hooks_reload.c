/* A changed list of hooks in a running daemon, with the real helper: this program is
 * executed anew as the helper, which reads its table from the "configuration" that a
 * test wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "hooks/helper.h"
#include "hooks/hooks.h"
#include "hooks/protocol.h"

enum { HOOKS = 4, PATIENCE_MS = 20000 };

/* A list of hooks as a configuration has it. */
struct wanted {
	struct hook_options table[HOOKS];
	char names[HOOKS][16], paths[HOOKS][128];
	struct hooks_options options;
};

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct hooks *hooks;
	struct wanted lists[2];
	pid_t helper;
	char dir[64], config[128];
	char why[HOOKS_WHY], notes[4096], logged[8192];
	bool closed_to_files; /* what may_write() answers */
	bool closed;
	struct hooks_taken taken;
};

/* ---- support ---- */

static void keep_log(void *arg, enum log_level level, struct slice line)
{
	struct world *w = arg;
	size_t n = strlen(w->logged), room = sizeof w->logged - 1 - n;

	(void)level;
	room = line.n < room ? line.n : room;
	memcpy(w->logged + n, line.p, room);
	w->logged[n + room] = '\0';
}

static const char *in_dir(const struct world *w, const char *name)
{
	static char path[8][128];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof path[0], "%s/%s", w->dir, name);
	return p;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-reload-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	assert_int_equal(mkdir(in_dir(w, "out"), 0700), 0);
	assert_int_equal(chmod(in_dir(w, "out"), 0777), 0);
	snprintf(w->config, sizeof w->config, "%s/config", w->dir);
	for (size_t i = 0; i < 2; i++) {
		w->lists[i].options.hooks = w->lists[i].table;
	}
	log_set_sink(keep_log, w);
	*state = w;
	return 0;
}

static void on_closed(void *arg)
{
	((struct world *)arg)->closed = true;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[96];

	if (w->hooks != NULL) {
		hooks_close(w->hooks, 0, on_closed, w);
		uv_run(&w->loop, UV_RUN_DEFAULT);
		assert_true(w->closed);
	}
	assert_int_equal(uv_loop_close(&w->loop), 0);
	if (w->helper > 0) {
		assert_int_equal(waitpid(w->helper, NULL, 0), w->helper);
	}
	log_set_sink(NULL, NULL);
	for (size_t l = 0; l < 2; l++) {
		for (size_t i = 0; i < HOOKS; i++) {
			strlist_fini(&w->lists[l].table[i].command);
		}
	}
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static struct hook_options *want(struct wanted *l, const char *name, enum hook_type type,
				 const char *path)
{
	size_t i = l->options.n_hooks++;
	struct hook_options *h = &l->table[i];

	assert_true(i < HOOKS);
	snprintf(l->names[i], sizeof l->names[i], "%s", name);
	snprintf(l->paths[i], sizeof l->paths[i], "%s", path);
	*h = (struct hook_options){.name = l->names[i], .type = type, .path = l->paths[i],
				   .timeout_ms = 60000, .concurrency = 1};
	return h;
}

/* A hook that runs this shell script; $OUT is where it may write. */
static struct hook_options *want_script(struct world *w, struct wanted *l, const char *name,
					const char *file, const char *body)
{
	struct hook_options *h = want(l, name, HOOK_EXEC, "");
	const char *path = in_dir(w, file);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nOUT=%s/out\n%s\n", w->dir, body);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(strlist_add(&h->command, slice_str(path)), 0);
	return h;
}

/* The helper's table is what the test's configuration file consists of. */
static int table_of_file(const char *path, struct buf *out, char why[static WORKER_WHY])
{
	char bytes[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);

	(void)why;
	if (fd >= 0) {
		close(fd);
	}
	return n < 0 ? UV_EIO : buf_add(out, bytes, (size_t)n);
}

static void write_config(struct world *w, const struct hooks_options *o)
{
	struct buf b;
	FILE *f = fopen(w->config, "w");

	assert_non_null(f);
	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	assert_int_equal(helper_table(o, &b), 0);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(w->config, 0644), 0);
	buf_fini(&b);
}

static void open_hooks(struct world *w)
{
	struct hooks_options *o = &w->lists[0].options;
	int fd, rc = helper_start(o, w->config, "nobody", true, &w->helper, &fd, w->why);

	if (rc != 0) {
		fail_msg("%s", w->why);
	}
	assert_int_equal(hooks_new(&w->hooks, &w->loop, &w->sys.sys, o, fd), 0);
}

static bool may_write(void *arg, const char *path)
{
	(void)path;
	return !((struct world *)arg)->closed_to_files;
}

static void note(void *arg, const char *text)
{
	struct world *w = arg;

	strncat(w->notes, text, sizeof w->notes - 1 - strlen(w->notes));
}

static int prepare(struct world *w, struct hooks_change **c)
{
	const struct hooks_ask ask = {may_write, note, w};

	return hooks_prepare(c, w->hooks, &w->lists[1].options, &ask, w->why);
}

/* The second list takes the place of the first, file and all. */
static void reload(struct world *w)
{
	struct hooks_change *c;

	write_config(w, &w->lists[1].options);
	if (prepare(w, &c) != 0) {
		fail_msg("%s", w->why);
	}
	hooks_take(c, &w->taken);
}

static void raise_alert(struct world *w, unsigned number)
{
	char text[512];
	int n = snprintf(text, sizeof text,
			 "{\"rule\":{\"id\":\"r\",\"name\":\"R\"},\"alert\":{\"id\":\"%032x\","
			 "\"state\":\"new\",\"severity\":\"high\",\"count\":1,"
			 "\"device\":\"gateway\"}}", number);

	hooks_alert_json(w->hooks, SLICE_NONE, slice(text, (size_t)n));
}

/* UINT64_MAX: there is no such hook. */
static uint64_t number_of(const struct world *w, const char *name, const char *member)
{
	struct buf b;
	struct json j;
	char key[64];
	const char *at;
	uint64_t v = UINT64_MAX;

	buf_init(&b, 65536);
	j = json_begin(&b);
	json_object(&j, NULL);
	hooks_status(w->hooks, &j);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add_u8(&b, 0), 0);
	snprintf(key, sizeof key, "\"name\":\"%s\"", name);
	at = strstr(b.p, key);
	if (at != NULL) {
		snprintf(key, sizeof key, "\"%s\":", member);
		at = strstr(at, key);
		assert_non_null(at);
		v = strtoull(at + strlen(key), NULL, 10);
	}
	buf_fini(&b);
	return v;
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Turns the loop until the member has the value. */
static void wait_number(struct world *w, const char *name, const char *member, uint64_t value)
{
	uint64_t end = uv_hrtime() + PATIENCE_MS * UINT64_C(1000000);
	uv_timer_t tick;

	uv_timer_init(&w->loop, &tick);
	uv_timer_start(&tick, on_tick, 5, 5);
	while (number_of(w, name, member) != value && uv_hrtime() < end) {
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	if (number_of(w, name, member) != value) {
		fail_msg("%s is %llu, not %llu; logged: %s", member,
			 (unsigned long long)number_of(w, name, member),
			 (unsigned long long)value, w->logged);
	}
}

static size_t count_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;
	int c;

	while (f != NULL && (c = fgetc(f)) != EOF) {
		n += c == '\n';
	}
	if (f != NULL) {
		fclose(f);
	}
	return n;
}

#define UNTIL(file) "while [ ! -e $OUT/" file " ]; do sleep 0.01; done"

static void touch(struct world *w, const char *name)
{
	int fd = open(in_dir(w, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

/* ---- what stays, and what goes ---- */

static void a_hook_whose_name_stays_keeps_its_queue_and_what_runs(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "old", UNTIL("go") "; echo old >>$OUT/seen");
	open_hooks(w);
	for (unsigned i = 0; i < 3; i++) {
		raise_alert(w, i);
	}
	wait_number(w, "a", "running", 1);
	want_script(w, &w->lists[1], "a", "new", "echo new >>$OUT/new");
	reload(w);
	assert_int_equal(w->taken.changed, 1);
	assert_int_equal(number_of(w, "a", "waiting"), 2);
	assert_int_equal(number_of(w, "a", "running"), 1);
	touch(w, "out/go");
	wait_number(w, "a", "delivered", 3);
	assert_int_equal(count_lines(in_dir(w, "out/seen")), 1);
	assert_int_equal(count_lines(in_dir(w, "out/new")), 2);
	assert_int_equal(number_of(w, "a", "failed") + number_of(w, "a", "dropped"), 0);
}

static void a_hook_that_is_new_gets_alerts_from_then_on(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want_script(w, &w->lists[1], "b", "b", "echo b >>$OUT/b");
	want_script(w, &w->lists[1], "a", "a", "exit 0");
	want(&w->lists[1], "f", HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, "a", "delivered", 1);
	reload(w);
	assert_int_equal(w->taken.kept, 1);
	assert_int_equal(w->taken.added, 2);
	raise_alert(w, 2);
	wait_number(w, "b", "delivered", 1);
	wait_number(w, "a", "delivered", 2);
	assert_int_equal(count_lines(in_dir(w, "out/b")), 1);
	assert_int_equal(count_lines(in_dir(w, "file")), 1);
}

static void a_hook_that_is_gone_ends_with_its_last_program_and_says_what_it_leaves(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", UNTIL("go"));
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	wait_number(w, "a", "running", 1);
	reload(w);
	assert_int_equal(w->taken.gone, 1);
	assert_int_equal(w->taken.undelivered, 1);
	assert_non_null(strstr(w->logged, "undelivered=1"));
	assert_int_equal(number_of(w, "a", "running"), 1);
	raise_alert(w, 3); /* Not for it. */
	assert_int_equal(number_of(w, "a", "waiting"), 0);
	touch(w, "out/go");
	wait_number(w, "a", "running", UINT64_MAX);
}

static void a_program_that_runs_counts_against_the_new_concurrency(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", UNTIL("go"))->concurrency = 2;
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	want_script(w, &w->lists[1], "a", "a", UNTIL("go"))->concurrency = 1;
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	wait_number(w, "a", "running", 2);
	reload(w);
	raise_alert(w, 3);
	wait_number(w, "b", "delivered", 1);
	assert_int_equal(number_of(w, "a", "running"), 2);
	assert_int_equal(number_of(w, "a", "waiting"), 1);
	touch(w, "out/go");
	wait_number(w, "a", "delivered", 3);
	assert_int_equal(number_of(w, "a", "failed"), 0);
}

static void a_file_that_can_not_be_written_keeps_its_alerts_through_a_reload(void **state)
{
	struct world *w = *state;

	want(&w->lists[0], "f", HOOK_FILE, in_dir(w, "later/file"));
	want(&w->lists[1], "f", HOOK_FILE, in_dir(w, "later/file"))->min_severity =
		SEVERITY_HIGH;
	open_hooks(w);
	raise_alert(w, 1);
	assert_int_equal(number_of(w, "f", "waiting"), 1);
	reload(w);
	assert_int_equal(number_of(w, "f", "waiting"), 1);
	assert_int_equal(mkdir(in_dir(w, "later"), 0755), 0);
	wait_number(w, "f", "delivered", 1);
	assert_int_equal(count_lines(in_dir(w, "later/file")), 1);
}

static void many_reloads_under_load_lose_and_double_nothing(void **state)
{
	struct world *w = *state;
	struct hook_options *h;

	want_script(w, &w->lists[0], "a", "a", "echo x >>$OUT/seen");
	h = want_script(w, &w->lists[1], "a", "a", "echo x >>$OUT/seen");
	open_hooks(w);
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 5; k++) {
			raise_alert(w, i * 5 + k);
		}
		h->timeout_ms = 30000 + i;
		h->concurrency = 1 + i % 3;
		reload(w);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	wait_number(w, "a", "delivered", 100);
	assert_int_equal(count_lines(in_dir(w, "out/seen")), 100);
	assert_int_equal(number_of(w, "a", "failed") + number_of(w, "a", "dropped"), 0);
}

/* ---- what is refused ---- */

static void refuses(struct world *w, int want_rc, const char *what)
{
	struct hooks_change *c;

	assert_int_equal(prepare(w, &c), want_rc);
	assert_null(c);
	if (strstr(w->why, what) == NULL) {
		fail_msg("not \"%s\": %s", what, w->why);
	}
	/* And nothing has changed. */
	raise_alert(w, 77);
	wait_number(w, "a", "delivered", 1);
	assert_int_equal(number_of(w, "b", "waiting"), UINT64_MAX);
}

static void the_helper_takes_no_program_that_the_configuration_does_not_name(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	open_hooks(w);
	write_config(w, &w->lists[0].options);
	refuses(w, UV_EACCES, "has changed once more");
}

static void the_helper_takes_no_configuration_that_others_can_write(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	open_hooks(w);
	write_config(w, &w->lists[1].options);
	assert_int_equal(chmod(w->config, 0666), 0);
	refuses(w, UV_EACCES, "can be written by others");
}

static void the_helper_takes_no_program_that_others_can_write(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	assert_int_equal(chmod(in_dir(w, "b"), 0777), 0);
	open_hooks(w);
	write_config(w, &w->lists[1].options);
	refuses(w, UV_EACCES, "can be written by others");
}

static void a_change_that_is_dropped_changes_nothing(void **state)
{
	struct world *w = *state;
	struct hooks_change *c;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	open_hooks(w);
	write_config(w, &w->lists[1].options);
	assert_int_equal(prepare(w, &c), 0);
	hooks_drop(c);
	raise_alert(w, 1);
	wait_number(w, "a", "delivered", 1);
	assert_int_equal(number_of(w, "b", "waiting"), UINT64_MAX);
	reload(w);
	raise_alert(w, 2);
	wait_number(w, "b", "delivered", 1);
}

static void what_needs_a_restart_is_named_and_stays_as_it_was(void **state)
{
	struct world *w = *state;

	want(&w->lists[0], "f", HOOK_FILE, in_dir(w, "file"));
	want(&w->lists[1], "f", HOOK_FILE, "/elsewhere/file");
	want(&w->lists[1], "g", HOOK_FILE, "/elsewhere/new");
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	open_hooks(w);
	w->closed_to_files = true;
	reload(w);
	assert_non_null(strstr(w->notes, "f: /elsewhere/file lies outside"));
	assert_non_null(strstr(w->notes, "g: /elsewhere/new lies outside"));
	assert_non_null(strstr(w->notes, "b: there was no exec hook at the start"));
	assert_int_equal(w->taken.kept, 1);
	raise_alert(w, 1);
	assert_int_equal(count_lines(in_dir(w, "file")), 1);
	assert_int_equal(number_of(w, "g", "waiting"), UINT64_MAX);
	assert_int_equal(number_of(w, "b", "waiting"), UINT64_MAX);
}

static void a_helper_that_has_died_is_no_reason_to_refuse_the_rest(void **state)
{
	struct world *w = *state;

	want_script(w, &w->lists[0], "a", "a", "exit 0");
	want(&w->lists[1], "f", HOOK_FILE, in_dir(w, "file"));
	want_script(w, &w->lists[1], "b", "b", "exit 0");
	open_hooks(w);
	kill(w->helper, SIGKILL);
	while (strstr(w->logged, "the helper process has ended") == NULL) {
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	reload(w);
	assert_non_null(strstr(w->notes, "b: the process that runs programs has ended"));
	raise_alert(w, 1);
	assert_int_equal(count_lines(in_dir(w, "file")), 1);
}

static void a_change_comes_back_as_it_was_and_no_other_length_is_one(void **state)
{
	struct worker_change c = {.type = WORKER_PROPOSE, .number = 7, .table = SLICE_LIT("table"),
				  .more = SLICE_LIT("m")}, out;
	struct buf b;

	(void)state;
	for (uint8_t type = WORKER_PROPOSE; type <= WORKER_TAKE; type++) {
		buf_init(&b, 1024);
		c.type = type;
		c.text = type == WORKER_JUDGED ? SLICE_LIT("why") : SLICE_NONE;
		assert_int_equal(worker_change_encode(&b, &c), 0);
		assert_int_equal(worker_change_decode(&out, buf_slice(&b)), 0);
		assert_int_equal(out.number, 7);
		assert_true(slice_eq(out.text, c.text));
		if (type == WORKER_PROPOSE) {
			assert_true(slice_eq(out.table, c.table));
			assert_true(slice_eq(out.more, c.more));
		}
		for (size_t n = 0; n < b.n; n++) {
			assert_int_equal(worker_change_decode(&out, slice(b.p, n)), ERR_MALFORMED);
		}
		assert_int_equal(buf_add_u8(&b, 0), 0);
		assert_int_equal(worker_change_decode(&out, buf_slice(&b)), ERR_MALFORMED);
		buf_fini(&b);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hook_whose_name_stays_keeps_its_queue_and_what_runs),
		TEST(a_hook_that_is_new_gets_alerts_from_then_on),
		TEST(a_hook_that_is_gone_ends_with_its_last_program_and_says_what_it_leaves),
		TEST(a_program_that_runs_counts_against_the_new_concurrency),
		TEST(a_file_that_can_not_be_written_keeps_its_alerts_through_a_reload),
		TEST(many_reloads_under_load_lose_and_double_nothing),
		TEST(the_helper_takes_no_program_that_the_configuration_does_not_name),
		TEST(the_helper_takes_no_configuration_that_others_can_write),
		TEST(the_helper_takes_no_program_that_others_can_write),
		TEST(a_change_that_is_dropped_changes_nothing),
		TEST(what_needs_a_restart_is_named_and_stays_as_it_was),
		TEST(a_helper_that_has_died_is_no_reason_to_refuse_the_rest),
		TEST(a_change_comes_back_as_it_was_and_no_other_length_is_one),
	};

	if (argc == 3 && strcmp(argv[1], "--helper") == 0) {
		return helper_main(WORKER_FD,
				   &(struct worker_config){argv[2], table_of_file});
	}
	return cmocka_run_group_tests_name("hooks_reload", tests, NULL, NULL);
}
