/* arena: memory that is taken piece by piece and given back all at once.
 *
 * For what a rule consists of: it is built once and never changes.  Not
 * thread-safe.
 */
#ifndef DETECTORS_ARENA_H
#define DETECTORS_ARENA_H

#include "common/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* zeroed struct: empty */
};

/* n zeroed bytes, aligned for anything, or NULL. */
void *arena_take(struct arena *a, size_t n);
/* A NUL-terminated copy, or NULL. */
char *arena_text(struct arena *a, struct slice s);
/* Safe on a zeroed struct and to call twice. */
void arena_fini(struct arena *a);

#endif
