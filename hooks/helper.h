/* helper: the small process that runs exec hooks.
 *
 * The daemon's main() starts it before rights are dropped and the sandbox closes:
 * helper_start() forks and executes the daemon's own program as
 * "PROGRAM --helper FD", whose main() calls helper_main() and nothing else.  The two
 * speak over a SOCK_SEQPACKET pair, one message a packet, numbers big-endian
 * (common/buf.h, common/reader.h):
 *
 *   TABLE   daemon, once   the exec hooks: name, timeout, concurrency, argv
 *   READY   helper         accepted, or the text of why not
 *   EXEC    daemon         request id, index into the table, NIGHTJAR_* variables,
 *                          bytes for standard input
 *   DONE    helper         request id, how it ended, status, duration
 *
 * So a daemon that was taken over can run the configured programs with variables
 * and input of its choice, and nothing else: no other program, argument or
 * variable.  A program is refused, at start and again before each run, unless it is a
 * regular file that belongs to root or to the helper's own user, and neither it
 * nor a folder above it can be written by others (a sticky folder is good enough).
 *
 * A program runs in its own process group with an environment of PATH, HOME=/, and the
 * NIGHTJAR_* variables, in /, with the alert as its standard input (a file
 * without a name), standard output on /dev/null, standard error the daemon's.  After
 * its timeout the group gets SIGTERM, two seconds later SIGKILL.
 *
 * The helper ignores SIGTERM, SIGINT and SIGHUP: it ends when the socket closes and the
 * last program it was given has ended.
 */
#ifndef HOOKS_HELPER_H
#define HOOKS_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "hooks/options.h"

enum { HELPER_WHY = 512 };

/* Starts the helper and hands it the table.  Blocks until it has answered.  self:
 * the daemon's program ("/proc/self/exe" will do).  *fd is the caller's, non-blocking and
 * close-on-exec; -1 when no hook is of type exec (no process is started then).  On
 * error why is one line that names the hook, the file and the remedy.
 * UV_EACCES, UV_ENOENT, UV_EINVAL, ERR_TOO_LARGE, ERR_CLOSED, and fork's and exec's. */
int helper_start(int *fd, pid_t *pid, const struct hooks_options *options,
		 const char *self, char why[static HELPER_WHY]);

/* The helper's whole life; returns the process's exit status. */
int helper_main(int fd);

/* May this program be run?  0, or UV_E* and why. */
int helper_check_program(const char *path, char why[static HELPER_WHY]);

#endif
