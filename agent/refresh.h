/* refresh: keeps what rules refer to (detectors/refer.h) as it is on disk: looks now and then
 * whether a list or a database was replaced, reads it on a worker thread, and tells what is
 * wrong with one as an alert (HEALTH_REFERENCE).
 *
 * Threads   The loop thread; the reading of files that were replaced is a worker's.
 */
#ifndef AGENT_REFRESH_H
#define AGENT_REFRESH_H

#include "agent/pipeline.h"

struct refresh; /* opaque, on the heap */

/* p is kept.  UV_ENOMEM. */
int refresh_new(struct refresh **out, struct sys *sys, struct pipeline *p);
/* NULL is allowed.  A file that is being read is finished, and dropped. */
void refresh_free(struct refresh *r);

/* Reads those of which nothing is known yet, at once: before the first line, and when a
 * reload has named more. */
void refresh_load(struct refresh *r);
/* Looks whether any was replaced, if that is due; every_ms: how often. */
void refresh_tick(struct refresh *r, uint64_t every_ms);
/* ... at the next tick. */
void refresh_soon(struct refresh *r);

#endif
