/* Hooks as the daemons use them: files, and programs by way of a real helper
 * process, which is this very program started as "test_hooks --helper". */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "hooks/helper.h"
#include "hooks/hooks.h"
#include "tests/support/fault_sys.h"

enum { HOOKS = 4, PATIENCE_MS = 20000 };

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct hooks *hooks;
	struct hook_options table[HOOKS];
	struct hooks_options options;
	pid_t helper;
	char dir[64];
	char paths[HOOKS][128]; /* of file hooks */
	char why[HELPER_WHY];
	int closed;
	char logged[8192]; /* what was logged, one line after the other */
	size_t n_logged;
};

/* ---- support ---- */

static void keep_log(void *arg, enum log_level level, struct slice line)
{
	struct world *w = arg;
	size_t n = line.n < sizeof w->logged - 1 - w->n_logged
			   ? line.n
			   : sizeof w->logged - 1 - w->n_logged;

	(void)level;
	memcpy(w->logged + w->n_logged, line.p, n);
	w->n_logged += n;
	w->logged[w->n_logged] = '\0';
}

static char *in_dir(const struct world *w, const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", w->dir, name);
	return p;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-hooks-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	/* The helper gives up root; what programs write goes here. */
	assert_int_equal(mkdir(in_dir(w, "out"), 0700), 0);
	assert_int_equal(chmod(in_dir(w, "out"), 0777), 0);
	w->options.hooks = w->table;
	log_set_sink(keep_log, w);
	*state = w;
	return 0;
}

static void on_closed(void *arg)
{
	((struct world *)arg)->closed++;
}

static void close_hooks(struct world *w, uint64_t grace_ms)
{
	int status;

	hooks_close(w->hooks, grace_ms, on_closed, w);
	assert_int_equal(w->closed, 0);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->closed, 1);
	w->hooks = NULL;
	if (w->helper > 0) {
		assert_int_equal(waitpid(w->helper, &status, 0), w->helper);
		w->helper = 0;
	}
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[96];

	if (w->hooks != NULL) {
		close_hooks(w, 0);
	}
	assert_int_equal(uv_loop_close(&w->loop), 0);
	log_set_sink(NULL, NULL);
	for (size_t i = 0; i < w->options.n_hooks; i++) {
		strlist_fini(&w->table[i].command);
	}
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static struct hook_options *add_hook(struct world *w, enum hook_type type, const char *path)
{
	char *kept = w->paths[w->options.n_hooks];
	struct hook_options *h = &w->table[w->options.n_hooks++];
	static char names[HOOKS][2] = {"a", "b", "c", "d"};

	snprintf(kept, sizeof w->paths[0], "%s", path);
	*h = (struct hook_options){.name = names[w->options.n_hooks - 1], .type = type,
				   .path = kept, .timeout_ms = 10000, .concurrency = 2};
	return h;
}

/* A program of the test's own: a shell script in the world's folder; $OUT is where
 * it may write. */
static char *write_script(struct world *w, const char *name, const char *body)
{
	char *path = in_dir(w, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nOUT=%s/out\n%s\n", w->dir, body);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static struct hook_options *add_script(struct world *w, const char *name, const char *body)
{
	struct hook_options *h = add_hook(w, HOOK_EXEC, "");

	assert_int_equal(strlist_add(&h->command, slice_str(write_script(w, name, body))), 0);
	return h;
}

static int try_start(struct world *w, int *fd)
{
	return helper_start(&w->options, in_dir(w, "config"), "nobody", true, &w->helper, fd,
			    w->why);
}

static void open_hooks(struct world *w)
{
	int fd;
	int rc = try_start(w, &fd);

	if (rc != 0) {
		fail_msg("%s", w->why);
	}
	assert_int_equal(hooks_new(&w->hooks, &w->loop, &w->sys.sys, &w->options, fd), 0);
}

static struct slice alert_text(unsigned number, const char *severity, const char *user)
{
	static char text[4096];
	int n = snprintf(text, sizeof text,
			 "{\"user\":{\"name\":\"%s\"},\"source\":{\"ip\":\"203.0.113.9\"},"
			 "\"rule\":{\"id\":\"r-1\",\"name\":\"Many failed logins\"},"
			 "\"alert\":{\"id\":\"%032x\",\"state\":\"new\",\"severity\":\"%s\","
			 "\"first\":\"2026-11-22T15:37:46Z\",\"last\":\"2026-11-22T15:38:00.5Z\","
			 "\"count\":12,\"device\":\"gateway\"}}",
			 user, number, severity);

	assert_in_range(n, 1, sizeof text - 1);
	return slice(text, (size_t)n);
}

static void raise_alert(struct world *w, unsigned number)
{
	hooks_alert_json(w->hooks, SLICE_NONE, alert_text(number, "high", "root"));
}

static uint64_t number_of(const struct world *w, size_t hook, const char *member)
{
	struct buf b;
	struct json j;
	const char *at;
	char key[32];
	unsigned long long v = 0;

	buf_init(&b, 65536);
	j = json_begin(&b);
	json_object(&j, NULL);
	hooks_status(w->hooks, &j);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add_u8(&b, 0), 0);
	at = b.p;
	for (size_t i = 0; i <= hook; i++) {
		at = strstr(at + 1, "\"name\"");
		assert_non_null(at);
	}
	snprintf(key, sizeof key, "\"%s\":", member);
	at = strstr(at, key);
	assert_non_null(at);
	v = strtoull(at + strlen(key), NULL, 10);
	buf_fini(&b);
	return v;
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Turns the loop until the member has the value. */
static void wait_number(struct world *w, size_t hook, const char *member, uint64_t value)
{
	uv_timer_t tick;
	uint64_t end = uv_hrtime() + PATIENCE_MS * UINT64_C(1000000);

	uv_timer_init(&w->loop, &tick);
	uv_timer_start(&tick, on_tick, 5, 5);
	while (number_of(w, hook, member) != value && uv_hrtime() < end) {
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	if (number_of(w, hook, member) != value) {
		fail_msg("%s is %llu, not %llu; logged: %s", member,
			 (unsigned long long)number_of(w, hook, member),
			 (unsigned long long)value, w->logged);
	}
}

static void read_text(const char *path, char *out, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL) {
		fail_msg("%s: %s", path, strerror(errno));
		return;
	}
	n = fread(out, 1, room - 1, f);
	out[n] = '\0';
	fclose(f);
}

static size_t count_lines(const char *path)
{
	char text[65536];
	size_t n = 0;

	read_text(path, text, sizeof text);
	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
		n++;
	}
	return n;
}

/* ---- exec ---- */

static void a_program_gets_the_alert_and_its_variables(void **state)
{
	struct world *w = *state;
	char text[4096];

	add_script(w, "hook", "env >$OUT/env; cat >$OUT/in; echo \"$# $1\" >$OUT/args");
	assert_int_equal(strlist_add(&w->table[0].command, slice_str("two words")), 0);
	open_hooks(w);
	raise_alert(w, 7);
	wait_number(w, 0, "delivered", 1);
	read_text(in_dir(w, "out/in"), text, sizeof text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	text[strlen(text) - 1] = '\0';
	assert_string_equal(text, alert_text(7, "high", "root").p);
	read_text(in_dir(w, "out/args"), text, sizeof text);
	assert_string_equal(text, "1 two words\n");
	read_text(in_dir(w, "out/env"), text, sizeof text);
	assert_non_null(strstr(text, "NIGHTJAR_ID=00000000000000000000000000000007\n"));
	assert_non_null(strstr(text, "NIGHTJAR_RULE=Many failed logins\n"));
	assert_non_null(strstr(text, "NIGHTJAR_RULE_ID=r-1\n"));
	assert_non_null(strstr(text, "NIGHTJAR_SEVERITY=high\n"));
	assert_non_null(strstr(text, "NIGHTJAR_STATE=new\n"));
	assert_non_null(strstr(text, "NIGHTJAR_COUNT=12\n"));
	assert_non_null(strstr(text, "NIGHTJAR_FIRST=2026-11-22T15:37:46Z\n"));
	assert_non_null(strstr(text, "NIGHTJAR_LAST=2026-11-22T15:38:00.5Z\n"));
	assert_non_null(strstr(text, "NIGHTJAR_DEVICE=gateway\n"));
	assert_non_null(strstr(text, "NIGHTJAR_SOURCE_IP=203.0.113.9\n"));
	assert_non_null(strstr(text, "NIGHTJAR_USER=root\n"));
	assert_non_null(strstr(text, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"));
	assert_null(strstr(text, "HOME="));
}

static void an_attackers_name_has_no_control_characters_in_a_variable(void **state)
{
	struct world *w = *state;
	char text[256];

	add_script(w, "hook", "printf %s \"$NIGHTJAR_USER\" >$OUT/user");
	open_hooks(w);
	hooks_alert_json(w->hooks, SLICE_NONE,
			 alert_text(1, "high", "a\\u0000b\\nc\\u001b[2J\\u009b1mé"));
	wait_number(w, 0, "delivered", 1);
	read_text(in_dir(w, "out/user"), text, sizeof text);
	assert_string_equal(text, "a?b?c?[2J?1mé");
}

static void a_program_has_neither_root_nor_new_rights(void **state)
{
	struct world *w = *state;
	char text[256];

	add_script(w, "hook",
		   "{ id -u; id -G; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' "
		   "/proc/self/status; pwd; umask; ls /proc/self/fd | wc -l; } >$OUT/facts");
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "delivered", 1);
	read_text(in_dir(w, "out/facts"), text, sizeof text);
	assert_null(strstr(text, "\n0\n"));
	assert_true(text[0] != '0');
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "Seccomp:\t2\n"));
	assert_non_null(strstr(text, "\n/\n0027\n"));
	/* 0, 1, 2 and the folder that ls reads. */
	assert_non_null(strstr(text, "\n4\n"));
}

static void a_name_space_of_its_own_is_refused_to_a_program(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "if unshare -Ur true 2>/dev/null; then exit 3; fi");
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "delivered", 1);
}

static void failure_of_a_program_is_counted_and_logged_with_its_status(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "exit 9");
	add_script(w, "killed", "kill -KILL $$");
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "failed", 1);
	wait_number(w, 1, "failed", 1);
	assert_non_null(strstr(w->logged, "status=9"));
	assert_non_null(strstr(w->logged, "signal=9"));
	assert_non_null(strstr(w->logged, "alert=00000000000000000000000000000001"));
}

static void a_program_that_hangs_is_ended_with_its_whole_group(void **state)
{
	struct world *w = *state;
	char text[64];
	pid_t child;

	/* It ignores SIGTERM, and its child does. */
	add_script(w, "hook", "trap '' TERM\nsleep 60 & echo $! >$OUT/child; sleep 60; sleep 60");
	w->table[0].timeout_ms = 300;
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "failed", 1);
	assert_non_null(strstr(w->logged, "took too long"));
	read_text(in_dir(w, "out/child"), text, sizeof text);
	child = (pid_t)strtol(text, NULL, 10);
	assert_true(child > 1);
	for (int i = 0; i < 200 && kill(child, 0) == 0; i++) {
		usleep(10000); /* Its parent was killed: init reaps it. */
	}
	read_text("/proc/self/stat", text, sizeof text);
	assert_int_equal(kill(child, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void what_a_program_leaves_behind_is_ended_with_it(void **state)
{
	struct world *w = *state;
	char text[64];
	pid_t child;

	add_script(w, "hook", "sleep 60 & echo $! >$OUT/child");
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "delivered", 1);
	read_text(in_dir(w, "out/child"), text, sizeof text);
	child = (pid_t)strtol(text, NULL, 10);
	for (int i = 0; i < 200 && kill(child, 0) == 0; i++) {
		usleep(10000);
	}
	assert_int_equal(kill(child, 0), -1);
}

static void no_more_programs_run_at_one_time_than_configured(void **state)
{
	struct world *w = *state;
	char text[256];

	/* Each says how many it sees, itself among them. */
	add_script(w, "hook", "mkdir $OUT/run.$$; ls $OUT | grep -c run. >>$OUT/seen; sleep 0.2; "
			      "rmdir $OUT/run.$$");
	open_hooks(w);
	for (unsigned i = 0; i < 7; i++) {
		raise_alert(w, i);
	}
	assert_int_equal(number_of(w, 0, "running"), 2);
	assert_int_equal(number_of(w, 0, "waiting"), 5);
	wait_number(w, 0, "delivered", 7);
	read_text(in_dir(w, "out/seen"), text, sizeof text);
	assert_int_equal(strspn(text, "12\n"), strlen(text));
	assert_non_null(strchr(text, '2'));
}

static void a_queue_is_bounded_and_what_it_drops_is_counted(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "exec sleep 60");
	w->table[0].concurrency = 1;
	open_hooks(w);
	for (unsigned i = 0; i < HOOKS_QUEUE + 1 + 5; i++) {
		raise_alert(w, i);
	}
	assert_int_equal(number_of(w, 0, "running"), 1);
	assert_int_equal(number_of(w, 0, "waiting"), HOOKS_QUEUE);
	assert_int_equal(number_of(w, 0, "dropped"), 5);
	assert_non_null(strstr(w->logged, "too many wait already"));
	/* The program goes with the test, the helper by itself after it. */
	kill(w->helper, SIGKILL);
}

static void severity_decides_which_hook_gets_an_alert(void **state)
{
	struct world *w = *state;

	add_hook(w, HOOK_FILE, in_dir(w, "all"));
	add_hook(w, HOOK_FILE, in_dir(w, "worst"))->min_severity = SEVERITY_CRITICAL;
	open_hooks(w);
	hooks_alert_json(w->hooks, SLICE_NONE, alert_text(1, "low", "x"));
	hooks_alert_json(w->hooks, SLICE_NONE, alert_text(2, "critical", "x"));
	assert_int_equal(number_of(w, 0, "delivered"), 2);
	assert_int_equal(number_of(w, 1, "delivered"), 1);
}

static void an_alert_of_this_process_reaches_the_same_hooks(void **state)
{
	struct world *w = *state;
	struct slice json = alert_text(7, "high", "root");
	struct alert a = {.severity = SEVERITY_HIGH, .json = json};
	char text[4096], want[4096];

	add_hook(w, HOOK_FILE, in_dir(w, "all"))->min_severity = SEVERITY_HIGH;
	add_hook(w, HOOK_FILE, in_dir(w, "worst"))->min_severity = SEVERITY_CRITICAL;
	add_script(w, "hook", "env >$OUT/env; mv $OUT/env $OUT/all");
	open_hooks(w);
	hooks_alert(w->hooks, &a);
	snprintf(want, sizeof want, "%.*s\n", (int)json.n, json.p);
	read_text(in_dir(w, "all"), text, sizeof text);
	assert_string_equal(text, want);
	assert_int_equal(number_of(w, 1, "delivered"), 0);
	wait_number(w, 2, "delivered", 1);
	read_text(in_dir(w, "out/all"), text, sizeof text);
	assert_non_null(strstr(text, "NIGHTJAR_USER=root\n"));
}

static void the_death_of_the_helper_is_said_and_alerts_are_counted(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "exec sleep 60");
	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	w->table[0].concurrency = 1;
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	assert_int_equal(kill(w->helper, SIGKILL), 0);
	wait_number(w, 0, "dropped", 2);
	assert_non_null(strstr(w->logged, "restart the service"));
	assert_non_null(strstr(w->logged, "undelivered=2"));
	raise_alert(w, 3);
	assert_int_equal(number_of(w, 0, "dropped"), 3);
	assert_int_equal(number_of(w, 1, "delivered"), 3);
}

static void closing_waits_for_programs_that_run_and_alerts_that_wait(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "sleep 0.2; echo x >>$OUT/done");
	w->table[0].concurrency = 1;
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	close_hooks(w, PATIENCE_MS);
	assert_int_equal(count_lines(in_dir(w, "out/done")), 2);
}

static void closing_ends_when_its_grace_does_and_says_what_was_left(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "exec sleep 1");
	w->table[0].concurrency = 1;
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	close_hooks(w, 50);
	assert_non_null(strstr(w->logged, "undelivered=1 running=1"));
}

static void refuses(struct world *w, const char *what)
{
	int fd;

	assert_true(try_start(w, &fd) < 0);
	assert_int_equal(fd, -1);
	assert_int_equal(w->helper, 0);
	if (strstr(w->why, what) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", w->why, what);
	}
}

static void a_program_that_others_can_change_is_refused(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "true");
	chmod(in_dir(w, "hook"), 0775);
	refuses(w, "hook can be written by others");
	chmod(in_dir(w, "hook"), 0757);
	refuses(w, "hook can be written by others");
	chmod(in_dir(w, "hook"), 0755);
	chmod(w->dir, 0757);
	refuses(w, w->dir);
	chmod(w->dir, 0755);
	open_hooks(w);
}

static void a_program_is_looked_at_again_before_each_run(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "true");
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "delivered", 1);
	chmod(in_dir(w, "hook"), 0777);
	raise_alert(w, 2);
	wait_number(w, 0, "failed", 1);
	assert_non_null(strstr(w->logged, "permission denied"));
	unlink(in_dir(w, "hook"));
	raise_alert(w, 3);
	wait_number(w, 0, "failed", 2);
	assert_non_null(strstr(w->logged, "no such file"));
}

static void a_program_without_its_interpreter_is_reported_as_not_started(void **state)
{
	struct world *w = *state;
	struct hook_options *h = add_hook(w, HOOK_EXEC, "");
	FILE *f = fopen(in_dir(w, "hook"), "w");

	fprintf(f, "#!/no/such/shell\n");
	fclose(f);
	chmod(in_dir(w, "hook"), 0755);
	assert_int_equal(strlist_add(&h->command, slice_str(in_dir(w, "hook"))), 0);
	open_hooks(w);
	raise_alert(w, 1);
	wait_number(w, 0, "failed", 1);
	assert_non_null(strstr(w->logged, "cannot be started"));
}

static void relative_missing_and_other_programs_are_refused(void **state)
{
	struct world *w = *state;
	struct hook_options *h = add_hook(w, HOOK_EXEC, "");

	assert_int_equal(strlist_add(&h->command, SLICE_LIT("bin/true")), 0);
	refuses(w, "a: bin/true is not an absolute path");
	strlist_fini(&h->command);
	assert_int_equal(strlist_add(&h->command, SLICE_LIT("/no/such/program")), 0);
	refuses(w, "/no: no such file");
	strlist_fini(&h->command);
	assert_int_equal(strlist_add(&h->command, SLICE_LIT("/etc")), 0);
	refuses(w, "/etc is not a regular file");
	strlist_fini(&h->command);
	assert_int_equal(strlist_add(&h->command, SLICE_LIT("/etc/passwd")), 0);
	refuses(w, "cannot be executed");
}

static void exec_hooks_without_a_helper_are_an_error(void **state)
{
	struct world *w = *state;

	add_script(w, "hook", "true");
	assert_int_equal(hooks_new(&w->hooks, &w->loop, &w->sys.sys, &w->options, -1),
			 UV_EINVAL);
	assert_null(w->hooks);
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

static void without_exec_hooks_no_process_is_started(void **state)
{
	struct world *w = *state;
	int fd = 7;

	add_hook(w, HOOK_STDERR, "");
	assert_int_equal(try_start(w, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(w->helper, 0);
}

/* ---- what comes in ---- */

static void what_is_no_alert_reaches_no_hook(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "{}", "{\"alert\":{}}", "{\"alert\":[]}",
		"{\"alert\":{\"id\":\"../../../../etc/passwd0123456789\",\"state\":\"new\","
		"\"severity\":\"high\"}}",
		"{\"alert\":{\"id\":\"00000000000000000000000000000001\",\"state\":\"odd\","
		"\"severity\":\"high\"}}",
		"{\"alert\":{\"id\":\"00000000000000000000000000000001\",\"state\":\"new\","
		"\"severity\":\"odd\"}}",
		"{\"alert\":{\"id\":\"00000000000000000000000000000001\",\"state\":\"new\","
		"\"severity\":\"high\"}} x",
	};
	struct world *w = *state;

	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		hooks_alert_json(w->hooks, SLICE_LIT("gw\n"), slice_str(texts[i]));
	}
	assert_int_equal(number_of(w, 0, "delivered"), 0);
	assert_int_equal(access(in_dir(w, "file"), F_OK), -1);
	assert_non_null(strstr(w->logged, "cannot be handed to the hooks"));
}

static void an_alert_is_one_line_with_the_device_that_sent_it(void **state)
{
	struct world *w = *state;
	char text[4096];

	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	hooks_alert_json(
		w->hooks, SLICE_LIT("liar"),
		slice_str("{\n\"alert\":\r\n{\"id\":\"00000000000000000000000000000001\","
			  "\"state\":\"new\",\n\"severity\":\"low\",\"device\":\"good\"}}"));
	hooks_alert_json(w->hooks, SLICE_NONE,
			 slice_str("{\n\"alert\":\n{\"id\":\"00000000000000000000000000000001\","
				   "\"state\":\"new\",\"severity\":\"low\"}}"));
	read_text(in_dir(w, "file"), text, sizeof text);
	assert_string_equal(text,
			    "{\"alert\":{\"id\":\"00000000000000000000000000000001\","
			    "\"state\":\"new\",\"severity\":\"low\",\"device\":\"liar\"}}\n"
			    "{ \"alert\": {\"id\":\"00000000000000000000000000000001\","
			    "\"state\":\"new\",\"severity\":\"low\"}}\n");
}

static void the_largest_alert_reaches_file_and_program(void **state)
{
	struct world *w = *state;
	char *text = malloc(LIMIT_ALERT_JSON + 1);
	struct slice small = alert_text(1, "high", "x");
	struct stat st;

	assert_non_null(text);
	memset(text, ' ', LIMIT_ALERT_JSON + 1);
	memcpy(text, small.p, small.n);
	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	add_script(w, "hook", "cat >$OUT/in");
	open_hooks(w);
	hooks_alert_json(w->hooks, SLICE_NONE, slice(text, LIMIT_ALERT_JSON));
	wait_number(w, 1, "delivered", 1);
	assert_int_equal(stat(in_dir(w, "out/in"), &st), 0);
	assert_int_equal(st.st_size, LIMIT_ALERT_JSON + 1);
	hooks_alert_json(w->hooks, SLICE_NONE, slice(text, LIMIT_ALERT_JSON + 1));
	assert_int_equal(number_of(w, 0, "delivered"), 1);
	free(text);
}

/* ---- file ---- */

static void a_file_that_was_renamed_is_made_anew(void **state)
{
	struct world *w = *state;
	struct stat st;

	umask(0);
	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	raise_alert(w, 1);
	raise_alert(w, 2);
	assert_int_equal(rename(in_dir(w, "file"), in_dir(w, "file.1")), 0);
	raise_alert(w, 3);
	assert_int_equal(count_lines(in_dir(w, "file.1")), 2);
	assert_int_equal(count_lines(in_dir(w, "file")), 1);
	assert_int_equal(stat(in_dir(w, "file"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	umask(022);
}

static void half_a_line_that_a_crash_left_is_ended_first(void **state)
{
	struct world *w = *state;
	char text[4096];
	FILE *f = fopen(in_dir(w, "file"), "w");

	fprintf(f, "{\"half");
	fclose(f);
	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	raise_alert(w, 1);
	read_text(in_dir(w, "file"), text, sizeof text);
	assert_memory_equal(text, "{\"half\n{\"user\"", 14);
}

/* Disk full: a limit on the size of files does what a full disk does, and the line
 * that was begun is taken back. */
static void an_alert_waits_for_room_and_leaves_no_half_line(void **state)
{
	struct world *w = *state;
	struct rlimit before, small;
	size_t one = alert_text(1, "high", "root").n + 1;
	struct stat st;

	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	open_hooks(w);
	raise_alert(w, 1);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = one + one / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	raise_alert(w, 2);
	raise_alert(w, 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(stat(in_dir(w, "file"), &st), 0);
	assert_int_equal(st.st_size, one);
	assert_int_equal(number_of(w, 0, "waiting"), 2);
	wait_number(w, 0, "delivered", 3);
	assert_int_equal(count_lines(in_dir(w, "file")), 3);
	assert_non_null(strstr(w->logged, "cannot write an alert"));
	assert_non_null(strstr(w->logged, "can be written again"));
}

static void a_folder_that_is_missing_is_waited_for(void **state)
{
	struct world *w = *state;

	add_hook(w, HOOK_FILE, in_dir(w, "later/file"));
	open_hooks(w);
	raise_alert(w, 1);
	assert_int_equal(number_of(w, 0, "waiting"), 1);
	assert_int_equal(mkdir(in_dir(w, "later"), 0755), 0);
	wait_number(w, 0, "delivered", 1);
	assert_int_equal(count_lines(in_dir(w, "later/file")), 1);
}

static void a_pipe_is_no_file_and_stops_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkfifo(in_dir(w, "pipe"), 0600), 0);
	add_hook(w, HOOK_FILE, in_dir(w, "pipe"));
	open_hooks(w);
	raise_alert(w, 1);
	assert_int_equal(number_of(w, 0, "waiting"), 1);
	assert_non_null(strstr(w->logged, "not a regular file"));
}

static int timer_new(struct sys *s, struct sys_timer **out, sys_timer_cb cb, void *arg)
{
	return sys_timer_new(((struct fault_sys *)s)->real, out, cb, arg);
}

static void timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	sys_timer_set(((struct fault_sys *)s)->real, t, ms / 100);
}

static void timer_free(struct sys *s, struct sys_timer *t)
{
	sys_timer_free(((struct fault_sys *)s)->real, t);
}

/* Each file call fails in turn; every alert arrives all the same, and once. */
static void no_call_that_fails_loses_or_doubles_an_alert(void **state)
{
	struct world *w = *state;
	bool fired = true;

	add_hook(w, HOOK_FILE, in_dir(w, "file"));
	for (int n = 0; fired; n++) {
		struct fault_sys f;

		assert_true(n < 100);
		fault_sys_init(&f, n, UV_EIO);
		f.real = &w->sys.sys;
		f.ops.timer_new = timer_new;
		f.ops.timer_set = timer_set;
		f.ops.timer_free = timer_free;
		unlink(in_dir(w, "file"));
		unlink(in_dir(w, "file.1"));
		w->closed = 0;
		assert_int_equal(hooks_new(&w->hooks, &w->loop, &f.sys, &w->options, -1), 0);
		raise_alert(w, 1);
		rename(in_dir(w, "file"), in_dir(w, "file.1"));
		raise_alert(w, 2);
		wait_number(w, 0, "delivered", 2);
		assert_int_equal(count_lines(in_dir(w, "file")) +
					 (access(in_dir(w, "file.1"), F_OK) == 0
						  ? count_lines(in_dir(w, "file.1"))
						  : 0),
				 2);
		close_hooks(w, 1000);
		fired = f.fired;
	}
}

/* ---- standard error ---- */

static void standard_error_gets_one_line_for_people(void **state)
{
	struct world *w = *state;
	char text[512];
	int out = open(in_dir(w, "stderr"), O_CREAT | O_RDWR, 0600), saved = dup(2);

	add_hook(w, HOOK_STDERR, "");
	open_hooks(w);
	assert_int_equal(dup2(out, 2), 2);
	hooks_alert_json(w->hooks, SLICE_NONE, alert_text(1, "high", "ro\\u001b[31mot"));
	dup2(saved, 2);
	close(saved);
	close(out);
	read_text(in_dir(w, "stderr"), text, sizeof text);
	assert_string_equal(text, "HIGH Many failed logins: 12 from 203.0.113.9, user ro?[31mot, "
				  "on gateway, new 00000000000000000000000000000001\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_program_gets_the_alert_and_its_variables),
		TEST(an_attackers_name_has_no_control_characters_in_a_variable),
		TEST(a_program_has_neither_root_nor_new_rights),
		TEST(a_name_space_of_its_own_is_refused_to_a_program),
		TEST(failure_of_a_program_is_counted_and_logged_with_its_status),
		TEST(a_program_that_hangs_is_ended_with_its_whole_group),
		TEST(what_a_program_leaves_behind_is_ended_with_it),
		TEST(no_more_programs_run_at_one_time_than_configured),
		TEST(a_queue_is_bounded_and_what_it_drops_is_counted),
		TEST(severity_decides_which_hook_gets_an_alert),
		TEST(an_alert_of_this_process_reaches_the_same_hooks),
		TEST(the_death_of_the_helper_is_said_and_alerts_are_counted),
		TEST(closing_waits_for_programs_that_run_and_alerts_that_wait),
		TEST(closing_ends_when_its_grace_does_and_says_what_was_left),
		TEST(a_program_that_others_can_change_is_refused),
		TEST(a_program_is_looked_at_again_before_each_run),
		TEST(a_program_without_its_interpreter_is_reported_as_not_started),
		TEST(relative_missing_and_other_programs_are_refused),
		TEST(exec_hooks_without_a_helper_are_an_error),
		TEST(without_exec_hooks_no_process_is_started),
		TEST(what_is_no_alert_reaches_no_hook),
		TEST(an_alert_is_one_line_with_the_device_that_sent_it),
		TEST(the_largest_alert_reaches_file_and_program),
		TEST(a_file_that_was_renamed_is_made_anew),
		TEST(half_a_line_that_a_crash_left_is_ended_first),
		TEST(an_alert_waits_for_room_and_leaves_no_half_line),
		TEST(a_folder_that_is_missing_is_waited_for),
		TEST(a_pipe_is_no_file_and_stops_nothing),
		TEST(no_call_that_fails_loses_or_doubles_an_alert),
		TEST(standard_error_gets_one_line_for_people),
	};

	if (argc == 3 && strcmp(argv[1], "--helper") == 0) {
		return helper_main(WORKER_FD, &(struct worker_config){.path = argv[2]});
	}
	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
