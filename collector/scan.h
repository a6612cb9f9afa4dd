/* scan: reads a store back at start-up: the watermark log, then every segment that
 * the catalogue does not vouch for, and says what W and each segment's end are.
 *
 * What a crash left half written is cut.  What is damaged is copied aside
 * (NAME.damaged, NAME.dropped) before the file is cut to what is whole, and
 * logged; nothing that was ever whole is thrown away, and nothing of this keeps the
 * collector from starting.  docs/store.md, "Starting".
 *
 * Blocks; before the loop runs.
 */
#ifndef COLLECTOR_SCAN_H
#define COLLECTOR_SCAN_H

#include "collector/store.h"

struct scan_report {
	size_t segments, trusted; /* found; of them not read again */
	size_t torn;              /* unfinished ends that were cut */
	size_t damaged;           /* files with damage in them */
	size_t dropped;           /* ends that nothing continues to */
	bool rebuilt;             /* the catalogue was lost or ahead */
	_Atomic(uint64_t) steps;  /* any that were made: another thread sees it go on */
};

/* catalogue may be NULL.  UV_E* of a file call that nothing can be done about
 * (listing, syncing), UV_ENOMEM; why: 512 bytes. */
int store_scan(struct store *s, struct catalogue *catalogue,
	       struct scan_report *report, char why[static 512]);
/* One device whose folder bears our name, and which nobody else uses meanwhile: its files
 * alone, without catalogue. */
int store_scan_device(struct store *s, struct device *d,
		      struct scan_report *report);

#endif
