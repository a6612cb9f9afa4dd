/* baseline: what a group of a rule with `rate` or a learned `silence` has been found to do
 * usually.
 *
 * It hangs on the episode that watches the group (window.h) and goes with it.  As many as
 * the options allow; when there are, of a few the one that was not heard of for longest
 * goes, which is counted as evicted: that group begins to learn anew.  Not thread-safe.
 */
#ifndef DETECTORS_BASELINE_H
#define DETECTORS_BASELINE_H

#include "common/buf.h"
#include "common/reader.h"
#include "detectors/engine.h"

struct baseline {
	int64_t day;      /* silence: the day of the last line that is settled */
	int64_t limit_ms; /* silence: longer is told, on that day */
	uint32_t n;
	/* rate: averages, the average in 1/65536 << 16 | how many hours it is made of.
	 * silence: the longest pause that ended on a day, in ms; 0: none. */
	uint64_t cells[];
};

/* An empty one for the episode, whose rule is known; there is room for it.  false: no memory. */
bool baseline_give(struct windows *w, struct episode *e);
/* Sees to it that there is room for one more; hash: of the group that wants it. */
void baseline_room(struct detect *d, uint64_t hash);

/* The section of the saved state: for all episodes that have one.  0, UV_ENOMEM; restoring
 * also ERR_MALFORMED.  After it, no episode of a rule that learns is without. */
int baselines_save(const struct windows *w, struct buf *out);
int baselines_restore(struct detect *d, struct slice section);
void baselines_complete(struct detect *d);

#endif
