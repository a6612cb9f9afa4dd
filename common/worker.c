#include "common/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/err.h"
#include "common/reader.h"
#include "common/sandbox.h"
#include "common/trust.h"

enum { ANSWER_S = 10 };

/* ---- READY ---- */

int worker_ready_encode(struct buf *out, struct slice text)
{
	int rc = buf_add_u8(out, WORKER_READY);

	rc = rc != 0 ? rc : buf_add_varint(out, text.n);
	return rc != 0 ? rc : buf_add_slice(out, text);
}

int worker_ready_decode(struct slice *text, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	*text = reader_blob(&r, WORKER_TEXT_MAX);
	return reader_done(&r) && type == WORKER_READY ? 0 : ERR_MALFORMED;
}

/* ---- in the daemon ---- */

/* In the child; never returns. */
static void become_worker(const char *flag, const char *config, int fd)
{
	char name[] = "nightjar-helper", copy[32], path[PATH_MAX];
	char *argv[] = {name, copy, path, NULL}, *env[] = {NULL};

	snprintf(copy, sizeof copy, "%s", flag);
	snprintf(path, sizeof path, "%s", config);
	/* dup2() to itself would leave it close-on-exec. */
	if (fd == WORKER_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, WORKER_FD) >= 0) {
		execve("/proc/self/exe", argv, env);
	}
	_exit(127);
}

static int spawn(const char *flag, const char *config, int fd, pid_t *pid)
{
	*pid = fork();
	if (*pid < 0) {
		*pid = 0;
		return -errno;
	}
	if (*pid == 0) {
		become_worker(flag, config, fd);
	}
	return 0;
}

/* A packet must fit as a whole, and an answer must come. */
static int prepare(int fd)
{
	const struct timeval patience = {.tv_sec = ANSWER_S};
	int want = 4 * WORKER_MESSAGE_MAX, got = 0;
	socklen_t n = sizeof got;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &n) != 0) {
		return -errno;
	}
	return got >= WORKER_MESSAGE_MAX + 1024 ? 0 : UV_ENOBUFS;
}

static int receive_answer(int fd, char why[static WORKER_WHY])
{
	char answer[WORKER_TEXT_MAX + 16];
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
	rc = worker_ready_decode(&text, slice(answer, (size_t)n));
	if (rc == 0 && text.n > 0) {
		snprintf(why, WORKER_WHY, "%.*s", SLICE_ARG(text));
		rc = UV_EACCES;
	}
	return rc;
}

int worker_start(const char *flag, const char *config, struct slice table, pid_t *pid,
		 int *fd, char why[static WORKER_WHY])
{
	int pair[2], rc;

	*fd = -1;
	*pid = 0;
	why[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		return -errno;
	}
	rc = prepare(pair[0]);
	rc = rc != 0 ? rc : spawn(flag, config, pair[1], pid);
	close(pair[1]);
	if (rc == 0 && send(pair[0], table.p, table.n, MSG_NOSIGNAL) !=
			       (ssize_t)table.n) {
		rc = -errno;
	}
	rc = rc != 0 ? rc : receive_answer(pair[0], why);
	if (rc == 0) {
		*fd = pair[0];
		return 0;
	}
	close(pair[0]);
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		*pid = 0;
	}
	return rc;
}

/* ---- in the worker ---- */

int worker_set_up(int fd, int *signals)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t child;

	daemon_harden();
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
		signal(ignored[i], SIG_IGN);
	}
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	/* What whoever started the daemon left open; without this call (Linux 5.9)
	 * it stays open. */
	syscall(SYS_close_range, (unsigned)WORKER_FD + 1, ~0u, 0u);
	*signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*signals < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
		return -errno;
	}
	return 0;
}

/* Also where the service manager gave the daemon a capability: the worker has no
 * use for any, and the programs even less. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	return syscall(SYS_capset, &head, none) == 0 ? 0 : -errno;
}

int worker_give_up_rights(const char *user, bool sandbox, uid_t *owner,
			  char why[static WORKER_WHY])
{
	bool root = geteuid() == 0;
	int rc;

	*owner = geteuid();
	rc = daemon_drop(user, false, why);
	if (rc == 0 && !root) {
		rc = drop_capabilities();
	}
	if (rc == 0 && sandbox) {
		rc = sandbox_enter(SANDBOX_HELPER, NULL, 0, why);
	}
	if (rc != 0 && why[0] == '\0') {
		snprintf(why, WORKER_WHY, "cannot give up rights: %s", err_str(rc));
	}
	return rc;
}

int worker_answer(int fd, struct slice text)
{
	char bytes[WORKER_TEXT_MAX + 16];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};

	if (worker_ready_encode(&b, slice_head(text, WORKER_TEXT_MAX)) != 0 ||
	    send(fd, b.p, b.n, MSG_NOSIGNAL) < 0) {
		return ERR_CLOSED;
	}
	return 0;
}

int worker_agrees(const struct worker_config *c, uid_t owner, struct slice table,
		  char why[static WORKER_WHY])
{
	char file[PATH_MAX], reason[TRUST_WHY];
	struct buf says;
	int rc = trust_file(c->path, owner, file, reason);

	if (rc != 0) {
		snprintf(why, WORKER_WHY, "%s", reason);
		return rc;
	}
	why[0] = '\0';
	buf_init(&says, WORKER_MESSAGE_MAX);
	rc = c->table(file, &says, why);
	if (rc == 0 && !slice_eq(buf_slice(&says), table)) {
		snprintf(why, WORKER_WHY, "%.512s has changed once more since it was read; "
			 "reload again", c->path);
		rc = UV_EACCES;
	} else if (rc != 0 && why[0] == '\0') {
		snprintf(why, WORKER_WHY, "%.512s: %s", c->path, err_str(rc));
	}
	buf_fini(&says);
	return rc;
}

int worker_judged(int fd, uint32_t number, const char *why)
{
	const struct worker_change c = {.type = WORKER_JUDGED, .number = number,
					.text = slice_str(why)};
	char bytes[WORKER_TEXT_MAX + 16];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};

	if (worker_change_encode(&b, &c) != 0 || send(fd, b.p, b.n, MSG_NOSIGNAL) < 0) {
		return ERR_CLOSED;
	}
	return 0;
}

/* In the new process; never returns.  report: gets the errno if the program can't
 * be started, and closes when it is. */
static void become_program(const char *file, char *const *argv, char *const *env,
			   const int fds[static 3], int report)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool good = null >= 0;

	for (int s = 1; s < NSIG; s++) {
		signal(s, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(027);
	/* A worker that is killed takes it along. */
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	good = good && setsid() >= 0 && chdir("/") == 0;
	for (int i = 0; i < 3 && good; i++) {
		good = dup2(fds[i] < 0 ? null : fds[i], i) >= 0;
	}
	if (good) {
		execve(file, argv, env);
	}
	(void)!write(report, &errno, sizeof errno);
	_exit(127);
}

pid_t worker_run(const char *file, char *const *argv, char *const *env,
		 const int fds[static 3])
{
	int report[2], failed = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) != 0) {
		return -errno;
	}
	pid = fork();
	if (pid == 0) {
		become_program(file, argv, env, fds, report[1]);
	}
	if (pid < 0) {
		pid = -errno;
	}
	close(report[1]);
	do {
		n = read(report[0], &failed, sizeof failed);
	} while (n < 0 && errno == EINTR);
	close(report[0]);
	if (pid > 0 && n == sizeof failed) {
		waitpid(pid, NULL, 0);
		pid = -failed;
	}
	return pid;
}
