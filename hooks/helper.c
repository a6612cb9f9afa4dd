/* The helper's loop: one thread, poll() on its socket and on a signalfd.
 *
 *	EXEC --> RUNNING --the program ends--------------------------> DONE
 *	            '--timeout, SIGTERM--> TERMINATED --2 s, SIGKILL--> KILLED --> DONE
 *
 * What may fail: fork, memfd, the program is gone or changed hands (DONE says
 * FAILED with the errno); the daemon dies (what runs is waited for, then the helper
 * ends); another table that the configuration file does not say (the one before
 * stays); a message that is not of the form (the helper ends: whoever sent it is not
 * the program that it was started by).
 */
#include "hooks/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/trust.h"
#include "common/worker.h"
#include "hooks/protocol.h"

enum { KILL_AFTER_MS = 2000, POLL_MAX_MS = 60000 };

enum job_state { JOB_FREE, JOB_RUNNING, JOB_TERMINATED, JOB_KILLED };

struct job {
	enum job_state state;
	uint32_t id;
	uint8_t hook;
	int64_t started_ms;
	int64_t deadline_ms;
	pid_t pid; /* and its session and process group */
};

struct helper {
	int fd;
	int signals;
	bool closed;
	uid_t owner; /* who started us: programs may belong to it */
	const struct worker_config *config;
	struct protocol_table table;
	struct protocol_table next; /* was judged, and waits for TAKE */
	uint32_t next_number;       /* 0: there is none */
	struct job jobs[PROTOCOL_JOBS];
	char message[PROTOCOL_MESSAGE_MAX];
};

static int64_t now_ms(void)
{
	return sys_mono_ns(sys_plain()) / 1000000;
}

static void answer(struct helper *h, const struct protocol_done *d)
{
	char bytes[64];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};

	/* A daemon that is gone is told nothing. */
	if (!h->closed && protocol_done_encode(&b, d) == 0 &&
	    send(h->fd, b.p, b.n, MSG_NOSIGNAL) < 0) {
		h->closed = true;
	}
}

/* ---- one program ---- */

/* The alert as a file without a name: the program may read it when it likes, as
 * often as it likes, or not at all. */
static int input_file(struct slice input)
{
	int fd = memfd_create("alert", MFD_CLOEXEC), rc;
	size_t done = 0;

	while (fd >= 0 && done < input.n) {
		ssize_t n = write(fd, input.p + done, input.n - done);

		if (n < 0) {
			goto err_close;
		}
		done += (size_t)n;
	}
	if (fd < 0) {
		return -errno;
	}
	if (lseek(fd, 0, SEEK_SET) == 0) {
		return fd;
	}
err_close:
	rc = -errno;
	close(fd);
	return rc;
}

enum { VARIABLE_ROOM = sizeof "NIGHTJAR_SOURCE_IP=" + PROTOCOL_VALUE_MAX };

struct environment {
	char text[VARIABLE_NR][VARIABLE_ROOM];
	char *v[VARIABLE_NR + 2];
};

static void fill_environment(struct environment *env, const struct protocol_exec *e)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	size_t n = 0;

	env->v[n++] = path;
	for (unsigned i = 0; i < VARIABLE_NR; i++) {
		if (e->value[i].n > 0) {
			snprintf(env->text[i], VARIABLE_ROOM, "%s=%.*s",
				 hook_variable_name(i), SLICE_ARG(e->value[i]));
			env->v[n++] = env->text[i];
		}
	}
	env->v[n] = NULL;
}

/* Its pid, or UV_E*. */
static pid_t run_program(struct helper *h, const struct protocol_exec *e)
{
	const struct hook_options *o = &h->table.options.hooks[e->hook];
	char file[PATH_MAX], why[TRUST_WHY];
	struct environment env;
	int fds[3] = {-1, -1, -1};
	int input, rc = trust_program(o->command.v[0], h->owner, file, why);
	pid_t pid;

	if (rc != 0) {
		log_error("the program of a hook is refused", "hook=%s why=\"%s\"",
			  o->name, why);
		return rc;
	}
	input = input_file(e->input);
	if (input < 0) {
		return input;
	}
	fill_environment(&env, e);
	fds[0] = input;
	pid = worker_run(file, o->command.v, env.v, fds);
	close(input);
	return pid;
}

static int on_exec(struct helper *h, struct slice message)
{
	struct protocol_done failed = {.how = HOW_FAILED};
	struct protocol_exec e;
	struct job *j = NULL;
	uint64_t running = 0;
	pid_t pid = UV_EAGAIN;

	if (protocol_exec_decode(&e, message) != 0 ||
	    e.hook >= h->table.options.n_hooks) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		if (h->jobs[i].state == JOB_FREE) {
			j = &h->jobs[i];
		} else {
			running += h->jobs[i].hook == e.hook;
		}
	}
	if (j != NULL && running < h->table.options.hooks[e.hook].concurrency) {
		pid = run_program(h, &e);
	}
	if (pid < 0) {
		failed.id = e.id;
		failed.status = (uint32_t)-pid;
		answer(h, &failed);
		return 0;
	}
	*j = (struct job){.state = JOB_RUNNING, .id = e.id, .hook = e.hook, .pid = pid,
			  .started_ms = now_ms()};
	j->deadline_ms = j->started_ms +
			 (int64_t)h->table.options.hooks[e.hook].timeout_ms;
	return 0;
}

static void on_ended(struct helper *h, struct job *j, int status)
{
	struct protocol_done d = {.id = j->id};

	if (j->state != JOB_RUNNING) {
		d.how = HOW_TIMEOUT;
		d.status = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
	} else if (WIFSIGNALED(status)) {
		d.how = HOW_SIGNALED;
		d.status = (uint32_t)WTERMSIG(status);
	} else {
		d.how = HOW_EXITED;
		d.status = (uint32_t)WEXITSTATUS(status);
	}
	d.duration_ms = (uint32_t)(now_ms() - j->started_ms);
	*j = (struct job){.state = JOB_FREE};
	answer(h, &d);
}

static void reap(struct helper *h)
{
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		struct job *j = &h->jobs[i];
		siginfo_t info = {0};
		int status;

		if (j->state == JOB_FREE ||
		    waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		    info.si_pid == 0) {
			continue;
		}
		/* What it left behind goes too, while its number can't yet be another's. */
		kill(-j->pid, SIGKILL);
		if (waitpid(j->pid, &status, 0) == j->pid) {
			on_ended(h, j, status);
		}
	}
}

/* Ends what runs too long; returns how long poll() may sleep, -1: for ever. */
static int keep_deadlines(struct helper *h)
{
	int64_t now = now_ms(), next = INT64_MAX;

	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		struct job *j = &h->jobs[i];

		if (j->state == JOB_FREE || j->state == JOB_KILLED) {
			continue;
		}
		if (j->deadline_ms <= now) {
			bool first = j->state == JOB_RUNNING;

			kill(-j->pid, first ? SIGTERM : SIGKILL);
			j->state = first ? JOB_TERMINATED : JOB_KILLED;
			j->deadline_ms = first ? now + KILL_AFTER_MS : INT64_MAX;
		}
		next = j->deadline_ms < next ? j->deadline_ms : next;
	}
	if (next == INT64_MAX) {
		return -1;
	}
	return next - now < POLL_MAX_MS ? (int)(next - now) : POLL_MAX_MS;
}

/* ---- another table ---- */

static int judge_programs(const struct helper *h, const struct protocol_table *t,
			  char why[static HELPER_WHY])
{
	char file[PATH_MAX], reason[TRUST_WHY];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->options.n_hooks; i++) {
		const struct hook_options *o = &t->options.hooks[i];

		rc = trust_program(o->command.v[0], h->owner, file, reason);
		if (rc != 0) {
			snprintf(why, HELPER_WHY, "%.256s: %s", o->name, reason);
		}
	}
	return rc;
}

static int on_propose(struct helper *h, const struct worker_change *c)
{
	char why[HELPER_WHY] = "";
	int rc;

	protocol_table_free(&h->next);
	h->next_number = 0;
	rc = protocol_table_decode(&h->next, c->table);
	if (rc == ERR_MALFORMED) {
		return rc;
	}
	rc = rc != 0 ? rc : worker_agrees(h->config, h->owner, c->table, why);
	rc = rc != 0 ? rc : judge_programs(h, &h->next, why);
	if (rc == 0) {
		h->next_number = c->number;
	} else if (why[0] == '\0') {
		snprintf(why, HELPER_WHY, "%s", err_str(rc));
	}
	h->closed = worker_judged(h->fd, c->number, why) != 0;
	return 0;
}

/* Which hook of the next table a job is one of; PROTOCOL_HOOKS: none any more. */
static uint8_t index_in_next(const struct helper *h, const struct job *j)
{
	const struct hooks_options *next = &h->next.options;

	for (size_t i = 0; j->hook < h->table.options.n_hooks && i < next->n_hooks; i++) {
		if (strcmp(next->hooks[i].name, h->table.options.hooks[j->hook].name) ==
		    0) {
			return (uint8_t)i;
		}
	}
	return PROTOCOL_HOOKS;
}

static int on_take(struct helper *h, const struct worker_change *c)
{
	if (h->next_number == 0 || h->next_number != c->number) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		h->jobs[i].hook = index_in_next(h, &h->jobs[i]);
	}
	protocol_table_free(&h->table);
	h->table = h->next;
	h->next = (struct protocol_table){0};
	h->next_number = 0;
	return 0;
}

static int on_message(struct helper *h, struct slice message)
{
	struct worker_change c;

	if (worker_change_decode(&c, message) != 0) {
		return on_exec(h, message);
	}
	return c.type == WORKER_PROPOSE ? on_propose(h, &c)
	       : c.type == WORKER_TAKE	? on_take(h, &c)
					: ERR_MALFORMED;
}

/* ---- the loop ---- */

/* One message; false: the socket is closed, or speaks nonsense. */
static bool receive(struct helper *h)
{
	ssize_t n = recv(h->fd, h->message, sizeof h->message, MSG_TRUNC);

	if (n < 0) {
		return errno == EINTR;
	}
	if (n == 0) {
		return false;
	}
	if ((size_t)n > sizeof h->message ||
	    on_message(h, slice(h->message, (size_t)n)) != 0) {
		log_error("the helper for exec hooks got a message that it does not "
			  "understand, and ends", "bytes=%zd", n);
		return false;
	}
	return true;
}

static bool any_job(const struct helper *h)
{
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		if (h->jobs[i].state != JOB_FREE) {
			return true;
		}
	}
	return false;
}

static void run(struct helper *h)
{
	while (!h->closed || any_job(h)) {
		struct pollfd p[2] = {{.fd = h->signals, .events = POLLIN},
				      {.fd = h->closed ? -1 : h->fd, .events = POLLIN}};
		struct signalfd_siginfo info;

		if (poll(p, 2, keep_deadlines(h)) < 0 && errno != EINTR) {
			return;
		}
		while (read(h->signals, &info, sizeof info) > 0) {
			/* One signal can stand for several children. */
		}
		reap(h);
		if (p[1].revents != 0 && !receive(h)) {
			h->closed = true;
		}
	}
}

/* ---- the start ---- */

static int judge_table(struct helper *h, char why[static HELPER_WHY])
{
	int rc = worker_give_up_rights(h->table.user, h->table.sandbox, &h->owner,
				       why);

	return rc != 0 ? rc : judge_programs(h, &h->table, why);
}

static int accept_table(struct helper *h)
{
	char why[HELPER_WHY] = "";
	ssize_t n = recv(h->fd, h->message, sizeof h->message, MSG_TRUNC);
	int rc = ERR_CLOSED;

	if (n > 0 && (size_t)n <= sizeof h->message) {
		rc = protocol_table_decode(&h->table, slice(h->message, (size_t)n));
	}
	if (rc != 0) {
		return rc;
	}
	rc = judge_table(h, why);
	return worker_answer(h->fd, slice_str(why)) != 0 ? ERR_CLOSED : rc;
}

int helper_main(int fd, const struct worker_config *config)
{
	struct helper *h = calloc(1, sizeof *h);
	int rc;

	if (h == NULL) {
		return 1;
	}
	h->fd = fd;
	h->config = config;
	rc = worker_set_up(fd, &h->signals);
	rc = rc != 0 ? rc : accept_table(h);
	if (rc == 0) {
		run(h);
	}
	protocol_table_free(&h->table);
	protocol_table_free(&h->next);
	free(h);
	return rc == 0 ? 0 : 1;
}
