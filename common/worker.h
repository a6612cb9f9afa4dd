/* worker: a small process of a daemon's own program that keeps rights which the
 * daemon gives up, above all to run programs.
 *
 * The daemon's main() starts it before rights are dropped and the sandbox closes, by
 * fork and execve of /proc/self/exe with one flag, so that it has nothing of the
 * daemon's memory.  Both talk over a SOCK_SEQPACKET pair, which is descriptor
 * WORKER_FD in the worker.  First the daemon sends a table of what may be asked for,
 * and the worker answers READY with the text of why not, or none; what else is said is
 * theirs (hooks/protocol.h, sources/runner_protocol.h).
 *
 * A changed configuration reaches a running worker in two steps, so that the daemon can
 * still turn back in between:
 *
 *   PROPOSE  daemon   a number, the table that it wants, and what belongs to it
 *   JUDGED   worker   the number, and the text of why not, or none
 *   TAKE     daemon   the number: from here on that table holds
 *
 * The worker does not believe the daemon, which may have been taken over since: it reads
 * the configuration file itself, which only root and whoever started the daemon can
 * change, and takes no table but the one that the file says.
 *
 * Threads   One; both ends before the daemon has any others.
 */
#ifndef COMMON_WORKER_H
#define COMMON_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"

enum {
	WORKER_FD = 3,
	WORKER_WHY = 1024,
	WORKER_TEXT_MAX = 1024,
	WORKER_MESSAGE_MAX = 96 * 1024,
	WORKER_READY = 2, /* the first byte of that message */
	WORKER_PROPOSE = 64,
	WORKER_JUDGED,
	WORKER_TAKE,
};

/* ---- in the daemon ---- */

/* Blocks until the worker has answered (10 s at most).  flag, config: its arguments, the
 * second an absolute path that worker_agrees() will read.  *fd is
 * the caller's, close-on-exec.  On error nothing is left running, *fd is -1 and why is
 * what the worker said, or empty: UV_EACCES (it said why), ERR_TIMEOUT, ERR_CLOSED,
 * or the error of a call. */
int worker_start(const char *flag, const char *config, struct slice table, pid_t *pid,
		 int *fd, char why[static WORKER_WHY]);

/* text: why not, or empty. */
int worker_ready_encode(struct buf *out, struct slice text);
/* Borrows from message; ERR_MALFORMED. */
int worker_ready_decode(struct slice *text, struct slice message);

struct worker_change {
	uint8_t type;       /* WORKER_PROPOSE, JUDGED or TAKE */
	uint32_t number;
	struct slice text;  /* JUDGED: why not, or empty */
	struct slice table; /* PROPOSE */
	struct slice more;  /* PROPOSE: the two programs' own */
};
int worker_change_encode(struct buf *out, const struct worker_change *c);
/* Borrows from message; ERR_MALFORMED. */
int worker_change_decode(struct worker_change *c, struct slice message);

/* ---- in the worker ---- */

/* Hardens the process and closes what it was not given; *signals: a signalfd for
 * SIGCHLD, not blocking.  SIGTERM, SIGINT and SIGHUP are ignored from here on: a worker
 * ends when its socket does.  Errors of the calls. */
int worker_set_up(int fd, int *signals);
/* Becomes user when started as root, gives up every capability, and confines what it
 * runs (SANDBOX_HELPER) if sandbox says so.  *owner: who started it, whose programs may
 * be run.  On error why is one line. */
int worker_give_up_rights(const char *user, bool sandbox, uid_t *owner,
			  char why[static WORKER_WHY]);
/* Sends READY. */
int worker_answer(int fd, struct slice text);

/* Where a worker finds out what it may do from now on. */
struct worker_config {
	const char *path;
	/* Appends the worker's table as the file says it now, for no user and without a
	 * sandbox, which stay as they are.  On error why is one line. */
	int (*table)(const char *path, struct buf *out, char why[static WORKER_WHY]);
};
/* Does the file say this table?  UV_EACCES and why: it does not, or who else can write to it
 * could have made it say so; the error of reading it. */
int worker_agrees(const struct worker_config *c, uid_t owner, struct slice table,
		  char why[static WORKER_WHY]);
/* Sends JUDGED.  ERR_CLOSED. */
int worker_judged(int fd, uint32_t number, const char *why);

/* Runs file in a session and process group of its own, in /, with umask 027, with
 * these three descriptors (-1: /dev/null) and no others; it gets SIGTERM when the
 * worker dies.  Returns its pid, or the error of starting it. */
pid_t worker_run(const char *file, char *const *argv, char *const *env,
		 const int fds[static 3]);

#endif
