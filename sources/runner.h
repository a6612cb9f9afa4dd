/* runner: the small process that runs the commands whose output is a source.
 *
 * The agent itself can't start programs (its sandbox ends a process that tries), so
 * this one is started before, by common/worker.h, as "PROGRAM --runner":
 *
 *   TABLE    agent, once   the user to become, and the argv of each command
 *   READY    runner        accepted, or the text of why not
 *   RUN      agent         start this command
 *   STARTED  runner        with the reading ends of two pipes, its output and errors;
 *                          the agent reads them itself: back-pressure is its not reading
 *   STOP     agent         end it
 *   EXITED, SIGNALED, FAILED  runner: how it ended, or why it did not start
 *   PROPOSE, JUDGED, TAKE  another table, as common/worker.h says, with the place of each
 *                          command: one that runs where it stands runs on, one whose
 *                          place is not named any more is ended as by STOP
 *
 * So an agent that was taken over can run the commands that the configuration file names,
 * one at a time each, and nothing else.  Programs are looked at
 * (common/trust.h) at the start and again before each run.
 *
 * The runner, and so every command, has the configured user's rights without any
 * capability, no_new_privs, and a filter that refuses the system calls with which a
 * process attacks its kernel or its neighbours.  A command runs in a session and
 * process group of its own, in /, with nothing in its environment but PATH, and with
 * /dev/null as its standard input.  When it ends, what it left behind in its group is
 * killed.  STOP, and the end of the agent, are SIGTERM for the group and, two seconds
 * later, SIGKILL.
 */
#ifndef SOURCES_RUNNER_H
#define SOURCES_RUNNER_H

#include "common/worker.h"
#include "sources/options.h"

#define RUNNER_FLAG "--runner"

/* From main(), before threads.  config: its path, for a reload.  *fd is the caller's
 * (commands_new() takes it); -1 and *pid 0 when there is no command: then nothing is
 * started.  On error nothing is left running and why is one line with the remedy:
 * UV_EACCES, ERR_TOO_LARGE, ERR_TIMEOUT, ERR_CLOSED, or the error of a call. */
int runner_start(const struct sources_options *options, const char *config,
		 const char *user, bool sandbox, pid_t *pid, int *fd,
		 char why[static WORKER_WHY]);

/* For struct worker_config: the table of these.  UV_ENOMEM, ERR_TOO_LARGE. */
int runner_table(const struct sources_options *options, struct buf *out);

/* The process's whole life; returns its exit status. */
int runner_main(int fd, const struct worker_config *config);

#endif
