/* hook: what the files of hooks/ share among themselves, and nobody else sees.
 *
 * Every hook has a queue of alerts, as lines.  hooks.c puts them in; file.c and
 * exec.c take them out as they can, by file_pump() and exec_pump().
 */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include "hooks/facts.h"
#include "hooks/hooks.h"

struct waiting {
	struct waiting *next;
	size_t n;
	char line[]; /* the alert's JSON and a newline */
};

/* What a file hook has open. */
struct file_hook {
	int fd;            /* or -1 */
	uint64_t dev, ino; /* which one it is */
	bool torn;         /* it ends in half a line */
	bool failing;      /* said once, until it works again */
	uint64_t retry_ms; /* how long until the next attempt */
	struct sys_timer *timer;
};

struct hook {
	struct hooks *hooks;
	struct hook_options own;             /* a copy, so that a reload may come */
	const struct hook_options *options;  /* that */
	bool leaving; /* not configured any more; gone when nothing of it runs */
	struct waiting *first, **last;
	size_t n_waiting, bytes_waiting;
	uint64_t delivered, failed, dropped;
	struct file_hook file;
	uint8_t index;     /* exec: in the helper's table */
	uint64_t running;  /* exec: at the helper */
};

/* One alert at the helper. */
struct flight {
	struct hook *hook; /* NULL: unused */
	uint32_t id;
	char alert[33];    /* its identity, for the log */
};

struct hooks {
	struct sys *sys;
	struct hook **list;
	size_t n;
	uint64_t refused; /* what came and was no alert */
	struct buf line;
	struct facts facts;
	/* exec */
	int helper; /* the socket, or -1 */
	bool helper_dead;
	uv_poll_t poll;
	uint32_t last_id;
	struct flight flights[PROTOCOL_JOBS];
	struct buf message;
	/* exec: a table that was proposed, and what the helper says of it */
	uint32_t proposed, judged;
	uint32_t to_take; /* TAKE is still to be sent; 0: none is */
	char verdict[WORKER_TEXT_MAX + 1];
	/* the end */
	bool closing, finished;
	struct sys_timer *grace;
	hooks_close_cb close_cb;
	void *close_arg;
};

/* With a copy of the options, in no list yet.  UV_ENOMEM, or the timer's error. */
int hook_new(struct hook **out, struct hooks *h, const struct hook_options *options);
/* With what waits in it; NULL allowed. */
void hook_free(struct hook *k);
/* Hooks that leave and have nothing more to wait for. */
void hooks_sweep(struct hooks *h);
/* Takes the oldest alert off the queue and frees it. */
void hook_pop(struct hook *k);
/* Counts and logs (at the first, second, fourth ... of them). */
void hook_dropped(struct hook *k, const char *why);
/* Whether everything is delivered; when closing, that is the end. */
void hooks_check_end(struct hooks *h);

int file_init(struct hook *k);
void file_pump(struct hook *k);
void file_fini(struct hook *k);

/* Starts listening to the helper. */
int exec_init(struct hooks *h, uv_loop_t *loop);
/* Of all exec hooks. */
void exec_pump(struct hooks *h);
/* Can programs be run at all? */
static inline bool exec_possible(const struct hooks *h)
{
	return h->helper >= 0 && !h->helper_dead;
}
/* Asks the helper whether it would run these; waits for its answer, some seconds at most.
 * UV_EACCES and why (HOOKS_WHY bytes), ERR_TIMEOUT, UV_EAGAIN, ERR_TOO_LARGE, UV_ENOMEM,
 * or the helper is gone. */
int exec_propose(struct hooks *h, const struct hooks_options *options, char *why);
/* From the next alert on they are run; what was proposed last. */
void exec_take(struct hooks *h);

#endif
