/* Starting the helper, from the daemon's main(). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "hooks/helper.h"
#include "hooks/protocol.h"

enum { HELPER_FD = 3, ANSWER_S = 10 };

static bool any_exec(const struct hooks_options *options)
{
	for (size_t i = 0; i < options->n_hooks; i++) {
		if (options->hooks[i].type == HOOK_EXEC) {
			return true;
		}
	}
	return false;
}

/* In the child; never returns. */
static void become_helper(int fd)
{
	char name[] = "nightjar-helper", flag[] = "--helper";
	char *argv[] = {name, flag, NULL}, *env[] = {NULL};

	/* dup2() to itself would leave it close-on-exec. */
	if (fd == HELPER_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, HELPER_FD) >= 0) {
		execve("/proc/self/exe", argv, env);
	}
	_exit(127);
}

static int spawn(int fd, pid_t *pid)
{
	*pid = fork();
	if (*pid < 0) {
		*pid = 0;
		return -errno;
	}
	if (*pid == 0) {
		become_helper(fd);
	}
	return 0;
}

/* A packet must fit as a whole, and an answer must come. */
static int prepare(int fd)
{
	const struct timeval patience = {.tv_sec = ANSWER_S};
	int want = 4 * PROTOCOL_MESSAGE_MAX, got = 0;
	socklen_t n = sizeof got;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &n) != 0) {
		return -errno;
	}
	return got >= PROTOCOL_MESSAGE_MAX + 1024 ? 0 : UV_ENOBUFS;
}

static int receive_answer(int fd, char why[static HELPER_WHY])
{
	char answer[PROTOCOL_TEXT_MAX + 16];
	struct slice text;
	ssize_t n;
	int rc;

	do {
		n = recv(fd, answer, sizeof answer, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return errno == EAGAIN ? ERR_TIMEOUT : -errno;
	}
	if (n == 0) {
		return ERR_CLOSED;
	}
	rc = protocol_ready_decode(&text, slice(answer, (size_t)n));
	if (rc == 0 && text.n > 0) {
		snprintf(why, HELPER_WHY, "hooks: %.*s", SLICE_ARG(text));
		rc = UV_EACCES;
	}
	return rc;
}

/* Sends the table and waits for the answer. */
static int introduce(int fd, const struct hooks_options *options, const char *user,
		     bool sandbox, char why[static HELPER_WHY])
{
	struct buf b;
	int rc;

	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	rc = protocol_table_encode(&b, user, sandbox, options);
	if (rc == ERR_TOO_LARGE) {
		snprintf(why, HELPER_WHY,
			 "hooks: the commands are too long: at most %d exec hooks of %d "
			 "arguments, %d bytes together; put them into a script",
			 PROTOCOL_HOOKS, PROTOCOL_ARGS, PROTOCOL_MESSAGE_MAX);
	}
	if (rc == 0 && send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n) {
		rc = -errno;
	}
	buf_fini(&b);
	return rc != 0 ? rc : receive_answer(fd, why);
}

int helper_start(const struct hooks_options *options, const char *user, bool sandbox,
		 pid_t *pid, int *fd, char why[static HELPER_WHY])
{
	int pair[2], rc;

	*fd = -1;
	*pid = 0;
	why[0] = '\0';
	if (!any_exec(options)) {
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		rc = -errno;
		goto err_why;
	}
	rc = prepare(pair[0]);
	rc = rc != 0 ? rc : spawn(pair[1], pid);
	close(pair[1]);
	rc = rc != 0 ? rc : introduce(pair[0], options, user, sandbox, why);
	if (rc != 0) {
		goto err_close;
	}
	*fd = pair[0];
	return 0;

err_close:
	close(pair[0]);
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		*pid = 0;
	}
err_why:
	if (why[0] == '\0') {
		snprintf(why, HELPER_WHY,
			 "hooks: the helper process for exec hooks cannot be started: %s",
			 err_str(rc));
	}
	return rc;
}
