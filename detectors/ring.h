/* ring: the last redacted lines that may become evidence, in a fixed number of
 * bytes.
 *
 * A line is stored once and may be linked into several chains, one for each
 * group that counts it; a chain is known by its newest link.  What is
 * overwritten by newer lines drops off the far end of its chain.  Not
 * thread-safe.
 */
#ifndef DETECTORS_RING_H
#define DETECTORS_RING_H

#include "common/finding.h"
#include "common/limits.h"
#include "common/slice.h"

/* A place in the ring; never used again, 0: nowhere. */
enum { RING_NOWHERE = 0 };

struct ring {
	char *p;       /* NULL: nothing was written */
	uint64_t size; /* bytes, a multiple of 8 */
	uint64_t head; /* bytes ever written */
	uint64_t in;   /* where in p that is: head modulo size */
};

/* Allocates nothing yet. */
void ring_init(struct ring *r, size_t size);
void ring_fini(struct ring *r);
/* Has memory, for whoever fills it by hand.  UV_ENOMEM. */
int ring_ready(struct ring *r);
/* Gives the memory back; no place holds any more. */
void ring_clear(struct ring *r);

/* Stores a line, cut to LIMIT_EVIDENCE_BYTES, and, unless it is NULL, where it stands.
 * RING_NOWHERE: no memory. */
uint64_t ring_add_line(struct ring *r, struct slice line, const struct finding_place *where);
/* Puts a link to the line in front of the chain and returns the new front.  What
 * stands nowhere is not linked. */
uint64_t ring_link(struct ring *r, uint64_t chain, uint64_t line);
/* Sets the head, where a ring of the same size had it. */
void ring_set_head(struct ring *r, uint64_t head);
/* The newest lines of the chain that are still there, oldest first, skipping
 * those that are `except`.  Returns how many (at most LIMIT_EVIDENCE_LINES);
 * they are borrowed until the next add. */
size_t ring_lines(const struct ring *r, uint64_t chain, uint64_t except,
		  struct slice out[static LIMIT_EVIDENCE_LINES]);
/* Where those of them stand that were added with a place; how many. */
size_t ring_places(const struct ring *r, uint64_t chain,
		   struct finding_place out[static LIMIT_EVIDENCE_LINES]);

#endif
