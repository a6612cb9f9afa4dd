/* Unit tests of sources/command.h and the process behind it (sources/runner.h): real
 * programs in a real runner, under its filter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "sources/command.h"
#include "sources/runner.h"
#include "sources/runner_protocol.h"
#include "tests/support/fault_sys.h"

enum { TEXT = 256 * 1024, PATIENCE_MS = 20000 };

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct sources_command list[2];
	struct sources_options options;
	struct source *source;
	unsigned char secret[STREAM_SECRET];
	pid_t runner;
	char dir[64];
	char why[WORKER_WHY];
	char *text;    /* records, each in brackets */
	size_t n_text;
	size_t room;   /* records that are taken before we are full */
	uint64_t position;
	int opened, closed, ended;
	struct command_end end; /* the last */
	char said[4096];
	uint64_t dropped;
};

static void on_opened(void *arg, struct stream *s)
{
	struct world *w = arg;

	assert_true(s->has_id);
	assert_true(s->kept);
	assert_non_null(s->about);
	w->opened++;
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data, unsigned flags)
{
	struct world *w = arg;
	struct slice rest = data;
	struct line line;

	while (w->room > 0 &&
	       lines_next(&s->lines, &rest, (flags & TAIL_FINAL) != 0, &line)) {
		assert_int_equal(line.start, w->position);
		w->position = line.end;
		w->room--;
		assert_true(w->n_text + line.text.n + 3 < TEXT);
		w->n_text += (size_t)sprintf(w->text + w->n_text, "[%.*s]",
					     SLICE_ARG(line.text));
	}
	return data.n - rest.n;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)s;
	(void)why;
	((struct world *)arg)->closed++;
}

static void on_ended(void *arg, const struct command_end *end)
{
	struct world *w = arg;

	w->ended++;
	w->end = *end;
}

static void on_said(void *arg, const char *name, struct slice line, uint64_t dropped)
{
	struct world *w = arg;
	size_t n = strlen(w->said);

	(void)name;
	w->dropped += dropped;
	snprintf(w->said + n, sizeof w->said - n, "[%.*s]", SLICE_ARG(line));
}

static const struct tail_callbacks tail_cbs = {
	.opened = on_opened, .chunk = on_chunk, .closed = on_closed};

static struct command_callbacks callbacks(struct world *w)
{
	return (struct command_callbacks){&tail_cbs, w, on_ended, on_said, w};
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->text = calloc(1, TEXT);
	assert_non_null(w->text);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-command-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	w->options.commands = w->list;
	w->options.line_max = 1000;
	w->options.last_line_timeout_ms = 50;
	w->room = SIZE_MAX;
	memset(w->secret, 7, sizeof w->secret);
	*state = w;
	return 0;
}

static void wait_for_runner(struct world *w)
{
	int status;

	if (w->runner > 0) {
		assert_int_equal(waitpid(w->runner, &status, 0), w->runner);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		w->runner = 0;
	}
}

static void stop(struct world *w)
{
	w->source->ops->stop(w->source);
	w->source->ops->free(w->source);
	w->source = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	wait_for_runner(w);
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
	assert_int_equal(w->closed, w->opened);
	for (size_t i = 0; i < 2; i++) {
		strlist_fini(&w->list[i].command);
	}
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w->text);
	free(w);
	return 0;
}

/* A script in a folder that only its owner writes to. */
static void add_script(struct world *w, const char *body)
{
	static char label[] = "test", program[] = "", zone[] = "local";
	struct sources_command *c = &w->list[w->options.n_commands];
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/script%zu", w->dir, w->options.n_commands);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nDIR=%s\n%s\n", w->dir, body);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	c->about = (struct sources_about){label, program, zone};
	c->restart_min_ms = 100;
	c->restart_max_ms = 400;
	assert_int_equal(strlist_add(&c->command, slice_str(path)), 0);
	w->options.n_commands++;
}

static void start(struct world *w)
{
	struct command_callbacks cb = callbacks(w);
	int fd, rc = runner_start(&w->options, "/none", "nobody", true, &w->runner, &fd,
				  w->why);

	if (rc != 0) {
		fail_msg("%s", w->why);
	}
	assert_int_equal(commands_new(&w->source, &w->loop, &w->sys.sys, fd, &w->options,
				      w->secret, &cb),
			 0);
	assert_int_equal(w->source->ops->start(w->source), 0);
}

static void on_patience(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

/* Runs the loop until the condition holds. */
#define WAIT_FOR(w, condition)                                              \
	do {                                                                \
		bool over = false;                                          \
		uv_timer_t patience;                                        \
		uv_timer_init(&(w)->loop, &patience);                       \
		patience.data = &over;                                      \
		uv_timer_start(&patience, on_patience, PATIENCE_MS, 0);     \
		while (!(condition) && !over) {                             \
			uv_run(&(w)->loop, UV_RUN_ONCE);                    \
		}                                                           \
		uv_close((uv_handle_t *)&patience, NULL);                   \
		uv_run(&(w)->loop, UV_RUN_NOWAIT);                          \
		if (over) {                                                 \
			fail_msg("waited too long for %s; text: %.300s",    \
				 #condition, (w)->text);                    \
		}                                                           \
	} while (0)

static bool exists(const struct world *w, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	return access(path, F_OK) == 0;
}

static void make(const struct world *w, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0644)), 0);
}

/* ---- tests ---- */

static void lines_come_as_they_are_written(void **state)
{
	struct world *w = *state;

	add_script(w, "echo one; echo two; sleep 60");
	start(w);
	WAIT_FOR(w, strcmp(w->text, "[one][two]") == 0);
	assert_int_equal(w->opened, 1);
	stop(w);
	assert_int_equal(w->closed, 1);
}

static void one_that_ends_is_told_and_started_again_in_the_same_stream(void **state)
{
	struct world *w = *state;

	add_script(w, "printf 'run\\nhalf'; exit 7");
	start(w);
	WAIT_FOR(w, w->ended == 3);
	assert_int_equal(w->end.how, COMMAND_EXITED);
	assert_int_equal(w->end.status, 7);
	assert_true(w->end.again_ms >= 200 && w->end.again_ms <= 400);
	assert_int_equal(strncmp(w->text, "[run][half][run][half][run][half]", 33), 0);
	assert_int_equal(w->opened, 1);
}

static void one_that_is_killed_is_told_with_its_signal(void **state)
{
	struct world *w = *state;

	add_script(w, "echo here; kill -9 $$");
	start(w);
	WAIT_FOR(w, w->ended == 1);
	assert_int_equal(w->end.how, COMMAND_SIGNALED);
	assert_int_equal(w->end.status, SIGKILL);
}

static void what_it_says_on_standard_error_is_told_with_limits(void **state)
{
	struct world *w = *state;

	add_script(w, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22\n"
		      "do echo e$i >&2; done\n"
		      "echo out; sleep 60");
	start(w);
	WAIT_FOR(w, strstr(w->said, "[e20]") != NULL && w->n_text > 0);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_non_null(strstr(w->said, "[e1]"));
	assert_null(strstr(w->said, "[e21]"));
	assert_string_equal(w->text, "[out]");
}

static void it_waits_while_there_is_no_room_and_nothing_is_lost(void **state)
{
	struct world *w = *state;
	char want[32];

	/* More than the pipe, the buffer and we together hold. */
	add_script(w, "i=0; while [ $i -lt 30000 ]; do echo \"line number $i\"; "
		      "i=$((i+1)); done; : >$DIR/done; sleep 60");
	assert_int_equal(chmod(w->dir, 0777), 0);
	assert_int_equal(chmod(w->dir, 01777), 0);
	w->room = 3;
	start(w);
	WAIT_FOR(w, w->room == 0);
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_false(exists(w, "done"));
	for (uint64_t taken = 0; taken < 30000; taken += 500) {
		w->text[w->n_text = 0] = '\0';
		w->room = 500;
		w->source->ops->resume(w->source);
		WAIT_FOR(w, w->room == 0 || taken + 500 > 29900);
	}
	w->room = SIZE_MAX;
	w->source->ops->resume(w->source);
	snprintf(want, sizeof want, "[line number %d]", 29999);
	WAIT_FOR(w, strstr(w->text, want) != NULL);
	for (int i = 0; i < 500 && !exists(w, "done"); i++) {
		usleep(10000);
	}
	assert_true(exists(w, "done"));
}

static void the_next_run_does_not_continue_a_line_that_was_not_taken(void **state)
{
	struct world *w = *state;

	add_script(w, "printf half");
	w->room = 0;
	start(w);
	WAIT_FOR(w, w->ended == 1);
	for (int i = 0; i < 40; i++) {
		usleep(10000);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(w->ended, 1); /* It waits. */
	w->room = SIZE_MAX;
	w->source->ops->resume(w->source);
	WAIT_FOR(w, w->ended == 2);
	assert_int_equal(strncmp(w->text, "[half][half]", 12), 0);
}

static void stopping_takes_what_was_written_and_ends_the_whole_group(void **state)
{
	struct world *w = *state;
	char path[128], number[16] = "";
	FILE *f;
	pid_t pid;

	assert_int_equal(chmod(w->dir, 01777), 0);
	add_script(w, "trap '' TERM; sleep 300 & echo $! >$DIR/pid.new; "
		      "mv $DIR/pid.new $DIR/pid; echo last; "
		      ": >$DIR/ready; wait; sleep 300");
	start(w);
	while (!exists(w, "ready")) {
		usleep(1000);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	snprintf(path, sizeof path, "%s/pid", w->dir);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(number, sizeof number, f));
	fclose(f);
	pid = (pid_t)strtol(number, NULL, 10);
	assert_int_equal(kill(pid, 0), 0);
	stop(w); /* Waits for the runner, and so for everything that it runs. */
	assert_string_equal(w->text, "[last]");
	for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) {
		usleep(10000); /* Its new parent has to collect it. */
	}
	assert_int_not_equal(kill(pid, 0), 0);
}

static void a_left_over_that_holds_the_output_does_not_stop_the_next_run(void **state)
{
	struct world *w = *state;

	/* In a session of its own it is not killed with the group. */
	add_script(w, "echo run; setsid sleep 8 & exit 0");
	start(w);
	WAIT_FOR(w, w->ended == 2);
	assert_int_equal(strncmp(w->text, "[run][run]", 10), 0);
}

static void one_that_cannot_be_started_is_told_and_tried_again(void **state)
{
	struct world *w = *state;
	char path[128];

	add_script(w, "echo never");
	start(w);
	/* Changed hands after the start. */
	snprintf(path, sizeof path, "%s/script0", w->dir);
	WAIT_FOR(w, w->ended == 1);
	assert_int_equal(chmod(path, 0777), 0);
	WAIT_FOR(w, w->end.how == COMMAND_FAILED);
	assert_int_equal(w->end.status, UV_EACCES);
	assert_int_equal(chmod(path, 0755), 0);
	WAIT_FOR(w, w->end.how == COMMAND_EXITED);
}

static void a_program_that_others_can_change_is_refused_at_the_start(void **state)
{
	struct world *w = *state;
	char path[128];
	int fd;

	add_script(w, "echo never");
	snprintf(path, sizeof path, "%s/script0", w->dir);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(runner_start(&w->options, "/none", "nobody", true, &w->runner, &fd,
				  w->why),
			 UV_EACCES);
	assert_non_null(strstr(w->why, "sources.commands"));
	assert_non_null(strstr(w->why, path));
	assert_int_equal(fd, -1);
	assert_int_equal(w->runner, 0);
}

static void a_runner_that_is_gone_is_told_for_every_command(void **state)
{
	struct world *w = *state;
	int status;

	add_script(w, "echo a; sleep 60");
	add_script(w, "echo b; sleep 60");
	w->position = 0;
	start(w);
	WAIT_FOR(w, w->opened == 2);
	kill(w->runner, SIGKILL);
	WAIT_FOR(w, w->ended == 2);
	assert_int_equal(w->end.how, COMMAND_LOST);
	assert_int_equal(w->end.again_ms, 0);
	assert_int_equal(waitpid(w->runner, &status, 0), w->runner);
	w->runner = 0;
}

static void it_has_no_rights_and_an_empty_environment(void **state)
{
	struct world *w = *state;

	add_script(w, "env | grep -v -e '^PATH=' -e '^PWD=' -e '^_=' -e ^SHLVL -e ^OLDPWD; "
		      "pwd; umask; grep -h -e ^NoNewPrivs -e ^CapEff -e ^Seccomp: "
		      "/proc/self/status | tr -d '\\t'; cat; sleep 60");
	start(w);
	WAIT_FOR(w, strstr(w->text, "Seccomp") != NULL);
	assert_string_equal(w->text, "[/][0027][CapEff:0000000000000000][NoNewPrivs:1]"
				     "[Seccomp:2]");
}

static void without_commands_no_process_is_started(void **state)
{
	struct world *w = *state;
	int fd;

	assert_int_equal(runner_start(&w->options, "/none", "nobody", true, &w->runner, &fd,
				  w->why),
			 0);
	assert_int_equal(fd, -1);
	assert_int_equal(w->runner, 0);
}

static void killing_the_agent_kills_what_runs(void **state)
{
	struct world *w = *state;

	add_script(w, "trap ': >$DIR/ended; exit 0' TERM; echo up; sleep 60 & wait");
	assert_int_equal(chmod(w->dir, 01777), 0);
	start(w);
	WAIT_FOR(w, w->n_text > 0);
	/* free() alone is what a crash does. */
	w->source->ops->free(w->source);
	w->source = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	wait_for_runner(w);
	assert_true(exists(w, "ended"));
	w->closed = w->opened;
}

/* Every call of the table that can fail while a source is made. */
static void every_failing_call_while_it_is_made_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct command_callbacks cb = callbacks(w);
	int rc = -1;

	add_script(w, "echo x");
	add_script(w, "echo y");
	for (int n = 0; rc != 0 && n < 50; n++) {
		struct fault_sys fault;
		struct source *source;
		int pair[2];

		fault_sys_init(&fault, n, UV_EIO);
		fault.real = &w->sys.sys;
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair),
				 0);
		rc = commands_new(&source, &w->loop, &fault.sys, pair[0], &w->options,
				  w->secret, &cb);
		assert_true(rc == 0 ? !fault.fired : rc == UV_EIO);
		if (rc == 0) {
			source->ops->free(source);
		}
		uv_run(&w->loop, UV_RUN_DEFAULT);
		close(pair[1]);
	}
	assert_int_equal(rc, 0);
}

static void messages_come_back_as_they_were(void **state)
{
	struct world *w = *state;
	struct runner_message m = {RUNNER_SIGNALED, 3, 9}, out;
	struct runner_table t;
	struct buf b;

	add_script(w, "");
	assert_int_equal(strlist_add(&w->list[0].command, SLICE_LIT("-f")), 0);
	buf_init(&b, WORKER_MESSAGE_MAX);
	assert_int_equal(runner_message_encode(&b, &m), 0);
	assert_int_equal(runner_message_decode(&out, buf_slice(&b)), 0);
	assert_int_equal(out.type, RUNNER_SIGNALED);
	assert_int_equal(out.command, 3);
	assert_int_equal(out.status, 9);
	for (size_t n = 0; n < b.n; n++) {
		assert_int_not_equal(runner_message_decode(&out, slice(b.p, n)), 0);
	}
	buf_clear(&b);
	assert_int_equal(runner_table_encode(&b, "nobody", true, &w->options), 0);
	assert_int_equal(runner_table_decode(&t, buf_slice(&b)), 0);
	assert_string_equal(t.user, "nobody");
	assert_true(t.sandbox);
	assert_int_equal(t.n, 1);
	assert_string_equal(t.commands[0].v[1], "-f");
	runner_table_free(&t);
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(runner_table_decode(&t, slice(b.p, n)), ERR_MALFORMED);
	}
	buf_fini(&b);
	make(w, "unused");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_come_as_they_are_written),
		TEST(one_that_ends_is_told_and_started_again_in_the_same_stream),
		TEST(one_that_is_killed_is_told_with_its_signal),
		TEST(what_it_says_on_standard_error_is_told_with_limits),
		TEST(it_waits_while_there_is_no_room_and_nothing_is_lost),
		TEST(the_next_run_does_not_continue_a_line_that_was_not_taken),
		TEST(stopping_takes_what_was_written_and_ends_the_whole_group),
		TEST(a_left_over_that_holds_the_output_does_not_stop_the_next_run),
		TEST(one_that_cannot_be_started_is_told_and_tried_again),
		TEST(a_program_that_others_can_change_is_refused_at_the_start),
		TEST(a_runner_that_is_gone_is_told_for_every_command),
		TEST(it_has_no_rights_and_an_empty_environment),
		TEST(without_commands_no_process_is_started),
		TEST(killing_the_agent_kills_what_runs),
		TEST(every_failing_call_while_it_is_made_leaves_nothing),
		TEST(messages_come_back_as_they_were),
	};

	if (argc == 3 && strcmp(argv[1], RUNNER_FLAG) == 0) {
		return runner_main(WORKER_FD, &(struct worker_config){.path = argv[2]});
	}
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
