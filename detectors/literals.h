/* literals: which of many words stand in a line, in one pass.
 *
 * Wu and Manber, "A fast algorithm for multi-pattern searching" (1994), with
 * blocks of two bytes and case ignored: a table tells for each pair of bytes how
 * far the search may jump, up to the length of the shortest word less one.  Of each
 * word it looks for the piece of that length that is rarest in logs.  The few shortest
 * words, which would hold up all others, are looked for by themselves, sixteen places at
 * a time.  Built once, then read only.
 */
#ifndef DETECTORS_LITERALS_H
#define DETECTORS_LITERALS_H

#include "common/slice.h"
#include "detectors/arena.h"

/* LITERAL_MIN: what is worth a pass over whole lines. */
enum { LITERAL_LEAST = 2, LITERAL_MIN = 4, LITERAL_BLOCKS = 65536,
       LITERAL_GATES = 4096, LITERAL_SHORT = 3 };

struct literal {
	struct slice text; /* lower case, LITERAL_LEAST bytes or more */
	void *owner;       /* whom a hit is told about */
	uint32_t next;     /* same place in `first`, index + 1 */
	uint32_t from;     /* where its piece begins */
	uint32_t gate;     /* the first bytes of the piece, as gate() reads them */
};

struct literals {
	struct literal *v;
	uint32_t n;
	uint32_t n_short; /* the first of them; 0 or LITERAL_SHORT */
	/* Of each short one two bytes with the bit of case set, sixteen times. */
	_Alignas(16) uint8_t pairs[LITERAL_SHORT][2][16];
	uint32_t window;  /* bytes of the shortest of the others, and of all pieces */
	uint8_t shift[LITERAL_BLOCKS];
	uint32_t first[LITERAL_GATES]; /* index + 1, by a hash of the gate */
};

/* v is kept and sorted by the length of the words. */
void literals_build(struct literals *l, struct literal *v, uint32_t n);
/* Calls hit for each occurrence. */
void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg);

#endif
