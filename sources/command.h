/* command: lines that programs write, such as `logread -f`.
 *
 * Each configured command runs all the time, in the runner (sources/runner.h); its
 * output is one stream for the life of this process, whose lines can't be read again,
 * and which goes on when the command is started anew:
 *
 *	PAUSE --timer--> ASKED --STARTED--> RUNNING --EXITED or SIGNALED--> ENDED
 *	  ^                '--FAILED--.                                       |
 *	  '---------------------------'<--the output is read to its end ------'
 *
 * The pause after an end is restart_min, doubled from time to time up to restart_max and
 * shortened at random by up to a half; a run as long as restart_max begins it anew.
 * What is read and not taken waits here, then in the pipe, and then the command waits:
 * nothing is dropped.
 *
 * Threads   the loop thread only.
 * Memory    one buffer of sources/kept.h for each command.
 */
#ifndef SOURCES_COMMAND_H
#define SOURCES_COMMAND_H

#include <uv.h>

#include "sources/source.h"
#include "sources/tail.h"

enum command_how { COMMAND_EXITED, COMMAND_SIGNALED, COMMAND_FAILED, COMMAND_LOST };

/* It ended although it should not. */
struct command_end {
	const char *name;  /* label and command, for people */
	enum command_how how;
	/* The exit status, the signal, or why it can't be started (UV_E*); LOST: the
	 * runner is gone, and no command runs any more. */
	int status;
	uint64_t again_ms; /* until the next attempt; 0: none */
};

struct command_callbacks {
	const struct tail_callbacks *tail; /* opened, chunk, closed; kept */
	void *tail_arg;                    /* theirs */
	void (*ended)(void *arg, const struct command_end *end);
	/* A line of its standard error: not redacted, and at most 20 in a minute
	 * (dropped: how many more there were before this one). */
	void (*said)(void *arg, const char *name, struct slice line, uint64_t dropped);
	void *arg;
};

/* options (kept) has commands; fd is the runner's (taken over, also on an error).
 * cb is copied.  UV_ENOMEM, or an error of the loop or of randomness. */
int commands_new(struct source **out, uv_loop_t *loop, struct sys *sys, int fd,
		 const struct sources_options *options,
		 const unsigned char secret[static STREAM_SECRET],
		 const struct command_callbacks *cb);

/* ---- another list of commands, while they run ---- */

struct commands_change; /* prepared, not taken yet */

enum { COMMANDS_WHY = 1024 };

/* Asks the runner whether it would run these (options is borrowed for the call) and waits
 * for its answer, 5 s at most.  A command whose program, arguments, label, program name,
 * zone and policy are as they were goes on as it is.  On error nothing has changed, *out
 * is NULL and why is one line: UV_EACCES, ERR_TIMEOUT, ERR_CLOSED (the runner is gone: no
 * command can be started any more), ERR_FULL (too many are still ending), ERR_TOO_LARGE,
 * UV_ENOMEM, or the error of a call. */
int commands_prepare(struct commands_change **out, struct source *source,
		     const struct sources_options *options,
		     const unsigned char secret[static STREAM_SECRET],
		     char why[static COMMANDS_WHY]);
/* From now on they run.  Those that are gone are ended, and their streams end when what
 * they had written is taken.  c is freed. */
void commands_take(struct commands_change *c, struct sources_taken *t);
/* Or not.  NULL allowed. */
void commands_drop(struct commands_change *c);

#endif
