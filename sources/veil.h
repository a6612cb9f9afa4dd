/* veil: the last bytes of a log have to be kept, to go on hashing behind them and to
 * notice a rewrite; between two reads they do not stand in memory as they are.
 *
 * An exclusive or with the device's secret: done twice it is undone.  It keeps what
 * was in a line out of core files and of whatever is copied out of memory later; it
 * is no protection against somebody who has all of the process.
 */
#ifndef SOURCES_VEIL_H
#define SOURCES_VEIL_H

#include <stddef.h>

#include "sources/stream.h"

struct XXH3_state_s;

/* secret: STREAM_SECRET bytes. */
static inline void veil(unsigned char *p, size_t n, const unsigned char *secret)
{
	for (size_t i = 0; i < n; i++) {
		p[i] ^= secret[i % STREAM_SECRET];
	}
}

/* The same for what the hash keeps of its input. */
void veil_hash(struct XXH3_state_s *hash, const unsigned char *secret);
/* What it kept of its input is gone; it has to be reset before its next use. */
void veil_forget(struct XXH3_state_s *hash);

#endif
