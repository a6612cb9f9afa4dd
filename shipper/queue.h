/* queue: the lines of one lane that one policy rules.  Segments hold lines of one queue
 * only, so that what is given up by the policy of one source never takes another's
 * with it.  On the wire there are lanes and no queues. */
#ifndef SHIPPER_QUEUE_H
#define SHIPPER_QUEUE_H

#include "common/slice.h"
#include "shipper/options.h"
#include "wire/segment.h"

/* Alerts first, then what can't be read again. */
enum queue {
	QUEUE_ALERT,
	QUEUE_KEPT, /* and the two policies behind it */
	QUEUE_KEPT_OLDEST,
	QUEUE_KEPT_NEWEST,
	QUEUE_FILE, /* likewise */
	QUEUE_FILE_OLDEST,
	QUEUE_FILE_NEWEST,
	QUEUE_NR
};

/* Alerts have no policy: nothing drops them. */
static inline enum queue queue_of(enum lane lane, enum spool_policy policy)
{
	return lane == LANE_ALERT ? QUEUE_ALERT
	       : lane == LANE_KEPT
		       ? (enum queue)(QUEUE_KEPT + (int)policy)
		       : (enum queue)(QUEUE_FILE + (int)policy);
}

static inline enum lane queue_lane(enum queue q)
{
	return q == QUEUE_ALERT ? LANE_ALERT
	       : q < QUEUE_FILE ? LANE_KEPT
				: LANE_FILE;
}

static inline enum spool_policy queue_policy(enum queue q)
{
	return q == QUEUE_ALERT	  ? SPOOL_PAUSE
	       : q < QUEUE_FILE ? (enum spool_policy)(q - QUEUE_KEPT)
				: (enum spool_policy)(q - QUEUE_FILE);
}

/* "alert", "kept", "kept.oldest" ...; also in the names of spool files. */
const char *queue_name(enum queue q);
/* The queue of that name if it is one of the lane, else the lane's first. */
enum queue queue_named(struct slice name, enum lane lane);

#endif
