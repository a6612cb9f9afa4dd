/* take_beat: how the members of a shared store see that one of them is taking devices over,
 * and gets on with it: members/NAME/taking, written anew each second for as long as it does.
 *
 * A device that another member is taking is left to it, or each would begin anew what the
 * other has nearly done, for ever.  Who is dead, stopped or stuck does not write; whoever
 * has seen nothing new there for BEAT_STALE_S on a clock of its own takes the device all the
 * same.  The clocks of two machines are never compared, and nothing depends on this but how
 * long a device waits: share.h's renames hold whatever is believed here.
 *
 * Blocks on the page cache: nothing is synced.
 */
#ifndef COLLECTOR_TAKE_BEAT_H
#define COLLECTOR_TAKE_BEAT_H

#include "collector/store.h"

enum {
	BEAT_DEVICES = 64, /* named in one */
	BEAT_STALE_S = 10,
	BEAT_SEEN = 16,    /* members looked at; of more the oldest is forgotten */
};

/* own: the member's folder.  count: another one each time.  n <= BEAT_DEVICES.  UV_E*. */
int beat_write(struct sys *sys, const char *own, uint64_t count,
	       const struct hash32 *devices, size_t n);
/* Nothing is being taken. */
void beat_clear(struct sys *sys, const char *own);

/* What was seen of the others.  Zeroed is ready; one thread at a time. */
struct beat_seen {
	char member[OWNER_ROOM];
	uint64_t sum; /* of all that the file said */
	int64_t since_ns;
};

struct beats {
	struct beat_seen v[BEAT_SEEN];
	size_t next; /* to be forgotten */
};

/* The member is taking this device, as far as one can tell from what it wrote last. */
bool beat_goes_on(struct beats *b, const struct store *s, const char *member,
		  const struct hash32 *device);

#endif
