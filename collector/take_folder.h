/* take_folder: the files' half of taking a device over (take.h): who has its folder, what the
 * one before may not have given out, and the copies that put its open descriptors out of reach.
 *
 * Blocks on the disk; on a worker, of which there is one at a time.  Nothing here looks at
 * what is the loop thread's.
 */
#ifndef COLLECTOR_TAKE_FOLDER_H
#define COLLECTOR_TAKE_FOLDER_H

#include "collector/scan.h"
#include "collector/take_beat.h"

struct take_item {
	struct device *device;  /* the store's: not to be looked at here */
	struct device *scratch; /* the job's, in a store of its own */
	char from[OWNER_ROOM];  /* who had it; "": nobody */
	uint64_t owed_from;
	bool done;
	int rc;
};

/* 0: nobody else has the device from here on, and it->from tells who had it.  ERR_AGAIN:
 * another is taking it, or it goes to and fro: later.  UV_E*. */
int take_fence(struct store *s, struct take_item *it, struct beats *beats);
/* After the logs of all members were read into s: copies what may still be written, reads W
 * and gives the folder our name.  UV_E*, UV_ENOMEM. */
int take_settle(struct store *s, struct take_item *it,
		struct scan_report *report);

#endif
