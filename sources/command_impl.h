/* command_impl: what command.c (the life of commands), command_output.c (what they write),
 * command_runner.c (the talk with the process that runs them) and command_reload.c (another
 * list of them) share; private. */
#ifndef SOURCES_COMMAND_IMPL_H
#define SOURCES_COMMAND_IMPL_H

#include "sources/command.h"
#include "sources/kept.h"
#include "sources/runner_protocol.h"

enum {
	NAME_BYTES = 256,
	SAID_BYTES = 512,
	SAID_MAX = 20,         /* lines a minute */
	END_WAIT_MS = 2000,    /* for the end of its output, after its own */
	DRAIN_MAX = 4 << 20,   /* bytes still read from a pipe when stopping */
};
enum state { PAUSE, ASKED, RUNNING, ENDED, LOST };

/* On the heap, since the next run begins while the last one's is being closed. */
struct pipe {
	uv_pipe_t uv; /* data: the command */
	struct commands *set;
};

struct command {
	struct commands *set;
	struct sources_command own;            /* a copy, so that a reload may come */
	const struct sources_command *options; /* that */
	uint8_t index;  /* its place at the runner ... */
	bool placed;    /* ... unless it has left that */
	bool leaving;   /* not configured any more; gone when its output is taken */
	enum state state;
	char name[NAME_BYTES];
	struct kept kept;
	bool opened;
	struct pipe *out, *err;  /* NULL: closed */
	bool reading;
	struct sys_timer *timer;
	uint64_t delay_ms;       /* the pause after an end, before it is shortened */
	uint64_t wait_ms;        /* the one to come */
	int64_t started_ns;
	uint64_t runs, lines_said;
	/* Standard error. */
	char said[SAID_BYTES];
	size_t n_said;
	bool said_cut;           /* the rest of an oversize line is passed over */
	int64_t said_since_ns;
	unsigned said_lines;
	uint64_t said_dropped;
};

struct commands {
	struct source source; /* first */
	struct sys *sys;
	uv_loop_t *loop;
	int fd;
	uv_poll_t poll;
	bool stopping, freeing;
	struct command_callbacks cb;
	struct command **v;
	size_t n;
	bool started, lost; /* lost: the runner is gone */
	struct sys_timer *sweep;
	/* A table that was proposed, and what the runner says of it. */
	uint32_t proposed, judged;
	uint32_t to_take; /* TAKE is still to be sent; 0: none is */
	char verdict[WORKER_TEXT_MAX + 1];
	size_t closing; /* handles whose close is under way */
	char err_bytes[4096];
};

/* With a copy of the options, not started, without a place.  UV_ENOMEM, or an error of the
 * timer or of randomness. */
int command_new(struct command **out, struct commands *s, const struct sources_command *o,
		const struct sources_options *options,
		const unsigned char secret[static STREAM_SECRET]);
/* Calls nothing back; its pipes are closed.  NULL allowed. */
void command_free(struct command *c);
/* Its stream begins, and it is started. */
void command_begin(struct command *c);
/* It is not configured any more: gone when what it wrote is taken. */
void command_leave(struct command *c);

/* It ended, perhaps, and everything that it wrote was taken: what comes next. */
void command_step(struct command *c);
/* The runner has started it; both descriptors are taken over. */
void command_started(struct command *c, int out, int err);
void command_ended(struct command *c, const struct runner_message *m);

/* Reads what it writes on its two pipes, of which the descriptors are taken over also
 * when this fails. */
int command_open_output(struct command *c, int out, int err);
/* There may be room again. */
void command_read_on(struct command *c);
/* Its output has come to an end, or is not waited for any longer. */
void command_end_output(struct command *c);
/* Takes what is in the pipe already, which would be lost with it. */
void command_drain(struct command *c);
void command_close_output(struct command *c);
/* Frees the set when that is wanted and the last handle has closed. */
void commands_check_end(struct commands *s);

/* 0: sent; UV_EAGAIN: no room in the socket; otherwise the runner is gone. */
int commands_send(struct commands *s, struct slice message);
/* Sends this of the command at a place: as commands_send(). */
int commands_tell(struct commands *s, enum runner_type type, uint8_t index);
/* One message: 0, UV_EAGAIN when there is none, or the runner is gone. */
int commands_receive(struct commands *s);
/* The runner is gone. */
void commands_bury(struct commands *s, int rc);
/* Waits for what the runner says, and for room for a TAKE that waits. */
void commands_listen(struct commands *s);
/* Sends the TAKE that waits: as commands_send(). */
int commands_send_take(struct commands *s);

#endif
