/* seen: what has been seen before, for first_seen rules.
 *
 * One table of keyed hashes for all rules; 16 bytes a slot, up to max slots of
 * which three in four are used.  A full table gives up, of the few slots behind
 * the new value's own, the one not seen for longest: that value counts as new
 * when it comes again.  Not thread-safe.
 */
#ifndef DETECTORS_SEEN_H
#define DETECTORS_SEEN_H

#include <stdint.h>

struct seen_slot {
	uint64_t hash;    /* 0: free */
	uint32_t first_s; /* Unix time */
	uint32_t last_s;
};

struct seen {
	struct seen_slot *slots;
	uint32_t n_slots, n, max_slots;
	uint64_t forgotten;
};

void seen_init(struct seen *s, uint32_t max_slots);
void seen_fini(struct seen *s);
/* The slot, or NULL. */
struct seen_slot *seen_find(const struct seen *s, uint64_t hash);
/* The slot; a new one has first_s and last_s 0.  NULL: no memory.  Pointers hold
 * until the next seen_add(). */
struct seen_slot *seen_add(struct seen *s, uint64_t hash);

/* Has the memory of the value's place fetched. */
static inline void seen_prefetch(const struct seen *s, uint64_t hash)
{
	if (s->n_slots > 0) {
		__builtin_prefetch(&s->slots[(uint32_t)hash & (s->n_slots - 1)], 1);
	}
}

#endif
