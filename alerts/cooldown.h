/* cooldown: when each (rule, group) last raised an alert.  Internal to alerts/.
 *
 * Open addressing, 32 bytes a slot, three in four used.  A full table gives up,
 * of the few slots behind the new one's own, the one that was raised longest ago:
 * it may then be raised again too early.  Not thread-safe.
 */
#ifndef ALERTS_COOLDOWN_H
#define ALERTS_COOLDOWN_H

#include "common/buf.h"
#include "common/reader.h"

struct cooldown {
	uint64_t key;     /* keyed hash of rule and group; 0: free */
	uint64_t id;      /* beginning of the alert's identity; 0: none yet */
	int64_t last_ns;  /* event time when it was raised */
	uint32_t suppressed; /* since then */
	uint32_t unused;
};

struct cooldowns {
	struct cooldown *slots;
	uint32_t n_slots, n, max_slots;
};

void cooldowns_init(struct cooldowns *c, uint32_t max_slots);
/* Empties it; the limit stays. */
void cooldowns_fini(struct cooldowns *c);
/* The slot, made when it is new; NULL: no memory.  Holds until the next call. */
struct cooldown *cooldowns_get(struct cooldowns *c, uint64_t key);
/* buf errors. */
int cooldowns_save(const struct cooldowns *c, struct buf *out);
/* ERR_MALFORMED, UV_ENOMEM: what was read so far is in the table. */
int cooldowns_restore(struct cooldowns *c, struct reader *r);

#endif
