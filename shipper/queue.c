#include "shipper/queue.h"

static const char *const names[QUEUE_NR] = {
	"alert", "kept",	"kept.oldest", "kept.newest",
	"file",	 "file.oldest", "file.newest",
};

const char *queue_name(enum queue q)
{
	return names[q];
}

enum queue queue_named(struct slice name, enum lane lane)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		if (slice_eq(name, slice_str(names[i])) &&
		    queue_lane((enum queue)i) == lane) {
			return (enum queue)i;
		}
	}
	return queue_of(lane, SPOOL_PAUSE);
}
