/* hooks: an alert leaves the device: to a program, a file, standard error.
 *
 * Knows the JSON of an alert (docs/alerts.md) and its own settings; must not know
 * rules, records or who raised the alert.  docs/hooks.md is for whoever writes
 * a hook.  Programs are run by another process (hooks/helper.h), since this one
 * may not run anything.
 *
 * Threads   The loop thread only.
 * Blocking  File hooks write into the page cache and never sync.
 * Memory    Per hook HOOKS_QUEUE alerts and HOOKS_QUEUE_BYTES at most; beyond
 *           that the newest alert is dropped, counted and logged.
 * Errors    0, or a negative UV_E* / ERR_*.
 */
#ifndef HOOKS_HOOKS_H
#define HOOKS_HOOKS_H

#include <uv.h>

#include "alerts/alerts.h"
#include "common/json.h"
#include "common/sys.h"
#include "hooks/options.h"

struct hooks; /* opaque, on the heap */

enum { HOOKS_QUEUE = 256, HOOKS_QUEUE_BYTES = 1024 * 1024, HOOKS_WHY = 1024 };

typedef void (*hooks_close_cb)(void *arg);

/* loop, sys: kept; options: copied.  helper_fd: the socket that helper_start() gave, or
 * -1 when there is none; given, also on an error.  UV_ENOMEM, UV_EINVAL (an exec
 * hook without a helper), or the error of a call. */
int hooks_new(struct hooks **out, uv_loop_t *loop, struct sys *sys,
	      const struct hooks_options *options, int helper_fd);

/* Hands the alert to every hook whose least severity it reaches.  What can't
 * leave now waits in that hook's queue. */
void hooks_alert(struct hooks *h, const struct alert *a);
/* The same for an alert of which there is only its JSON, which may come from a
 * machine that somebody else controls: what is no alert is dropped, counted and
 * logged.  device: who is known to have sent it; replaces what the JSON says. */
void hooks_alert_json(struct hooks *h, struct slice device, struct slice json);

/* Writes the member "hooks", an array: of each hook its name, type, how many
 * alerts it delivered, failed and dropped, and how many wait and run now. */
void hooks_status(const struct hooks *h, struct json *j);

/* ---- a changed list of hooks ---- */

struct hooks_change; /* prepared, not taken yet */

struct hooks_ask {
	/* Has the sandbox left a hook's file writable? */
	bool (*may_write)(void *arg, const char *path);
	/* A hook can't be taken up before a restart, and why: one line. */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* What can be said of a change, as numbers of hooks; undelivered: alerts that waited for
 * hooks that are gone. */
struct hooks_taken {
	size_t kept, changed, added, gone, undelivered;
};

/* Makes the new hooks beside the old, and asks the helper about their programs; waits
 * for its answer (5 s at most).  options: copied.  On error nothing has changed, *out is
 * NULL and why is one line: UV_EACCES, ERR_TIMEOUT, UV_EAGAIN, ERR_TOO_LARGE, UV_ENOMEM,
 * or the error of a call. */
int hooks_prepare(struct hooks_change **out, struct hooks *h,
		  const struct hooks_options *options, const struct hooks_ask *ask,
		  char why[static HOOKS_WHY]);
/* Alerts from now on go to the new hooks.  A hook whose name stays keeps its queue, its
 * counts and the programs that run; one whose name is gone is done with its last program,
 * and what waits for it is given up and logged.  c is freed. */
void hooks_take(struct hooks_change *c, struct hooks_taken *t);
/* Or not.  NULL allowed. */
void hooks_drop(struct hooks_change *c);

/* Waits up to grace_ms for what is queued and for programs that run, then gives
 * everything back; done runs when h is gone.  What was left undelivered is
 * logged.  No alert may be handed in any more.  NULL allowed: nothing happens, and
 * done is not called. */
void hooks_close(struct hooks *h, uint64_t grace_ms, hooks_close_cb done,
		 void *arg);

#endif
