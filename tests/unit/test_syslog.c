/* Unit tests of sources/syslog.h, listener.c and backlog.h: a real loop and real
 * sockets, whose calls fail when they are told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "sources/backlog.h"
#include "sources/syslog.h"

enum { TEXT = 65536, PATH = 128 };

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	struct sources_syslog syslog;
	struct sources_options options;
	struct sockets sockets;
	struct socket_calls calls;
	unsigned char secret[STREAM_SECRET];
	struct source *source;
	char dir[PATH], path[PATH], text[TEXT];
	size_t room; /* entries taken before we are full */
	int opened, closed;
	uint64_t lost;
	char why[SOCKETS_WHY];
};

/* cmocka is for one thread and one test at a time: so is this.  Calls left before the
 * one that fails; -1: none. */
static int countdown = -1;

static bool fails_now(void)
{
	if (countdown < 0 || countdown-- > 0) {
		return false;
	}
	errno = ENOBUFS;
	return true;
}

static int fail_socket(int domain, int type, int protocol)
{
	return fails_now() ? -1 : socket_calls.socket(domain, type, protocol);
}

static int fail_setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
	return fails_now() ? -1 : socket_calls.setsockopt(fd, level, name, v, n);
}

static int fail_bind(int fd, const struct sockaddr *a, socklen_t n)
{
	return fails_now() ? -1 : socket_calls.bind(fd, a, n);
}

static int fail_listen(int fd, int backlog)
{
	return fails_now() ? -1 : socket_calls.listen(fd, backlog);
}

static int fail_chown(const char *path, uid_t uid, gid_t gid)
{
	return fails_now() ? -1 : socket_calls.chown(path, uid, gid);
}

static int fail_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	return fails_now() ? -1 : socket_calls.accept4(fd, a, n, flags);
}

static int fail_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags,
			 struct timespec *t)
{
	return fails_now() ? -1 : socket_calls.recvmmsg(fd, v, n, flags, t);
}

static ssize_t fail_recv(int fd, void *buf, size_t n, int flags)
{
	return fails_now() ? -1 : socket_calls.recv(fd, buf, n, flags);
}

static const struct socket_calls failing = {
	fail_socket, fail_setsockopt, fail_bind, fail_listen, fail_chown,
	fail_accept4, fail_recvmmsg, fail_recv,
};

static void on_opened(void *arg, struct stream *s)
{
	struct fixture *f = arg;

	assert_true(s->has_id && s->kept);
	f->opened++;
}

static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct fixture *f = arg;

	(void)h;
	assert_int_equal(line->start, s->position);
	assert_int_equal(line->end, s->position + 1);
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	f->room--;
	snprintf(f->text + strlen(f->text), TEXT - strlen(f->text), "[%.*s]%s",
		 SLICE_ARG(line->text), (line->flags & RECORD_CUT) != 0 ? "cut" : "");
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct fixture *f = arg;

	assert_int_equal(from, s->position);
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	f->lost += to - from;
	snprintf(f->text + strlen(f->text), TEXT - strlen(f->text), "{%.*s}",
		 SLICE_ARG(reason));
	return 0;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	struct fixture *f = arg;

	(void)s;
	(void)why;
	f->closed++;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened,
	.closed = on_closed,
	.entry = on_entry,
	.lost = on_lost,
};

static int set_up(void **state)
{
	static char nothing[] = "", mode[] = "0660", utc[] = "UTC", any[] = "127.0.0.1";
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	countdown = -1;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	strcpy(f->dir, "/tmp/test_syslog.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%.100s/log", f->dir);
	f->syslog = (struct sources_syslog){
		.type = SYSLOG_UNIX, .path = f->path, .mode = mode, .owner = nothing,
		.address = any, .about = {nothing, nothing, utc}, .burst = 100,
		.peers = 4, .connections = 4, .buffer = 1000,
		.receive_buffer = 65536,
	};
	f->options.syslog = &f->syslog;
	f->options.n_syslog = 1;
	f->options.line_max = 300;
	f->room = SIZE_MAX;
	f->calls = failing;
	memset(f->secret, 7, sizeof f->secret);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	countdown = -1;
	if (f->source != NULL) {
		f->source->ops->stop(f->source);
		assert_int_equal(f->closed, f->opened);
		f->source->ops->free(f->source);
	}
	sockets_close(&f->sockets);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int try_start(struct fixture *f)
{
	int rc = sockets_open(&f->sockets, &f->calls, &f->options, 0, f->why);

	if (rc == 0) {
		rc = syslog_new(&f->source, &f->loop, &f->sys.sys, &f->sockets, &f->calls,
				&f->options, f->secret, &callbacks, f);
	}
	return rc != 0 ? rc : f->source->ops->start(f->source);
}

static void start(struct fixture *f)
{
	assert_int_equal(try_start(f), 0);
}

/* A socket that is connected to what we listen at. */
static int dial(struct fixture *f)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET};
	bool is_unix = f->syslog.type == SYSLOG_UNIX || f->syslog.type == SYSLOG_UNIX_STREAM;
	bool dgram = f->syslog.type == SYSLOG_UNIX || f->syslog.type == SYSLOG_UDP;
	int fd = socket(is_unix ? AF_UNIX : AF_INET, dgram ? SOCK_DGRAM : SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(un.sun_path, f->path);
	in.sin_port = htons(f->syslog.port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(is_unix ? connect(fd, (struct sockaddr *)&un, sizeof un)
				 : connect(fd, (struct sockaddr *)&in, sizeof in),
			 0);
	return fd;
}

/* One that nobody has. */
static void take_port(struct fixture *f)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t n = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	close(fd);
	f->syslog.port = ntohs(in.sin_port);
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

/* Runs the loop until the text is as wanted, or for three seconds. */
static void wait_for(struct fixture *f, const char *want)
{
	uint64_t end = uv_now(&f->loop) + 3000;

	while (strcmp(f->text, want) != 0 && uv_now(&f->loop) < end) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_string_equal(f->text, want);
}

/* ---- what arrives ---- */

static void a_datagram_is_a_message(void **state)
{
	struct fixture *f = *state;
	int fd;

	start(f);
	fd = dial(f);
	put(fd, "<13>one");
	put(fd, "<13>two\n");
	put(fd, "5 <1>no count here");
	wait_for(f, "[<13>one][<13>two][5 <1>no count here]");
	close(fd);
}

static void newlines_and_nuls_in_a_datagram_are_escaped(void **state)
{
	struct fixture *f = *state;
	int fd;

	start(f);
	fd = dial(f);
	assert_int_equal(send(fd, "a\nb\0c\n\0", 7, 0), 7);
	assert_int_equal(send(fd, "\n", 1, 0), 1);
	put(fd, "next");
	wait_for(f, "[a#012b#000c][next]");
	close(fd);
}

static void a_connection_is_cut_into_messages(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->syslog.type = SYSLOG_TCP;
	take_port(f);
	start(f);
	fd = dial(f);
	put(fd, "<13>one\n7 <1>");
	turn(f);
	put(fd, "two!<13>three");
	turn(f);
	close(fd);
	wait_for(f, "[<13>one][<1>two!][<13>three]");
}

static void a_unix_connection_is_read_as_well(void **state)
{
	struct fixture *f = *state;
	char name[300];
	int fd;

	f->syslog.type = SYSLOG_UNIX_STREAM;
	start(f);
	fd = dial(f);
	assert_int_equal(send(fd, "<13>libc ends with a nul\0", 25, 0), 25);
	wait_for(f, "[<13>libc ends with a nul]");
	snprintf(name, sizeof name, "unix:%s uid=%u", f->path, getuid());
	close(fd);
}

static void what_is_too_long_is_cut(void **state)
{
	struct fixture *f = *state;
	char message[401], want[400];
	int fd;

	start(f);
	fd = dial(f);
	memset(message, 'x', 400);
	message[400] = '\0';
	put(fd, message);
	snprintf(want, sizeof want, "[%.300s]cut", message);
	wait_for(f, want);
	close(fd);
}

static void udp_is_read(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->syslog.type = SYSLOG_UDP;
	take_port(f);
	start(f);
	fd = dial(f);
	for (int i = 0; i < 40; i++) {
		put(fd, "m");
	}
	for (int i = 0; i < 200 && strlen(f->text) < 120; i++) {
		turn(f);
	}
	assert_int_equal(strlen(f->text), 120);
	assert_int_equal(f->opened, 1);
	close(fd);
}

/* ---- limits ---- */

static void a_bucket_opens_again_when_it_is_a_quarter_full(void **state)
{
	struct bucket b = {0};
	const int64_t second = 1000000000;
	int64_t now = 5 * second;
	int passed = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		passed += bucket_take(&b, now, 10, 40);
	}
	assert_int_equal(passed, 40);
	assert_false(bucket_take(&b, now + second / 2, 10, 40));
	assert_false(bucket_take(&b, now + second - 1000000, 10, 40));
	assert_true(bucket_take(&b, now + second, 10, 40));
	now += 1000000 * second; /* However long: no more than the burst. */
	for (int i = 0; i < 100; i++) {
		passed += bucket_take(&b, now, 10, 40);
	}
	assert_int_equal(passed, 80);
	assert_true(bucket_take(&b, now, 0, 0));
}

static void a_peer_that_sends_too_much_is_cut_short_and_that_is_told(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->syslog.rate = 1;
	f->syslog.burst = 3;
	start(f);
	fd = dial(f);
	for (int i = 0; i < 8; i++) {
		put(fd, "m");
		turn(f);
	}
	wait_for(f, "[m][m][m]{socket rate-limit lines=5}");
	close(fd);
}

static void without_room_messages_wait_and_the_newest_go(void **state)
{
	struct fixture *f = *state;
	char message[101];
	int fd;

	memset(message, 'm', 100);
	message[100] = '\0';
	f->room = 0;
	start(f);
	fd = dial(f);
	for (int i = 0; i < 12; i++) {
		message[0] = (char)('a' + i);
		put(fd, message);
		turn(f);
	}
	assert_string_equal(f->text, "");
	f->room = SIZE_MAX;
	f->source->ops->resume(f->source);
	f->source->ops->stop(f->source);
	assert_non_null(strstr(f->text, "[am"));
	assert_non_null(strstr(f->text, "{socket buffer-full lines=4}"));
	assert_null(strstr(f->text, "[lm"));
	assert_int_equal(f->lost, 4);
	close(fd);
}

static void or_the_oldest_go(void **state)
{
	struct fixture *f = *state;
	char message[101];
	int fd;

	memset(message, 'm', 100);
	message[100] = '\0';
	f->syslog.overflow = SOURCES_DROP_OLDEST;
	f->room = 0;
	start(f);
	fd = dial(f);
	for (int i = 0; i < 12; i++) {
		message[0] = (char)('a' + i);
		put(fd, message);
		turn(f);
	}
	f->room = SIZE_MAX;
	f->source->ops->resume(f->source);
	assert_int_equal(strncmp(f->text, "{socket buffer-full lines=4}[em", 31), 0);
	assert_non_null(strstr(f->text, "[lm"));
	close(fd);
}

static void connections_beyond_the_limit_are_refused(void **state)
{
	struct fixture *f = *state;
	int fds[6];
	char byte;

	f->syslog.type = SYSLOG_UNIX_STREAM;
	start(f);
	for (int i = 0; i < 6; i++) {
		fds[i] = dial(f);
	}
	turn(f);
	put(fds[0], "first\n");
	wait_for(f, "[first]");
	assert_int_equal(recv(fds[5], &byte, 1, MSG_DONTWAIT), 0);
	for (int i = 0; i < 6; i++) {
		close(fds[i]);
	}
	turn(f);
	fds[0] = dial(f);
	turn(f);
	put(fds[0], "again\n");
	wait_for(f, "[first][again]");
	close(fds[0]);
}

static void a_silent_connection_is_closed_and_what_it_said_kept(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->syslog.type = SYSLOG_UNIX_STREAM;
	f->syslog.idle_timeout_ms = 100;
	start(f);
	fd = dial(f);
	put(fd, "half");
	wait_for(f, "[half]");
	turn(f); /* A loop may close a handle only when it comes round again. */
	assert_int_equal(recv(fd, &fd, sizeof fd, MSG_DONTWAIT), 0);
	close(fd);
}

static void peers_beyond_the_limit_share_a_stream(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in to = {.sin_family = AF_INET};

	f->syslog.type = SYSLOG_UDP;
	take_port(f);
	start(f);
	to.sin_port = htons(f->syslog.port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (uint32_t i = 0; i < 8; i++) {
		struct sockaddr_in from = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
		assert_int_equal(sendto(fd, "m", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
		close(fd);
		turn(f);
	}
	wait_for(f, "[m][m][m][m][m][m][m][m]");
	assert_int_equal(f->opened, 5);
}

static void send_as(struct fixture *f, uid_t uid, const char *text)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

		strcpy(un.sun_path, f->path);
		_exit(setresuid(uid, uid, uid) != 0 ||
		      sendto(fd, text, strlen(text), 0, (struct sockaddr *)&un,
			     sizeof un) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	turn(f);
}

/* Or a crowd of users could make him one of the others, whose word proves nothing. */
static void root_has_a_stream_of_its_own_however_many_speak(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0) {
		skip(); /* To speak as others takes root. */
	}
	assert_int_equal(chmod(f->dir, 0755), 0);
	f->syslog.mode = (char[]){"0666"};
	f->syslog.peers = 2;
	start(f);
	for (uid_t uid = 1001; uid <= 1004; uid++) {
		send_as(f, uid, "m");
	}
	assert_int_equal(f->opened, 3);
	send_as(f, 0, "m");
	assert_int_equal(f->opened, 4);
}

/* Two minutes later. */
static int64_t later_mono_ns(struct sys *sys)
{
	return sys_plain()->ops->mono_ns(sys) + INT64_C(120) * 1000000000;
}

static void send_from(struct fixture *f, uint32_t last_octet, const char *text)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from = to;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	to.sin_port = htons(f->syslog.port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last_octet);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to),
			 strlen(text));
	close(fd);
	turn(f);
}

static void a_silent_peer_keeps_its_place_until_its_messages_are_taken(void **state)
{
	struct fixture *f = *state;
	const struct sys_ops *real;
	struct sys_ops later;

	f->syslog.type = SYSLOG_UDP;
	f->syslog.peers = 2;
	take_port(f);
	start(f);
	f->room = 0;
	send_from(f, 1, "one");
	send_from(f, 2, "two");
	real = f->sys.sys.ops;
	later = *real;
	later.mono_ns = later_mono_ns;
	f->sys.sys.ops = &later;
	send_from(f, 3, "three");
	assert_int_equal(f->closed, 0);
	f->room = SIZE_MAX;
	send_from(f, 4, "four");
	/* The order of the streams is not told. */
	assert_int_equal(strlen(f->text), strlen("[one][two][three][four]"));
	assert_non_null(strstr(f->text, "[one]"));
	assert_non_null(strstr(f->text, "[two]"));
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->closed, 1);
	f->sys.sys.ops = real;
}

/* ---- sockets ---- */

static void the_path_has_the_mode_and_a_stale_one_is_taken_over(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	start(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	f->source->ops->stop(f->source);
	f->source->ops->free(f->source);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	f->opened = f->closed = 0;
	start(f);
	fd = dial(f);
	put(fd, "there");
	wait_for(f, "[there]");
	close(fd);
}

static void a_path_in_use_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct sockets others;

	assert_int_equal(sockets_open(&others, &socket_calls, &f->options, 0, f->why), 0);
	assert_int_equal(try_start(f), UV_EADDRINUSE);
	assert_non_null(strstr(f->why, "another program listens there"));
	sockets_close(&others);
}

static void a_file_at_the_path_is_left_alone(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(try_start(f), UV_ENOTSOCK);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void a_passed_socket_is_used(void **state)
{
	struct fixture *f = *state;
	struct sockets first, again;
	int fd;

	/* As the service manager would: the number is what it is here. */
	assert_int_equal(sockets_open(&first, &socket_calls, &f->options, 0, f->why), 0);
	fd = first.fd[0];
	assert_int_equal(sockets_open(&again, &socket_calls, &f->options,
				      fd - SOCKETS_PASSED_FIRST + 1, f->why),
			 0);
	assert_int_equal(again.fd[0], fd);
	sockets_close(&again);
}

static void a_passed_socket_tells_what_the_kernel_drops(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockets again;
	socklen_t n = sizeof(int);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 0;

	f->syslog.type = SYSLOG_UDP;
	take_port(f);
	in.sin_port = htons(f->syslog.port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(sockets_open(&again, &socket_calls, &f->options,
				      fd - SOCKETS_PASSED_FIRST + 1, f->why),
			 0);
	assert_int_equal(again.fd[0], fd);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, &n), 0);
	assert_int_equal(on, 1);
	sockets_close(&again);
}

/* Whoever listens there accepts nobody: that is no reason to wait for it. */
static void a_path_whose_owner_hangs_does_not_hold_up_the_start(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), waiting[8];
	size_t n = 0;

	f->syslog.type = SYSLOG_UNIX_STREAM;
	strcpy(un.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 0), 0);
	do {
		assert_true(n < 8);
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (connect(waiting[n++], (struct sockaddr *)&un, sizeof un) == 0);
	assert_int_equal(errno, EAGAIN);
	alarm(20); /* Or it waits for ever. */
	assert_int_equal(try_start(f), UV_EADDRINUSE);
	alarm(0);
	while (n > 0) {
		close(waiting[--n]);
	}
	close(fd);
}

static void modes_and_owners_are_read(void **state)
{
	mode_t mode;
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_true(sockets_mode("0640", &mode));
	assert_int_equal(mode, 0640);
	assert_false(sockets_mode("0680", &mode));
	assert_false(sockets_mode("", &mode));
	assert_false(sockets_mode("01777", &mode));
	assert_true(sockets_owner("", &uid, &gid));
	assert_int_equal(uid, (uid_t)-1);
	assert_true(sockets_owner("root:root", &uid, &gid));
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	assert_true(sockets_owner(":root", &uid, &gid));
	assert_int_equal(uid, (uid_t)-1);
	assert_false(sockets_owner("nobody-of-this-name", &uid, &gid));
}

/* ---- failing calls ---- */

/* Each call that fails: either the start says so and leaves nothing behind, or what is
 * sent arrives all the same. */
static void fail_each(struct fixture *f)
{
	bool failed = true;

	for (int n = 0; failed; n++) {
		int fd, rc;

		assert_true(n < 60);
		countdown = n;
		rc = try_start(f);
		if (rc == 0) {
			fd = dial(f);
			put(fd, "first\n");
			turn(f);
			failed = countdown < 0;
			countdown = -1;
			/* A connection that failed is closed. */
			send(fd, "second\n", 7, MSG_NOSIGNAL);
			turn(f);
			close(fd);
			fd = dial(f);
			put(fd, "third\n");
			for (int i = 0; i < 300 && strstr(f->text, "[third]") == NULL; i++) {
				turn(f);
			}
			assert_non_null(strstr(f->text, "[third]"));
			close(fd);
			f->source->ops->stop(f->source);
			f->source->ops->free(f->source);
		} else {
			assert_true(f->why[0] != '\0');
			if (f->source != NULL) {
				f->source->ops->free(f->source);
			}
			sockets_close(&f->sockets);
		}
		f->source = NULL;
		uv_run(&f->loop, UV_RUN_DEFAULT);
		f->text[0] = '\0';
	}
	f->opened = f->closed = 0;
}

static void any_call_may_fail_with_datagrams(void **state)
{
	fail_each(*state);
}

static void any_call_may_fail_with_connections(void **state)
{
	struct fixture *f = *state;

	f->syslog.type = SYSLOG_TCP;
	take_port(f);
	fail_each(f);
}

static void stopping_takes_what_the_kernel_has(void **state)
{
	struct fixture *f = *state;
	int fd;

	start(f);
	fd = dial(f);
	put(fd, "a");
	put(fd, "b");
	f->source->ops->stop(f->source);
	assert_string_equal(f->text, "[a][b]");
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_datagram_is_a_message),
		T(newlines_and_nuls_in_a_datagram_are_escaped),
		T(a_connection_is_cut_into_messages),
		T(a_unix_connection_is_read_as_well),
		T(what_is_too_long_is_cut),
		T(udp_is_read),
		T(a_bucket_opens_again_when_it_is_a_quarter_full),
		T(a_peer_that_sends_too_much_is_cut_short_and_that_is_told),
		T(without_room_messages_wait_and_the_newest_go),
		T(or_the_oldest_go),
		T(connections_beyond_the_limit_are_refused),
		T(a_silent_connection_is_closed_and_what_it_said_kept),
		T(peers_beyond_the_limit_share_a_stream),
		T(root_has_a_stream_of_its_own_however_many_speak),
		T(a_silent_peer_keeps_its_place_until_its_messages_are_taken),
		T(the_path_has_the_mode_and_a_stale_one_is_taken_over),
		T(a_path_in_use_is_left_alone),
		T(a_file_at_the_path_is_left_alone),
		T(a_passed_socket_is_used),
		T(a_passed_socket_tells_what_the_kernel_drops),
		T(a_path_whose_owner_hangs_does_not_hold_up_the_start),
		T(modes_and_owners_are_read),
		T(any_call_may_fail_with_datagrams),
		T(any_call_may_fail_with_connections),
		T(stopping_takes_what_the_kernel_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
