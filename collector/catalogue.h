/* catalogue: what the store holds, in a form that can be asked: devices,
 * segments, streams, heads, alerts.  It is a convenience and never the truth:
 * it is written after the files are synced, and thrown away and rebuilt from
 * them when it is lost, older or ahead (docs/store.md).
 *
 * A table of functions, so that the core knows no database; sqlite.h has the real
 * one.  Every call may block, and is made from one thread at a time: at
 * start-up from the loop thread, afterwards from a sys_work.
 *
 * Errors    0 or negative; ERR_DATABASE for whatever the database says (logged
 *           by the implementation).  An error never stops the collector.
 */
#ifndef COLLECTOR_CATALOGUE_H
#define COLLECTOR_CATALOGUE_H

#include "common/slice.h"
#include "wire/segment.h"

struct catalogue_segment {
	struct hash32 device;
	enum lane lane;
	uint64_t number;
	struct segment_id id;
	uint32_t part;        /* its last file: they count from 0 */
	uint64_t bytes;       /* of that file, all of it whole and synced */
	int64_t index;        /* last batch in it, -1: none */
	struct hash32 hash;   /* the chain's head there */
	int64_t first_ms, last_ms; /* of the records, INT64_MAX and INT64_MIN: none */
	int64_t received_ms;  /* of its last batch */
	uint64_t first_arrival, last_arrival; /* 0: none */
	uint64_t records;     /* in its batches */
	bool closed;          /* nothing more will come */
};

struct catalogue_stream {
	struct hash32 device;
	struct stream_id id;
	uint64_t durable;
	uint64_t h;
};

struct catalogue_alert {
	struct hash32 device;
	struct stream_id stream;
	uint64_t position;
	int64_t time_ms;
	struct slice json;
};

struct catalogue;

struct catalogue_ops {
	/* Groups what follows until commit(); all or nothing. */
	int (*begin)(struct catalogue *c);
	int (*commit)(struct catalogue *c);
	int (*device)(struct catalogue *c, const struct hash32 *device,
		      const char *name, int64_t seen_ms);
	int (*segment)(struct catalogue *c, const struct catalogue_segment *s);
	int (*stream)(struct catalogue *c, const struct catalogue_stream *s);
	/* What a stream's opening record says (JSON). */
	int (*opened)(struct catalogue *c, const struct hash32 *device,
		      const struct stream_id *stream, struct slice json);
	/* The latest verified head of a lane, as it was signed. */
	int (*head)(struct catalogue *c, const struct hash32 *device,
		    enum lane lane, struct slice bytes);
	int (*alert)(struct catalogue *c, const struct catalogue_alert *a);
	/* What it says of one segment: 1 and *out filled, or 0: nothing. */
	int (*find_segment)(struct catalogue *c, const struct hash32 *device,
			    const struct segment_id *id,
			    struct catalogue_segment *out);
	/* Every segment, until cb returns non-zero; returns that. */
	int (*each_segment)(struct catalogue *c,
			    int (*cb)(void *arg,
				      const struct catalogue_segment *s),
			    void *arg);
	/* Forgets everything but the alerts; the core then fills it again. */
	int (*clear)(struct catalogue *c);
};

struct catalogue {
	const struct catalogue_ops *ops;
};

#endif
