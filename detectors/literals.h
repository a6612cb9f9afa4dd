/* literals: which of many words stand in a line, in one pass.
 *
 * Wu and Manber, "A fast algorithm for multi-pattern searching" (1994), with
 * blocks of two bytes and case ignored: a table tells for each pair of bytes how
 * far the search may jump, up to the length of the shortest word less one.  Built
 * once, then read only; not for words shorter than LITERAL_MIN.
 */
#ifndef DETECTORS_LITERALS_H
#define DETECTORS_LITERALS_H

#include "common/slice.h"
#include "detectors/arena.h"

enum { LITERAL_MIN = 4, LITERAL_BLOCKS = 4096 };

struct literal {
	struct slice text; /* lower case, LITERAL_MIN bytes or more */
	void *owner;       /* whom a hit is told about */
	uint32_t next;     /* same block, index + 1 */
};

struct literals {
	struct literal *v;
	uint32_t n;
	uint32_t window; /* bytes of the shortest word */
	uint8_t shift[LITERAL_BLOCKS];
	uint32_t first[LITERAL_BLOCKS]; /* index + 1 where the shift is 0 */
};

/* v is kept. */
void literals_build(struct literals *l, struct literal *v, uint32_t n);
/* Calls hit for each occurrence. */
void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg);

#endif
