/* literals: which of many words stand in a line, in one pass.
 *
 * Sampled q-grams (Karp and Rabin's filter; the sampling as in Sutinen and Tarhio, "On
 * using q-gram locations in approximate string matching", 1995): of each word a piece is
 * chosen that is rare in logs, and every gram of it noted; then of each piece that stands
 * in a line one gram is met when only every STRIDEth gram of the line is looked at, and
 * nearly all that are looked at are nobody's.  The looks depend on nothing, so that a
 * processor makes many at a time.  The few shortest words, which would shorten the stride
 * of all others, are looked for by themselves, sixteen places at a time.  Case is
 * ignored.  Built once, then read only.
 */
#ifndef DETECTORS_LITERALS_H
#define DETECTORS_LITERALS_H

#include "common/slice.h"
#include "detectors/arena.h"

/* LITERAL_MIN: what is worth a pass over whole lines. */
enum {
	LITERAL_LEAST = 2,
	LITERAL_MIN = 4,
	LITERAL_SHORT = 3,
	LITERAL_STRIDE = 4, /* at most */
	LITERAL_BITS = 65536,
	LITERAL_GATES = 4096,
};

struct literal {
	struct slice text; /* lower case, LITERAL_LEAST bytes or more */
	void *owner;       /* whom a hit is told about */
	uint32_t from;     /* where its piece begins */
	/* Of each gram of the piece what gate() reads, and the next in the same place of
	 * `first`. */
	uint32_t gate[LITERAL_STRIDE], next[LITERAL_STRIDE];
};

struct literals {
	struct literal *v;
	uint32_t n;
	uint32_t n_short; /* the first of them; 0 or LITERAL_SHORT */
	/* Of each short one two bytes with the bit of case set, sixteen times. */
	_Alignas(16) uint8_t pairs[LITERAL_SHORT][2][16];
	uint32_t gram;   /* bytes: 4, or 2 where words are short */
	uint32_t stride; /* a piece has gram + stride - 1 bytes */
	uint32_t seen[LITERAL_BITS / 32];
	/* (index of the word) * LITERAL_STRIDE + (number of the gram) + 1 */
	uint32_t first[LITERAL_GATES];
};

/* v is kept and sorted by the length of the words. */
void literals_build(struct literals *l, struct literal *v, uint32_t n);
/* Calls hit for each occurrence. */
void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg);

#endif
