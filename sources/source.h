/* source: what lines come from beside log files, as agent/ sees it: a table of calls.
 *
 * A source hands its lines to the callbacks of sources/tail.h like the tail does; its
 * streams carry sources_about, and those that can't be read again are marked kept.
 * A source of streams that can be read again (the journal) takes part in what is
 * remembered of them; for the others those calls are NULL.
 *
 * Threads   the loop thread only.
 */
#ifndef SOURCES_SOURCE_H
#define SOURCES_SOURCE_H

#include "common/json.h"
#include "sources/stream.h"

struct source;

struct source_ops {
	const char *name; /* of its member in the status object */
	/* Begins to read; at most once.  Errors are logged and lasting. */
	int (*start)(struct source *s);
	/* There is room again. */
	void (*resume)(struct source *s);
	/* Reads no more: what was read is handed on once more, streams are closed, all
	 * from inside this call.  What is remembered can still be asked for. */
	void (*stop)(struct source *s);
	/* Nothing is called back any more; the memory goes once the loop has run.  Alone,
	 * without stop(), as if the process was killed. */
	void (*free)(struct source *s);
	void (*status)(const struct source *s, struct json *j); /* members */

	/* What the source itself must know at its next start, in a file of its name; NULL
	 * together.  save: appends it to out and returns 1, or 0: nothing has changed that
	 * may be saved yet; last: it is the last time.  load: before start(); what can't be
	 * used is an error, and then not used. */
	int (*save)(struct source *s, struct buf *out, bool last);
	int (*load)(struct source *s, struct slice saved);

	/* The rest as for the tail (tail_restore() ...), each may be NULL. */
	int (*restore)(struct source *s, const struct stream_state *states, size_t n);
	int (*watermark)(struct source *s, const struct stream_id *id,
			 uint64_t position, uint64_t h);
	int (*detected)(struct source *s, const struct stream_id *id,
			uint64_t position);
	int (*rollback)(struct source *s, const struct stream_id *id,
			uint64_t position, const uint64_t *h);
	int (*fork)(struct source *s, const struct stream_id *id);
	/* Appends one state for each stream, through add (which copies). */
	int (*states)(struct source *s,
		      int (*add)(void *arg, const struct stream_state *st), void *arg);
};

struct source {
	const struct source_ops *ops;
};

/* What became of the parts of a source in a reload, as numbers of them. */
struct sources_taken {
	size_t kept, changed, added, gone;
};

enum { SOURCES_MAX = 96 }; /* in one agent */

/* A stream of the tail, and not of one of these, by what is remembered of it. */
static inline bool source_is_file(const struct stream_state *st)
{
	return st->path == NULL || st->path[0] == '/';
}

#endif
