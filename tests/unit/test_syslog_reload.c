/* Another list of syslog sockets while they are read: real sockets on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "sources/syslog.h"

enum { SOCKETS = 3, TEXT = 8192, PATIENCE_MS = 20000 };

struct wanted {
	struct sources_syslog list[SOCKETS];
	char paths[SOCKETS][128];
	struct sources_options options;
};

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct wanted lists[2];
	struct sockets sockets;
	struct socket_calls calls;
	struct source *source;
	unsigned char secret[STREAM_SECRET];
	char dir[64], why[SOCKETS_WHY], notes[1024];
	char text[TEXT]; /* "label:message " of each */
	int opened, closed;
	bool full; /* nothing is taken */
	struct sources_taken taken;
};

static void on_opened(void *arg, struct stream *s)
{
	(void)s;
	((struct world *)arg)->opened++;
}

static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct world *w = arg;
	size_t n = strlen(w->text);

	(void)h;
	if (w->full) {
		return ERR_AGAIN;
	}
	snprintf(w->text + n, TEXT - n, "%s:%.*s ", s->about->label, SLICE_ARG(line->text));
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct world *w = arg;

	(void)s;
	(void)from;
	(void)to;
	(void)reason;
	return w->full ? ERR_AGAIN : 0;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)s;
	(void)why;
	((struct world *)arg)->closed++;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened, .closed = on_closed, .entry = on_entry, .lost = on_lost};

/* ---- support ---- */

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	snprintf(w->dir, sizeof w->dir, "/tmp/test_syslog.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->calls = socket_calls;
	for (size_t i = 0; i < 2; i++) {
		w->lists[i].options.syslog = w->lists[i].list;
		w->lists[i].options.line_max = 300;
	}
	memset(w->secret, 7, sizeof w->secret);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[96];

	if (w->source != NULL) {
		w->source->ops->stop(w->source);
		assert_int_equal(w->closed, w->opened);
		w->source->ops->free(w->source);
	}
	sockets_close(&w->sockets);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static struct sources_syslog *want(struct world *w, struct wanted *l,
				   enum sources_syslog_type type, const char *name)
{
	static char nothing[] = "", mode[] = "0660", utc[] = "UTC", any[] = "127.0.0.1",
		    label[] = "one";
	size_t i = l->options.n_syslog++;

	assert_true(i < SOCKETS);
	snprintf(l->paths[i], sizeof l->paths[i], "%s/%s", w->dir, name);
	l->list[i] = (struct sources_syslog){
		.type = type, .path = l->paths[i], .mode = mode, .owner = nothing,
		.address = any, .about = {label, nothing, utc, SOURCES_FULL_DEFAULT},
		.burst = 100, .peers = 4, .connections = 4, .buffer = 65536,
		.receive_buffer = 65536,
	};
	return &l->list[i];
}

static void start(struct world *w)
{
	const struct sources_options *o = &w->lists[0].options;

	assert_int_equal(sockets_open(&w->sockets, &w->calls, o, 0, w->why), 0);
	assert_int_equal(syslog_new(&w->source, &w->loop, &w->sys.sys, &w->sockets, &w->calls,
				    o, w->secret, &callbacks, w), 0);
	assert_int_equal(w->source->ops->start(w->source), 0);
}

static void note(void *arg, const char *text)
{
	struct world *w = arg;

	strncat(w->notes, text, sizeof w->notes - 1 - strlen(w->notes));
}

static int prepare(struct world *w, struct syslog_change **c)
{
	const struct syslog_ask ask = {note, w};

	return syslog_prepare(c, w->source, &w->lists[1].options, &ask, w->why);
}

static void reload(struct world *w)
{
	struct syslog_change *c;

	if (prepare(w, &c) != 0) {
		fail_msg("%s", w->why);
	}
	syslog_take(c, &w->taken);
}

static int dial(const struct sources_syslog *o)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, o->type == SYSLOG_UNIX ? SOCK_DGRAM : SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(un.sun_path, o->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

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
			fail_msg("waited too long for %s: %s", #condition, (w)->text); \
		}                                                             \
	} while (0)

static bool has(const struct world *w, const char *text)
{
	return strstr(w->text, text) != NULL;
}

/* ---- the tests ---- */

static void a_socket_that_stays_keeps_its_connections_and_streams(void **state)
{
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX_STREAM, "a");
	const struct sources_syslog *b = want(w, &w->lists[1], SYSLOG_UNIX, "b");
	int fd, other;

	want(w, &w->lists[1], SYSLOG_UNIX_STREAM, "a");
	start(w);
	fd = dial(a);
	say(fd, "first\nhal");
	WAIT_FOR(w, has(w, "one:first "));
	reload(w);
	assert_int_equal(w->taken.kept, 1);
	assert_int_equal(w->taken.added, 1);
	say(fd, "f\n");
	WAIT_FOR(w, has(w, "one:half "));
	other = dial(b);
	say(other, "datagram");
	WAIT_FOR(w, has(w, "one:datagram "));
	assert_int_equal(w->opened, 2);
	assert_int_equal(w->closed, 0);
	close(fd);
	close(other);
}

static void a_socket_that_is_gone_is_read_to_its_end_and_what_waits_is_handed_on(void **state)
{
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX, "a");
	int fd;

	start(w);
	fd = dial(a);
	say(fd, "first");
	WAIT_FOR(w, has(w, "first"));
	w->full = true;
	say(fd, "second"); /* In the kernel's buffer still. */
	reload(w);
	assert_int_equal(w->taken.gone, 1);
	assert_int_equal(w->closed, 0);
	w->full = false;
	WAIT_FOR(w, w->closed == 1);
	assert_string_equal(w->text, "one:first one:second ");
	assert_true(send(fd, "x", 1, 0) < 0); /* Nobody listens any more. */
	close(fd);
}

static void a_connection_of_a_socket_that_is_gone_is_read_to_its_end(void **state)
{
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX_STREAM, "a");
	char byte;
	int fd;

	start(w);
	fd = dial(a);
	say(fd, "first\n");
	WAIT_FOR(w, has(w, "first"));
	say(fd, "second\nthird");
	reload(w);
	WAIT_FOR(w, w->closed == 1);
	assert_string_equal(w->text, "one:first one:second one:third ");
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void another_label_begins_new_streams_and_keeps_the_connections(void **state)
{
	static char two[] = "two";
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX_STREAM, "a");
	int fd;

	want(w, &w->lists[1], SYSLOG_UNIX_STREAM, "a")->about.label = two;
	start(w);
	fd = dial(a);
	say(fd, "first\n");
	WAIT_FOR(w, has(w, "first"));
	w->full = true;
	say(fd, "second\nthi");
	for (int i = 0; i < 10; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	reload(w);
	assert_int_equal(w->taken.changed, 1);
	say(fd, "rd\n");
	w->full = false;
	w->source->ops->resume(w->source);
	WAIT_FOR(w, has(w, "two:third ") && w->closed == 1);
	assert_string_equal(w->text, "one:first one:second two:third ");
	assert_int_equal(w->opened, 2);
	close(fd);
}

static void limits_change_in_place(void **state)
{
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX_STREAM, "a");
	int fd, second;
	char byte;

	want(w, &w->lists[1], SYSLOG_UNIX_STREAM, "a")->connections = 1;
	start(w);
	fd = dial(a);
	say(fd, "first\n");
	WAIT_FOR(w, has(w, "first"));
	reload(w);
	assert_int_equal(w->taken.changed, 1);
	second = dial(a);
	WAIT_FOR(w, recv(second, &byte, 1, MSG_DONTWAIT) == 0); /* One is enough. */
	say(fd, "second\n");
	WAIT_FOR(w, has(w, "one:second "));
	assert_int_equal(w->opened, 1);
	close(fd);
	close(second);
}

static void an_address_that_is_taken_refuses_the_change_and_changes_nothing(void **state)
{
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX, "a");
	const struct sources_syslog *fresh = want(w, &w->lists[1], SYSLOG_UNIX, "new");
	struct sources_syslog *b = want(w, &w->lists[1], SYSLOG_UNIX, "b");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct syslog_change *c;
	int theirs = socket(AF_UNIX, SOCK_DGRAM, 0), fd;

	strcpy(un.sun_path, b->path);
	assert_int_equal(bind(theirs, (struct sockaddr *)&un, sizeof un), 0);
	start(w);
	assert_int_equal(prepare(w, &c), UV_EADDRINUSE);
	assert_non_null(strstr(w->why, "another program listens there"));
	assert_int_not_equal(access(fresh->path, F_OK), 0);
	fd = dial(a);
	say(fd, "still");
	WAIT_FOR(w, has(w, "one:still "));
	close(fd);
	close(theirs);
}

static int no_bind(int fd, const struct sockaddr *a, socklen_t n)
{
	(void)fd;
	(void)a;
	(void)n;
	errno = EACCES;
	return -1;
}

static void what_needs_rights_is_noted_and_the_rest_is_taken(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], SYSLOG_UNIX, "a");
	want(w, &w->lists[1], SYSLOG_UNIX, "b");
	start(w);
	w->calls.bind = no_bind;
	reload(w);
	assert_int_equal(w->taken.added, 0);
	assert_int_equal(w->taken.gone, 1);
	assert_non_null(strstr(w->notes, "/b needs rights that the running agent has given up"));
}

static void a_path_that_the_socket_before_has_is_noted(void **state)
{
	struct world *w = *state;

	want(w, &w->lists[0], SYSLOG_UNIX, "a");
	want(w, &w->lists[1], SYSLOG_UNIX_STREAM, "a");
	start(w);
	reload(w);
	assert_int_equal(w->taken.added, 0);
	assert_int_equal(w->taken.gone, 1);
	assert_non_null(strstr(w->notes, "/a is where the socket before is still open"));
}

static void many_reloads_under_load_lose_nothing(void **state)
{
	static char two[] = "two", one[] = "one";
	struct world *w = *state;
	const struct sources_syslog *a = want(w, &w->lists[0], SYSLOG_UNIX, "a");
	struct sources_syslog *b = want(w, &w->lists[1], SYSLOG_UNIX, "a");
	char text[32], *at = w->text;
	int fd;

	start(w);
	fd = dial(a);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "m%d.", i);
		say(fd, text);
		w->full = i % 3 == 0;
		b->about.label = i % 7 < 3 ? two : one;
		b->burst = 100 + (uint64_t)i;
		reload(w);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	w->full = false;
	w->source->ops->resume(w->source);
	WAIT_FOR(w, has(w, "m199.") && w->closed == w->opened - 1);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, ":m%d. ", i);
		at = strstr(w->text, text);
		assert_non_null(at);
		assert_null(strstr(at + 1, text));
	}
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_socket_that_stays_keeps_its_connections_and_streams),
		TEST(a_socket_that_is_gone_is_read_to_its_end_and_what_waits_is_handed_on),
		TEST(a_connection_of_a_socket_that_is_gone_is_read_to_its_end),
		TEST(another_label_begins_new_streams_and_keeps_the_connections),
		TEST(limits_change_in_place),
		TEST(an_address_that_is_taken_refuses_the_change_and_changes_nothing),
		TEST(what_needs_rights_is_noted_and_the_rest_is_taken),
		TEST(a_path_that_the_socket_before_has_is_noted),
		TEST(many_reloads_under_load_lose_nothing),
	};

	return cmocka_run_group_tests_name("syslog_reload", tests, NULL, NULL);
}
