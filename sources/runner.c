/* The runner's loop: one thread, poll() on its socket and on a signalfd.
 *
 *	IDLE --RUN--> RUNNING --it ends-----------------------------> IDLE
 *	                '--STOP, end of the agent--> TERMINATED --2 s--> KILLED --> IDLE
 *
 * What may fail: pipe or fork, the program is gone or changed hands (FAILED with the
 * errno); another table that the configuration file does not say (the one before stays);
 * the agent dies (everything is ended, then the runner ends); a message that
 * is not of the form, or asks for what runs already (the same: whoever sent it is not the
 * program that it was started by).
 */
#include "sources/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/trust.h"
#include "sources/runner_protocol.h"

enum { KILL_AFTER_MS = 2000 };

enum job_state { JOB_IDLE, JOB_RUNNING, JOB_TERMINATED, JOB_KILLED };

struct job {
	enum job_state state;
	pid_t pid; /* and its session and process group */
	int64_t deadline_ms; /* TERMINATED */
	struct strlist argv; /* empty: not configured (any more) */
};

struct runner {
	int fd;
	int signals;
	bool closed;
	uid_t owner; /* who started us: programs may belong to it */
	const struct worker_config *config;
	struct runner_table table; /* until its commands have their places */
	struct job jobs[RUNNER_PLACES];
	/* Was judged, and waits for TAKE. */
	struct runner_table next;
	uint8_t next_places[RUNNER_COMMANDS];
	uint32_t next_number; /* 0: there is none */
	char message[WORKER_MESSAGE_MAX];
};

static int64_t now_ms(void)
{
	return sys_mono_ns(sys_plain()) / 1000000;
}

/* fds: two descriptors to go with it, or NULL. */
static void tell(struct runner *r, const struct runner_message *m, const int *fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	char bytes[RUNNER_MESSAGE];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};
	struct iovec iov = {bytes, 0};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (r->closed || runner_message_encode(&b, m) != 0) {
		return; /* An agent that is gone is told nothing. */
	}
	iov.iov_len = b.n;
	if (fds != NULL) {
		h.msg_control = control.room;
		h.msg_controllen = sizeof control.room;
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, 2 * sizeof(int));
	}
	if (sendmsg(r->fd, &h, MSG_NOSIGNAL) < 0) {
		r->closed = true;
	}
}

/* ---- one command ---- */

static void close_pair(const int pair[static 2])
{
	close(pair[0]);
	close(pair[1]);
}

/* Its pid, and the reading ends of its output and errors; or why not. */
static pid_t run_command(struct runner *r, const struct strlist *argv,
			 int reading[static 2])
{
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *env[] = {path, NULL};
	char file[PATH_MAX], why[TRUST_WHY];
	int out[2], err[2], fds[3] = {-1, -1, -1};
	int rc = trust_program(argv->v[0], r->owner, file, why);
	pid_t pid;

	if (rc != 0) {
		log_error("the program of a command source is refused", "why=\"%s\"",
			  why);
		return rc;
	}
	if (pipe2(out, O_CLOEXEC) != 0) {
		return -errno;
	}
	if (pipe2(err, O_CLOEXEC) != 0) {
		rc = -errno;
		close_pair(out);
		return rc;
	}
	fds[1] = out[1];
	fds[2] = err[1];
	pid = worker_run(file, argv->v, env, fds);
	close(out[1]);
	close(err[1]);
	if (pid < 0) {
		close(out[0]);
		close(err[0]);
		return pid;
	}
	reading[0] = out[0];
	reading[1] = err[0];
	return pid;
}

static int on_run(struct runner *r, uint8_t i)
{
	struct runner_message m = {RUNNER_STARTED, i, 0};
	int reading[2] = {-1, -1};
	pid_t pid;

	if (r->jobs[i].state != JOB_IDLE || r->jobs[i].argv.n == 0) {
		return ERR_MALFORMED;
	}
	pid = run_command(r, &r->jobs[i].argv, reading);
	if (pid < 0) {
		m.type = RUNNER_FAILED;
		m.status = (uint32_t)-pid;
		tell(r, &m, NULL);
		return 0;
	}
	r->jobs[i].state = JOB_RUNNING;
	r->jobs[i].pid = pid;
	tell(r, &m, reading);
	close_pair(reading);
	return 0;
}

static void end_job(struct job *j)
{
	if (j->state == JOB_RUNNING) {
		kill(-j->pid, SIGTERM);
		j->state = JOB_TERMINATED;
		j->deadline_ms = now_ms() + KILL_AFTER_MS;
	}
}

static void reap(struct runner *r)
{
	for (size_t i = 0; i < RUNNER_PLACES; i++) {
		struct job *j = &r->jobs[i];
		struct runner_message m = {RUNNER_EXITED, (uint8_t)i, 0};
		siginfo_t info = {0};
		int status;

		if (j->state == JOB_IDLE ||
		    waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		    info.si_pid == 0) {
			continue;
		}
		/* What it left behind goes too, while its number can't yet be another's. */
		kill(-j->pid, SIGKILL);
		if (waitpid(j->pid, &status, 0) != j->pid) {
			continue;
		}
		j->state = JOB_IDLE;
		m.status = (uint32_t)WEXITSTATUS(status);
		if (WIFSIGNALED(status)) {
			m.type = RUNNER_SIGNALED;
			m.status = (uint32_t)WTERMSIG(status);
		}
		tell(r, &m, NULL);
	}
}

/* Kills what did not heed SIGTERM; returns how long poll() may sleep, -1: for ever. */
static int keep_deadlines(struct runner *r)
{
	int64_t now = now_ms(), next = INT64_MAX;

	for (size_t i = 0; i < RUNNER_PLACES; i++) {
		struct job *j = &r->jobs[i];

		if (j->state == JOB_TERMINATED && j->deadline_ms <= now) {
			kill(-j->pid, SIGKILL);
			j->state = JOB_KILLED;
		} else if (j->state == JOB_TERMINATED && j->deadline_ms < next) {
			next = j->deadline_ms;
		}
	}
	return next == INT64_MAX ? -1 : (int)(next - now);
}

/* ---- another table ---- */

static bool same_command(const struct strlist *a, const struct strlist *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; i < a->n && same; i++) {
		same = strcmp(a->v[i], b->v[i]) == 0;
	}
	return same;
}

/* Each command has a place of its own, where it stands already or nothing does. */
static bool places_fit(const struct runner *r, const struct runner_table *t,
		       struct slice places)
{
	bool seen[RUNNER_PLACES] = {false};

	for (size_t i = 0; i < t->n; i++) {
		uint8_t at = (uint8_t)places.p[i];
		const struct job *j = at < RUNNER_PLACES ? &r->jobs[at] : NULL;

		if (j == NULL || seen[at] ||
		    (j->argv.n > 0 ? !same_command(&j->argv, &t->commands[i])
				   : j->state != JOB_IDLE)) {
			return false;
		}
		seen[at] = true;
	}
	return true;
}

static int judge_programs(const struct runner *r, const struct runner_table *t,
			  char why[static WORKER_WHY])
{
	char file[PATH_MAX], reason[TRUST_WHY];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		rc = trust_program(t->commands[i].v[0], r->owner, file, reason);
		if (rc != 0) {
			snprintf(why, WORKER_WHY, "%s", reason);
		}
	}
	return rc;
}

static int on_propose(struct runner *r, const struct worker_change *c)
{
	char why[WORKER_WHY] = "";
	int rc;

	runner_table_free(&r->next);
	r->next_number = 0;
	rc = runner_table_decode(&r->next, c->table);
	if (rc == ERR_MALFORMED ||
	    (rc == 0 && (c->more.n != r->next.n || !places_fit(r, &r->next, c->more)))) {
		return ERR_MALFORMED;
	}
	rc = rc != 0 ? rc : worker_agrees(r->config, r->owner, c->table, why);
	rc = rc != 0 ? rc : judge_programs(r, &r->next, why);
	if (rc == 0) {
		r->next_number = c->number;
		memcpy(r->next_places, c->more.p, c->more.n);
	} else if (why[0] == '\0') {
		snprintf(why, WORKER_WHY, "%s", err_str(rc));
	}
	if (worker_judged(r->fd, c->number, why) != 0) {
		r->closed = true;
	}
	return 0;
}

/* The command's words change hands. */
static void place(struct runner *r, struct runner_table *t, size_t i, uint8_t at)
{
	strlist_fini(&r->jobs[at].argv);
	r->jobs[at].argv = t->commands[i];
	t->commands[i] = (struct strlist){NULL, 0};
}

static int on_take(struct runner *r, const struct worker_change *c)
{
	bool stays[RUNNER_PLACES] = {false};

	if (r->next_number == 0 || r->next_number != c->number) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < r->next.n; i++) {
		stays[r->next_places[i]] = true;
	}
	for (size_t at = 0; at < RUNNER_PLACES; at++) {
		if (!stays[at]) {
			end_job(&r->jobs[at]);
			strlist_fini(&r->jobs[at].argv);
		}
	}
	for (size_t i = 0; i < r->next.n; i++) {
		place(r, &r->next, i, r->next_places[i]);
	}
	runner_table_free(&r->next);
	r->next_number = 0;
	return 0;
}

/* ---- the loop ---- */

static int on_message(struct runner *r, struct slice message)
{
	struct worker_change c;
	struct runner_message m;
	int rc = runner_message_decode(&m, message);

	if (rc == 0 && m.command < RUNNER_PLACES && m.type == RUNNER_RUN) {
		return on_run(r, m.command);
	}
	if (rc == 0 && m.command < RUNNER_PLACES && m.type == RUNNER_STOP) {
		end_job(&r->jobs[m.command]);
		return 0;
	}
	if (rc == 0 || worker_change_decode(&c, message) != 0) {
		return ERR_MALFORMED;
	}
	return c.type == WORKER_PROPOSE ? on_propose(r, &c)
	       : c.type == WORKER_TAKE	? on_take(r, &c)
					: ERR_MALFORMED;
}

/* One message; false: the socket is closed, or speaks nonsense. */
static bool receive(struct runner *r)
{
	ssize_t n = recv(r->fd, r->message, sizeof r->message, MSG_TRUNC);
	int rc;

	if (n < 0) {
		return errno == EINTR;
	}
	if (n == 0) {
		return false;
	}
	rc = (size_t)n > sizeof r->message
		     ? ERR_MALFORMED
		     : on_message(r, slice(r->message, (size_t)n));
	if (rc != 0) {
		log_error("the process for command sources got a message that it does "
			  "not understand, and ends", "bytes=%zd", n);
	}
	return rc == 0;
}

static bool any_job(const struct runner *r)
{
	for (size_t i = 0; i < RUNNER_PLACES; i++) {
		if (r->jobs[i].state != JOB_IDLE) {
			return true;
		}
	}
	return false;
}

static void end_all(struct runner *r)
{
	r->closed = true;
	for (size_t i = 0; i < RUNNER_PLACES; i++) {
		end_job(&r->jobs[i]);
	}
}

static void run(struct runner *r)
{
	while (!r->closed || any_job(r)) {
		struct pollfd p[2] = {{.fd = r->signals, .events = POLLIN},
				      {.fd = r->closed ? -1 : r->fd, .events = POLLIN}};
		struct signalfd_siginfo info;

		if (poll(p, 2, keep_deadlines(r)) < 0 && errno != EINTR) {
			end_all(r);
			return;
		}
		while (read(r->signals, &info, sizeof info) > 0) {
			/* One signal can stand for several children. */
		}
		reap(r);
		if (p[1].revents != 0 && !receive(r)) {
			r->closed = true;
		}
		if (r->closed) { /* Also when an answer found nobody any more. */
			end_all(r);
		}
	}
}

/* ---- the start ---- */

static int judge_table(struct runner *r, char why[static WORKER_WHY])
{
	int rc = worker_give_up_rights(r->table.user, r->table.sandbox, &r->owner,
				       why);

	rc = rc != 0 ? rc : judge_programs(r, &r->table, why);
	for (size_t i = 0; rc == 0 && i < r->table.n; i++) {
		place(r, &r->table, i, (uint8_t)i);
	}
	return rc;
}

static int accept_table(struct runner *r)
{
	char why[WORKER_WHY] = "";
	ssize_t n = recv(r->fd, r->message, sizeof r->message, MSG_TRUNC);
	int rc = ERR_CLOSED;

	if (n > 0 && (size_t)n <= sizeof r->message) {
		rc = runner_table_decode(&r->table, slice(r->message, (size_t)n));
	}
	if (rc != 0) {
		return rc;
	}
	rc = judge_table(r, why);
	return worker_answer(r->fd, slice_str(why)) != 0 ? ERR_CLOSED : rc;
}

int runner_main(int fd, const struct worker_config *config)
{
	struct runner *r = calloc(1, sizeof *r);
	int rc;

	if (r == NULL) {
		return 1;
	}
	r->fd = fd;
	r->config = config;
	rc = worker_set_up(fd, &r->signals);
	rc = rc != 0 ? rc : accept_table(r);
	if (rc == 0) {
		run(r);
	}
	for (size_t i = 0; i < RUNNER_PLACES; i++) {
		strlist_fini(&r->jobs[i].argv);
	}
	runner_table_free(&r->table);
	runner_table_free(&r->next);
	free(r);
	return rc == 0 ? 0 : 1;
}

/* ---- in the agent ---- */

int runner_table(const struct sources_options *options, struct buf *out)
{
	return runner_table_encode(out, "", false, options);
}

int runner_start(const struct sources_options *options, const char *config,
		 const char *user, bool sandbox, pid_t *pid, int *fd,
		 char why[static WORKER_WHY])
{
	char reason[WORKER_WHY] = "";
	struct buf table;
	int rc;

	*fd = -1;
	*pid = 0;
	why[0] = '\0';
	if (options->n_commands == 0) {
		return 0;
	}
	buf_init(&table, WORKER_MESSAGE_MAX);
	rc = runner_table_encode(&table, user, sandbox, options);
	if (rc == ERR_TOO_LARGE) {
		snprintf(reason, sizeof reason,
			 "they are too long: at most %d commands of %d arguments, %d "
			 "bytes together; put them into a script",
			 RUNNER_COMMANDS, RUNNER_ARGS, WORKER_MESSAGE_MAX);
	}
	if (rc == 0) {
		rc = worker_start(RUNNER_FLAG, config, buf_slice(&table), pid, fd,
				  reason);
	}
	buf_fini(&table);
	if (rc != 0) {
		snprintf(why, WORKER_WHY, "sources.commands: %.*s", WORKER_WHY - 32,
			 reason[0] != '\0' ? reason : err_str(rc));
	}
	return rc;
}
