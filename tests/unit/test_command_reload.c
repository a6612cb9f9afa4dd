/* Another list of commands while they run, with the real runner: this program is executed
 * anew as the runner, which reads its table from the "configuration" that a test wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "sources/command.h"
#include "sources/runner.h"

enum { COMMANDS = 4, PATIENCE_MS = 20000, TEXT = 8192, STREAMS = 64 };

struct wanted {
	struct sources_command list[COMMANDS];
	struct sources_options options;
};

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct wanted lists[2];
	struct source *source;
	unsigned char secret[STREAM_SECRET];
	pid_t runner;
	char dir[64], config[128], why[COMMANDS_WHY];
	struct text {
		char label[16]; /* of the command */
		char text[TEXT];
		bool closed;
	} streams[STREAMS];
	size_t n_streams;
	int ended;
	bool full; /* nothing is taken */
	struct sources_taken taken;
};

/* ---- what comes out ---- */

static void on_opened(void *arg, struct stream *s)
{
	struct world *w = arg;
	struct text *t = &w->streams[w->n_streams++];

	assert_true(w->n_streams <= STREAMS);
	snprintf(t->label, sizeof t->label, "%s", s->about->label);
	s->user = t;
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data, unsigned flags)
{
	struct world *w = arg;
	struct text *t = s->user;
	struct slice rest = data;
	struct line line;

	while (!w->full && lines_next(&s->lines, &rest, (flags & TAIL_FINAL) != 0, &line)) {
		size_t n = strlen(t->text);

		snprintf(t->text + n, TEXT - n, "[%.*s]", SLICE_ARG(line.text));
	}
	return data.n - rest.n;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)arg;
	(void)why;
	((struct text *)s->user)->closed = true;
}

static void on_ended(void *arg, const struct command_end *end)
{
	(void)end;
	((struct world *)arg)->ended++;
}

static void on_said(void *arg, const char *name, struct slice line, uint64_t dropped)
{
	(void)arg;
	(void)name;
	(void)line;
	(void)dropped;
}

static const struct tail_callbacks tail_cbs = {
	.opened = on_opened, .chunk = on_chunk, .closed = on_closed};

/* The n-th stream of this label, or one that is empty. */
static const struct text *stream(const struct world *w, const char *label, size_t n)
{
	static const struct text none;

	for (size_t i = 0; i < w->n_streams; i++) {
		if (strcmp(w->streams[i].label, label) == 0 && n-- == 0) {
			return &w->streams[i];
		}
	}
	return &none;
}

/* ---- support ---- */

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-command-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	snprintf(w->config, sizeof w->config, "%s/config", w->dir);
	for (size_t i = 0; i < 2; i++) {
		w->lists[i].options.commands = w->lists[i].list;
		w->lists[i].options.line_max = 1000;
		w->lists[i].options.last_line_timeout_ms = 50;
	}
	memset(w->secret, 7, sizeof w->secret);
	*state = w;
	return 0;
}

static void stop(struct world *w)
{
	w->source->ops->stop(w->source);
	w->source->ops->free(w->source);
	w->source = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(waitpid(w->runner, NULL, 0), w->runner);
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[96];

	if (w->source != NULL) {
		stop(w);
	}
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	for (size_t i = 0; i < w->n_streams; i++) {
		assert_true(w->streams[i].closed);
	}
	for (size_t l = 0; l < 2; l++) {
		for (size_t i = 0; i < COMMANDS; i++) {
			strlist_fini(&w->lists[l].list[i].command);
		}
	}
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* A script in a folder that only its owner writes to; its label is its name. */
static struct sources_command *want(struct world *w, struct wanted *l, const char *name,
				    const char *body)
{
	static char program[] = "", zone[] = "local";
	static char labels[16][16];
	static unsigned next;
	struct sources_command *c = &l->list[l->options.n_commands++];
	char *label = labels[next++ % 16], path[128];
	FILE *f;

	assert_true(l->options.n_commands <= COMMANDS);
	snprintf(label, sizeof labels[0], "%s", name);
	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nDIR=%s\n%s\n", w->dir, body);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	*c = (struct sources_command){.about = {label, program, zone, SOURCES_FULL_DEFAULT},
				      .restart_min_ms = 100, .restart_max_ms = 400};
	assert_int_equal(strlist_add(&c->command, slice_str(path)), 0);
	return c;
}

/* The runner's table is what the test's configuration file consists of. */
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

static void write_config(struct world *w, const struct sources_options *o)
{
	struct buf b;
	FILE *f = fopen(w->config, "w");

	assert_non_null(f);
	buf_init(&b, WORKER_MESSAGE_MAX);
	assert_int_equal(runner_table(o, &b), 0);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(w->config, 0644), 0);
	buf_fini(&b);
}

static void start(struct world *w)
{
	struct command_callbacks cb = {&tail_cbs, w, on_ended, on_said, w};
	const struct sources_options *o = &w->lists[0].options;
	int fd, rc = runner_start(o, w->config, "nobody", true, &w->runner, &fd, w->why);

	if (rc != 0) {
		fail_msg("%s", w->why);
	}
	assert_int_equal(commands_new(&w->source, &w->loop, &w->sys.sys, fd, o, w->secret,
				      &cb), 0);
	assert_int_equal(w->source->ops->start(w->source), 0);
}

static int prepare(struct world *w, const struct wanted *l, struct commands_change **c)
{
	return commands_prepare(c, w->source, &l->options, w->secret, w->why);
}

static void reload(struct world *w, const struct wanted *l)
{
	struct commands_change *c;

	write_config(w, &l->options);
	if (prepare(w, l, &c) != 0) {
		fail_msg("%s", w->why);
	}
	commands_take(c, &w->taken);
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Runs the loop until the condition holds. */
#define WAIT_FOR(w, condition)                                                \
	do {                                                                  \
		uint64_t end = uv_hrtime() + PATIENCE_MS * UINT64_C(1000000); \
		uv_timer_t tick;                                              \
		uv_timer_init(&(w)->loop, &tick);                             \
		uv_timer_start(&tick, on_tick, 5, 5);                         \
		while (!(condition) && uv_hrtime() < end) {                   \
			uv_run(&(w)->loop, UV_RUN_ONCE);                      \
		}                                                             \
		uv_close((uv_handle_t *)&tick, NULL);                         \
		uv_run(&(w)->loop, UV_RUN_NOWAIT);                            \
		if (!(condition)) {                                           \
			fail_msg("waited too long for %s", #condition);       \
		}                                                             \
	} while (0)

static bool exists(const struct world *w, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	return access(path, F_OK) == 0;
}

static void touch(const struct world *w, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static bool says(const struct world *w, const char *label, size_t n, const char *text)
{
	return strstr(stream(w, label, n)->text, text) != NULL;
}

#define UNTIL(file) "while [ ! -e $DIR/" file " ]; do sleep 0.01; done\n"
#define FOR_EVER "exec sleep 600"

/* ---- what goes on, begins and ends ---- */

static void an_unchanged_command_runs_on_in_its_stream(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", "echo one\n" UNTIL("go") "echo two\n" FOR_EVER);
	want(w, &w->lists[1], "b", "echo b\n" FOR_EVER);
	want(w, &w->lists[1], "a", "echo one\n" UNTIL("go") "echo two\n" FOR_EVER);
	start(w);
	WAIT_FOR(w, says(w, "a", 0, "[one]"));
	reload(w, &w->lists[1]);
	assert_int_equal(w->taken.kept, 1);
	assert_int_equal(w->taken.added, 1);
	WAIT_FOR(w, says(w, "b", 0, "[b]"));
	touch(w, "go");
	WAIT_FOR(w, says(w, "a", 0, "[one][two]"));
	assert_int_equal(w->n_streams, 2);
	assert_int_equal(w->ended, 0);
}

static void a_command_that_is_gone_is_ended_and_read_to_its_end(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", "trap 'echo last; exit 0' TERM\necho first\n"
				   "while :; do sleep 0.01; done");
	want(w, &w->lists[0], "b", "echo b\n" FOR_EVER);
	want(w, &w->lists[1], "b", "echo b\n" FOR_EVER);
	start(w);
	WAIT_FOR(w, says(w, "a", 0, "[first]") && says(w, "b", 0, "[b]"));
	reload(w, &w->lists[1]);
	assert_int_equal(w->taken.gone, 1);
	WAIT_FOR(w, stream(w, "a", 0)->closed);
	assert_string_equal(stream(w, "a", 0)->text, "[first][last]");
	assert_false(stream(w, "b", 0)->closed);
	assert_int_equal(w->ended, 0); /* That it ended is nobody's alarm. */
}

static void a_changed_command_is_a_new_stream_and_the_old_one_ends(void **state)
{
	struct world *w = *state;
	struct sources_command *c;

	want(w, &w->lists[0], "a", "echo $1\n" FOR_EVER);
	c = want(w, &w->lists[1], "a", "echo $1\n" FOR_EVER);
	assert_int_equal(strlist_add(&c->command, SLICE_LIT("new")), 0);
	start(w);
	WAIT_FOR(w, w->n_streams == 1 && says(w, "a", 0, "[]"));
	reload(w, &w->lists[1]);
	WAIT_FOR(w, says(w, "a", 1, "[new]") && stream(w, "a", 0)->closed);
}

static void what_is_not_taken_yet_is_taken_before_a_gone_command_is_forgotten(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", "echo one; echo two; touch $DIR/out/written\n" FOR_EVER);
	assert_int_equal(mkdir(strcat(strcpy((char[128]){0}, w->dir), "/out"), 0700), 0);
	assert_int_equal(chmod(strcat(strcpy((char[128]){0}, w->dir), "/out"), 0777), 0);
	start(w);
	w->full = true;
	WAIT_FOR(w, exists(w, "out/written"));
	reload(w, &w->lists[1]); /* None. */
	for (int i = 0; i < 20; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_false(stream(w, "a", 0)->closed);
	w->full = false;
	/* There is room, now and then, as the agent finds it. */
	WAIT_FOR(w, (w->source->ops->resume(w->source), stream(w, "a", 0)->closed));
	assert_string_equal(stream(w, "a", 0)->text, "[one][two]");
}

static void a_command_that_pauses_is_gone_at_once(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", "echo x; exit 3")->restart_min_ms = 60000;
	start(w);
	WAIT_FOR(w, w->ended == 1);
	reload(w, &w->lists[1]);
	WAIT_FOR(w, stream(w, "a", 0)->closed);
	assert_string_equal(stream(w, "a", 0)->text, "[x]");
	/* And it comes back when it is named again. */
	reload(w, &w->lists[0]);
	WAIT_FOR(w, says(w, "a", 1, "[x]"));
}

static void a_pause_is_changed_in_place(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", FOR_EVER);
	want(w, &w->lists[1], "a", FOR_EVER)->restart_min_ms = 200;
	start(w);
	WAIT_FOR(w, w->n_streams == 1);
	reload(w, &w->lists[1]);
	assert_int_equal(w->taken.changed, 1);
	assert_int_equal(w->n_streams, 1);
}

static void many_reloads_under_load_lose_and_double_nothing(void **state)
{
	struct world *w = *state;
	char want_text[TEXT] = "";

	want(w, &w->lists[0], "a", "i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); "
				   "[ $((i % 10)) -ne 0 ] || sleep 0.01; done\n" FOR_EVER);
	want(w, &w->lists[1], "b", "echo b\n" FOR_EVER);
	want(w, &w->lists[1], "a", "i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); "
				   "[ $((i % 10)) -ne 0 ] || sleep 0.01; done\n" FOR_EVER);
	start(w);
	for (unsigned i = 0; i < 30; i++) {
		reload(w, &w->lists[1 - i % 2]);
		for (unsigned k = 0; k < 10; k++) {
			uv_run(&w->loop, UV_RUN_NOWAIT);
		}
	}
	WAIT_FOR(w, says(w, "a", 0, "[499]"));
	for (unsigned i = 0; i < 500; i++) {
		sprintf(want_text + strlen(want_text), "[%u]", i);
	}
	assert_string_equal(stream(w, "a", 0)->text, want_text);
	assert_false(stream(w, "a", 0)->closed);
}

/* ---- what is refused ---- */

static void refuses(struct world *w, const char *what)
{
	struct commands_change *c;

	assert_int_equal(prepare(w, &w->lists[1], &c), UV_EACCES);
	assert_null(c);
	if (strstr(w->why, what) == NULL) {
		fail_msg("not \"%s\": %s", what, w->why);
	}
	/* And nothing has changed. */
	touch(w, "go");
	WAIT_FOR(w, says(w, "a", 0, "[two]"));
	assert_int_equal(w->n_streams, 1);
}

static void the_runner_takes_no_command_that_the_configuration_does_not_name(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", UNTIL("go") "echo two\n" FOR_EVER);
	want(w, &w->lists[1], "b", FOR_EVER);
	start(w);
	write_config(w, &w->lists[0].options);
	refuses(w, "has changed once more");
}

static void the_runner_takes_no_configuration_that_others_can_write(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], "a", UNTIL("go") "echo two\n" FOR_EVER);
	want(w, &w->lists[1], "b", FOR_EVER);
	start(w);
	write_config(w, &w->lists[1].options);
	assert_int_equal(chmod(w->config, 0666), 0);
	refuses(w, "can be written by others");
}

static void the_runner_takes_no_program_that_others_can_write(void **state)
{
	struct world *w = *state;
	char path[128];

	want(w, &w->lists[0], "a", UNTIL("go") "echo two\n" FOR_EVER);
	want(w, &w->lists[1], "b", FOR_EVER);
	snprintf(path, sizeof path, "%s/b", w->dir);
	assert_int_equal(chmod(path, 0777), 0);
	start(w);
	write_config(w, &w->lists[1].options);
	refuses(w, "can be written by others");
}

static void a_runner_that_is_gone_is_told_as_that(void **state)
{
	struct world *w = *state;
	struct commands_change *c;

	want(w, &w->lists[0], "a", FOR_EVER);
	want(w, &w->lists[1], "b", FOR_EVER);
	start(w);
	WAIT_FOR(w, w->n_streams == 1);
	kill(w->runner, SIGKILL);
	WAIT_FOR(w, w->ended == 1);
	write_config(w, &w->lists[1].options);
	assert_int_equal(prepare(w, &w->lists[1], &c), ERR_CLOSED);
	/* What has not changed needs no runner. */
	assert_int_equal(prepare(w, &w->lists[0], &c), 0);
	commands_take(c, &w->taken);
	assert_int_equal(w->taken.kept, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unchanged_command_runs_on_in_its_stream),
		TEST(a_command_that_is_gone_is_ended_and_read_to_its_end),
		TEST(a_changed_command_is_a_new_stream_and_the_old_one_ends),
		TEST(what_is_not_taken_yet_is_taken_before_a_gone_command_is_forgotten),
		TEST(a_command_that_pauses_is_gone_at_once),
		TEST(a_pause_is_changed_in_place),
		TEST(many_reloads_under_load_lose_and_double_nothing),
		TEST(the_runner_takes_no_command_that_the_configuration_does_not_name),
		TEST(the_runner_takes_no_configuration_that_others_can_write),
		TEST(the_runner_takes_no_program_that_others_can_write),
		TEST(a_runner_that_is_gone_is_told_as_that),
	};

	if (argc == 3 && strcmp(argv[1], RUNNER_FLAG) == 0) {
		return runner_main(WORKER_FD,
				   &(struct worker_config){argv[2], table_of_file});
	}
	return cmocka_run_group_tests_name("command_reload", tests, NULL, NULL);
}
