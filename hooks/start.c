/* Starting the helper, from the daemon's main(). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "hooks/helper.h"
#include "hooks/protocol.h"

static bool any_exec(const struct hooks_options *options)
{
	for (size_t i = 0; i < options->n_hooks; i++) {
		if (options->hooks[i].type == HOOK_EXEC) {
			return true;
		}
	}
	return false;
}

static int spawn(int fd, const char *self, pid_t *pid)
{
	char number[16];
	char *argv[] = {(char *)(uintptr_t)self, (char *)(uintptr_t)"--helper", number, NULL};

	snprintf(number, sizeof number, "%d", fd);
	*pid = fork();
	if (*pid < 0) {
		return -errno;
	}
	if (*pid == 0) {
		/* In the child: its end must survive exec. */
		fcntl(fd, F_SETFD, 0);
		execv(self, argv);
		_exit(127);
	}
	return 0;
}

/* Sends the table and waits for the answer. */
static int introduce(int fd, const struct hooks_options *options,
		     char why[static HELPER_WHY])
{
	char answer[2048];
	struct slice text;
	struct buf b;
	ssize_t n;
	int rc;

	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	rc = protocol_table_encode(&b, options);
	if (rc != 0) {
		snprintf(why, HELPER_WHY, "hooks: too many exec hooks or arguments");
		goto out;
	}
	if (send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n) {
		rc = -errno;
		goto out;
	}
	do {
		n = recv(fd, answer, sizeof answer, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		rc = ERR_CLOSED;
		goto out;
	}
	rc = protocol_ready_decode(&text, slice(answer, (size_t)n));
	if (rc == 0 && text.n > 0) {
		snprintf(why, HELPER_WHY, "%.*s", SLICE_ARG(text));
		rc = UV_EACCES;
	}
out:
	buf_fini(&b);
	return rc;
}

int helper_start(int *fd, pid_t *pid, const struct hooks_options *options,
		 const char *self, char why[static HELPER_WHY])
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
	rc = spawn(pair[1], self, pid);
	close(pair[1]);
	if (rc == 0) {
		rc = introduce(pair[0], options, why);
	}
	if (rc == 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
		rc = -errno;
	}
	if (rc != 0) {
		close(pair[0]);
		if (*pid > 0) {
			/* Its socket is closed: it ends by itself. */
			waitpid(*pid, NULL, 0);
		}
		goto err_why;
	}
	*fd = pair[0];
	return 0;

err_why:
	if (why[0] == '\0') {
		snprintf(why, HELPER_WHY, "the helper for exec hooks cannot be started: %s",
			 err_str(rc));
	}
	return rc;
}
