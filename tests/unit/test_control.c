#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control.h"
#include "common/err.h"

struct world {
	uv_loop_t loop;
	struct control *control;
	char dir[64];
	char path[96];
	int closed;
};

static int status_cb(void *arg, struct slice args, struct buf *reply)
{
	(void)arg;
	return buf_printf(reply, "{\"args\":\"%.*s\"}", SLICE_ARG(args));
}

static int fails_cb(void *arg, struct slice args, struct buf *reply)
{
	(void)arg;
	(void)args;
	(void)buf_printf(reply, "{\"half\":");
	return UV_ENOMEM;
}

static int large_cb(void *arg, struct slice args, struct buf *reply)
{
	(void)arg;
	(void)args;
	for (size_t i = 0; i < CONTROL_REPLY; i++) {
		int rc = buf_add_u8(reply, 'x');

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

static const struct control_handler handlers[] = {
	{"status", status_cb},
	{"fails", fails_cb},
	{"large", large_cb},
	{NULL, NULL},
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-control-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/sock", w->dir);
	*state = w;
	return 0;
}

static void on_closed(void *arg)
{
	((struct world *)arg)->closed++;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->control != NULL) {
		control_close(w->control, on_closed, w);
		uv_run(&w->loop, UV_RUN_DEFAULT);
		assert_int_equal(w->closed, 1);
	}
	assert_int_equal(uv_loop_close(&w->loop), 0);
	unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void open_it(struct world *w)
{
	assert_int_equal(control_open(&w->control, &w->loop, w->path, handlers, NULL),
			 0);
}

static int dial(const struct world *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* Turns the loop until the peer has answered and ended; returns the bytes or a
 * negative errno. */
static ssize_t drain(struct world *w, int fd, char *out, size_t room)
{
	size_t used = 0;

	for (int turns = 0; turns < 100000; turns++) {
		ssize_t n = recv(fd, out + used, room - used, 0);

		if (n == 0) {
			return (ssize_t)used;
		}
		if (n < 0 && errno != EAGAIN) {
			return -errno;
		}
		used += n > 0 ? (size_t)n : 0;
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	fail_msg("no answer");
	return -1;
}

static void ask(struct world *w, const char *request, const char *expected)
{
	char out[1024];
	int fd = dial(w);
	ssize_t n;

	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	n = drain(w, fd, out, sizeof out - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	assert_string_equal(out, expected);
	close(fd);
}

static void answers_a_request_with_one_document(void **state)
{
	open_it(*state);
	ask(*state, "status\n", "{\"args\":\"\"}\n");
	ask(*state, "status   since boot \r\n", "{\"args\":\"since boot\"}\n");
}

static void takes_a_line_that_comes_in_pieces(void **state)
{
	struct world *w = *state;
	char out[64];
	int fd;

	open_it(w);
	fd = dial(w);
	for (const char *p = "status x\n"; *p != '\0'; p++) {
		assert_int_equal(send(fd, p, 1, 0), 1);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(drain(w, fd, out, sizeof out), 13);
	assert_memory_equal(out, "{\"args\":\"x\"}\n", 13);
	close(fd);
}

static void takes_the_end_of_input_for_the_end_of_the_line(void **state)
{
	struct world *w = *state;
	char out[64];
	int fd;

	open_it(w);
	fd = dial(w);
	assert_int_equal(send(fd, "status", 6, 0), 6);
	shutdown(fd, SHUT_WR);
	assert_int_equal(drain(w, fd, out, sizeof out), 12);
	close(fd);
}

static void names_what_it_knows_when_asked_for_something_else(void **state)
{
	const char *reply = "{\"error\":\"no such request\",\"known\":"
			    "[\"status\",\"fails\",\"large\"]}\n";

	open_it(*state);
	ask(*state, "stat\n", reply);
	ask(*state, "\n", reply);
	ask(*state, " status\n", reply);
}

static void answers_with_the_error_when_a_handler_fails(void **state)
{
	open_it(*state);
	ask(*state, "fails\n", "{\"error\":\"not enough memory\",\"known\":"
			       "[\"status\",\"fails\",\"large\"]}\n");
}

static void sends_a_reply_of_the_largest_size(void **state)
{
	struct world *w = *state;
	char *out = malloc(CONTROL_REPLY + 2);
	int fd;

	assert_non_null(out);
	open_it(w);
	fd = dial(w);
	assert_int_equal(send(fd, "large\n", 6, 0), 6);
	assert_int_equal(drain(w, fd, out, CONTROL_REPLY + 2), CONTROL_REPLY + 1);
	assert_int_equal(out[CONTROL_REPLY], '\n');
	close(fd);
	free(out);
}

static void hangs_up_on_a_request_that_is_too_long(void **state)
{
	struct world *w = *state;
	char request[CONTROL_REQUEST], out[16];
	ssize_t n;
	int fd;

	memset(request, 'a', sizeof request);
	open_it(w);
	fd = dial(w);
	assert_int_equal(send(fd, request, sizeof request, 0), sizeof request);
	n = drain(w, fd, out, sizeof out);
	assert_true(n == 0 || n == -ECONNRESET);
	close(fd);
}

static void hangs_up_on_one_client_too_many_and_serves_the_others(void **state)
{
	struct world *w = *state;
	int fd[CONTROL_CLIENTS], extra;
	char out[64];

	open_it(w);
	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		fd[i] = dial(w);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	extra = dial(w);
	assert_int_equal(drain(w, extra, out, sizeof out), 0);
	close(extra);
	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		assert_int_equal(send(fd[i], "status\n", 7, 0), 7);
		assert_int_equal(drain(w, fd[i], out, sizeof out), 12);
		close(fd[i]);
	}
	ask(w, "status\n", "{\"args\":\"\"}\n");
}

static void ends_connections_that_are_open_when_it_closes(void **state)
{
	struct world *w = *state;
	int fd;

	open_it(w);
	fd = dial(w);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	/* teardown() closes it and asserts that nothing is left in the loop. */
	control_close(w->control, on_closed, w);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->closed, 1);
	assert_int_equal(access(w->path, F_OK), -1);
	w->control = NULL;
	close(fd);
}

static void makes_the_socket_0660_whatever_the_umask(void **state)
{
	struct world *w = *state;
	mode_t before = umask(0077);
	struct stat st;

	open_it(w);
	umask(before);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void replaces_a_socket_that_a_dead_process_left(void **state)
{
	struct world *w = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	open_it(w);
	ask(w, "status\n", "{\"args\":\"\"}\n");
}

static void leaves_a_living_socket_and_a_plain_file_alone(void **state)
{
	struct world *w = *state;
	struct control *second;
	int fd;

	open_it(w);
	assert_int_equal(control_open(&second, &w->loop, w->path, handlers, NULL),
			 UV_EADDRINUSE);
	assert_null(second);
	control_close(w->control, NULL, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	w->control = NULL;
	fd = open(w->path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(control_open(&second, &w->loop, w->path, handlers, NULL),
			 UV_EADDRINUSE);
	assert_int_equal(access(w->path, F_OK), 0);
}

static void says_what_is_wrong_with_the_path(void **state)
{
	struct world *w = *state;
	char path[200];
	struct control *c;

	snprintf(path, sizeof path, "%s/none/sock", w->dir);
	assert_int_equal(control_open(&c, &w->loop, path, handlers, NULL), UV_ENOENT);
	memset(path, 'a', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	assert_int_equal(control_open(&c, &w->loop, path, handlers, NULL),
			 UV_ENAMETOOLONG);
}

struct asking {
	const struct world *w;
	struct buf reply;
	int rc;
	uv_async_t done;
};

static void ask_thread(void *arg)
{
	struct asking *a = arg;

	a->rc = control_ask(a->w->path, "status now", &a->reply);
	uv_async_send(&a->done);
}

static void on_done(uv_async_t *h)
{
	uv_stop(h->loop);
	uv_close((uv_handle_t *)h, NULL);
}

static void the_asking_side_gets_the_reply_without_its_newline(void **state)
{
	struct world *w = *state;
	struct asking a = {.w = w};
	uv_thread_t thread;

	open_it(w);
	buf_init(&a.reply, 1024);
	uv_async_init(&w->loop, &a.done, on_done);
	assert_int_equal(uv_thread_create(&thread, ask_thread, &a), 0);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_thread_join(&thread);
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.reply.n, strlen("{\"args\":\"now\"}"));
	assert_memory_equal(a.reply.p, "{\"args\":\"now\"}", a.reply.n);
	buf_fini(&a.reply);
}

static void the_asking_side_says_when_nobody_is_there(void **state)
{
	struct world *w = *state;
	struct buf reply;

	buf_init(&reply, 16);
	assert_int_equal(control_ask(w->path, "status", &reply), UV_ENOENT);
	open_it(w);
	control_close(w->control, NULL, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	w->control = NULL;
	assert_int_equal(control_ask(w->path, "status", &reply), UV_ENOENT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answers_a_request_with_one_document),
		CASE(takes_a_line_that_comes_in_pieces),
		CASE(takes_the_end_of_input_for_the_end_of_the_line),
		CASE(names_what_it_knows_when_asked_for_something_else),
		CASE(answers_with_the_error_when_a_handler_fails),
		CASE(sends_a_reply_of_the_largest_size),
		CASE(hangs_up_on_a_request_that_is_too_long),
		CASE(hangs_up_on_one_client_too_many_and_serves_the_others),
		CASE(ends_connections_that_are_open_when_it_closes),
		CASE(makes_the_socket_0660_whatever_the_umask),
		CASE(replaces_a_socket_that_a_dead_process_left),
		CASE(leaves_a_living_socket_and_a_plain_file_alone),
		CASE(says_what_is_wrong_with_the_path),
		CASE(the_asking_side_gets_the_reply_without_its_newline),
		CASE(the_asking_side_says_when_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
