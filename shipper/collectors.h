/* collectors: which collector to dial next, and when.
 *
 * The list is in the order of preference; those of one rank stand in an order that is
 * drawn anew for each process, so that a fleet spreads over them.  When a session ends
 * its own collector is tried once more, since it may only have been restarted; then
 * all of them from the first.
 *
 * Pauses are drawn at random.  A session that had lasted and ends is tried again
 * within spread: when a collector that had ten thousand devices comes back, they do
 * not come in the same second.  After each round in which none has answered the pause
 * doubles.
 *
 * Pure but for sys_random().
 */
#ifndef SHIPPER_COLLECTORS_H
#define SHIPPER_COLLECTORS_H

#include "common/hostlist.h"
#include "common/sys.h"

struct shipper_options;

enum { COLLECTORS_MAX = 32 }; /* of a longer list the rest is not tried */

struct collectors {
	struct sys *sys;
	const struct shipper_options *options;
	size_t *order; /* COLLECTORS_MAX indices into options->collectors */
	size_t n;
	size_t at;     /* into order */
	bool again;    /* at is tried because its session has ended */
	unsigned rounds; /* without an answer, in a row */
};

/* options is kept, with at least one collector in it.  UV_ENOMEM, sys_random()'s. */
int collectors_init(struct collectors *c, struct sys *sys,
		    const struct shipper_options *options);
void collectors_fini(struct collectors *c);
/* options->collectors has changed; before: what it was, with at least one in each.  The
 * order is drawn anew.  Whether the one that is dialled or connected is still named; else
 * the first is the next. */
bool collectors_reload(struct collectors *c, const struct hostlist *before);

/* Whom to dial, or who is connected. */
const struct hostport *collectors_now(const struct collectors *c);
/* None is preferred over it. */
bool collectors_at_best(const struct collectors *c);

/* It could not be reached or sent us away: on to the next. */
void collectors_failed(struct collectors *c);
/* A session that had lasted has ended. */
void collectors_lost(struct collectors *c);
/* Begin with the preferred ones. */
void collectors_return(struct collectors *c);

enum collectors_pause {
	PAUSE_FAILED, /* after collectors_failed() */
	PAUSE_LOST,   /* after collectors_lost() */
	PAUSE_SHORT,  /* we have ended it ourselves, to come back */
	PAUSE_LONG,   /* we were told to stay away */
};
/* In ms, drawn anew by each call; not below least_ms / 2. */
uint64_t collectors_pause_ms(struct collectors *c, enum collectors_pause why,
			     uint64_t least_ms);

#endif
