/* commit_log: the watermark log's part of a commit: what is to be written, in memory.  Knows
 * nothing of syncs and of what comes after them.
 *
 * Threads   The loop thread.
 */
#ifndef COLLECTOR_COMMIT_LOG_H
#define COLLECTOR_COMMIT_LOG_H

#include "collector/commit.h"

/* What was appended since the last sync has its arrival, and is not durable: a start takes
 * for synced what came no later than the log says. */
uint64_t commit_touched_durably(const struct store *s, const struct stream *st);
/* Segments are complete: what they brought their streams to outlives their files.
 * Each device is looked through once, however many of its segments there are, and
 * a stream that stands where it stood costs nothing.  UV_ENOMEM. */
int commit_log_closed(struct store *s);
/* Fills c->log with what waits, or with a whole new log, and says where it goes.
 * UV_ENOMEM. */
int commit_log_prepare(struct commit *c);

#endif
