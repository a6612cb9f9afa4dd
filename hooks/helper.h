/* helper: the small process that runs the programs of exec hooks.
 *
 * The daemon's main() starts it before rights are dropped and the sandbox closes:
 * helper_start() forks and executes the daemon's own program as "PROGRAM --helper CONFIG"
 * with one end of a SOCK_SEQPACKET pair as descriptor 3, so that the helper has
 * nothing of the daemon's memory.  main() of that program begins with
 *
 *	if (argc == 3 && strcmp(argv[1], "--helper") == 0)
 *		return helper_main(3, &(struct worker_config){argv[2], ...});
 *
 * Messages (hooks/protocol.h), one a packet:
 *
 *   TABLE   daemon, once   the user to become and the exec hooks: name, timeout,
 *                          concurrency, argv
 *   READY   helper         accepted, or the text of why not
 *   EXEC    daemon         request id, index into the table, values of the
 *                          NIGHTJAR_ variables, bytes for standard input
 *   DONE    helper         request id, how it ended, status, duration
 *   PROPOSE, JUDGED, TAKE  another table, as common/worker.h says; programs that run
 *                          then run on
 *
 * So a daemon that was taken over can run the configured programs with values and
 * input of its choice, and nothing else: no other program, argument or variable than
 * the configuration file names.
 * Programs are looked at (common/trust.h) at the start and again before each run.
 *
 * The helper, and so every program, has: the configured user's rights without any
 * capability, no_new_privs, and a filter that refuses the system calls with which a
 * process attacks its kernel or its neighbours.  It is not confined to some files,
 * since a hook's script reaches for what nobody can know beforehand; the unit's
 * own limits (contrib/systemd) hold for it as well.
 *
 * A program runs in a session and process group of its own, in /, with umask 027,
 * PATH and the NIGHTJAR_ variables, the alert on standard input (a file without
 * a name) and /dev/null for the rest.  After its timeout the group gets SIGTERM, two
 * seconds later SIGKILL; what it leaves behind in its group when it ends is killed.
 *
 * The helper ignores SIGTERM, SIGINT and SIGHUP: it ends when the socket closes and
 * the programs that run then have ended, each within its timeout.
 */
#ifndef HOOKS_HELPER_H
#define HOOKS_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/worker.h"
#include "hooks/options.h"

enum { HELPER_WHY = 1024 };

/* From main(), before threads.  Blocks until the helper has answered (10 s at
 * most).  config: the path of the configuration, for a reload.
 * user: to become when started as root; sandbox: with the filter.  *fd is
 * the caller's (hooks_new() takes it), close-on-exec; -1 and *pid 0 when no hook is
 * of type exec: then nothing is started.  On error nothing is left running and why
 * is one line that names the hook, the file and the remedy: UV_EACCES,
 * ERR_TOO_LARGE, ERR_TIMEOUT, ERR_CLOSED, or the error of a call. */
int helper_start(const struct hooks_options *options, const char *config,
		 const char *user, bool sandbox, pid_t *pid, int *fd,
		 char why[static HELPER_WHY]);

/* For struct worker_config: the table of these.  UV_ENOMEM, ERR_TOO_LARGE. */
int helper_table(const struct hooks_options *options, struct buf *out);

/* The helper's whole life; returns the process's exit status. */
int helper_main(int fd, const struct worker_config *config);

#endif
