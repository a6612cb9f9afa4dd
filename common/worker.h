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
};

/* ---- in the daemon ---- */

/* Blocks until the worker has answered (10 s at most).  flag: its one argument.  *fd is
 * the caller's, close-on-exec.  On error nothing is left running, *fd is -1 and why is
 * what the worker said, or empty: UV_EACCES (it said why), ERR_TIMEOUT, ERR_CLOSED,
 * or the error of a call. */
int worker_start(const char *flag, struct slice table, pid_t *pid, int *fd,
		 char why[static WORKER_WHY]);

/* text: why not, or empty. */
int worker_ready_encode(struct buf *out, struct slice text);
/* Borrows from message; ERR_MALFORMED. */
int worker_ready_decode(struct slice *text, struct slice message);

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

/* Runs file in a session and process group of its own, in /, with umask 027, with
 * these three descriptors (-1: /dev/null) and no others; it gets SIGTERM when the
 * worker dies.  Returns its pid, or the error of starting it. */
pid_t worker_run(const char *file, char *const *argv, char *const *env,
		 const int fds[static 3]);

#endif
