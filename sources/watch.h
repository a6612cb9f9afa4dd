/* watch: files that should hardly ever change, such as authorized_keys and sudoers.
 *
 * A scan walks the patterns, looks at each file (stat), and hashes those whose stat has
 * changed, now and then all of them.  It runs on a worker thread in slices of a
 * megabyte.  One follows a notification of a folder, one comes every poll interval.
 * What differs from what was known is told as a line of a stream that can't be read
 * again, and only then is known:
 *
 *	scan --differs--> line handed on --acknowledged, or a clean stop--> saved
 *
 * So a change is never lost; after a crash in between it may be told twice.  What was
 * known is saved (DIR/watch), and a change made while no agent ran is told by the next
 * one.  On the first start ever, what is there is taken as it is.
 *
 * Threads   the loop thread; the scan's own memory on a worker while it runs.
 * Memory    a buffer of sources/kept.h, and about 300 bytes for each file, twice.
 * Limits    WATCH_FILES_MAX files, divided fairly among the patterns (watch_scan.h) and
 *           told when they are met, hash_max bytes of each, 256 folders that notify.
 */
#ifndef SOURCES_WATCH_H
#define SOURCES_WATCH_H

#include "sources/source.h"
#include "sources/tail.h"
#include "sources/watch_table.h"

struct watch_params {
	struct sys *sys;
	const struct sources_options *options; /* watch, line_max ...; copied */
	const struct strlist *more; /* patterns beside options->watch.paths; copied */
	const char *host;           /* copied */
	const unsigned char *secret; /* STREAM_SECRET bytes; copied */
	const struct tail_callbacks *cb; /* opened, chunk, closed, blind; kept */
	void *arg;
};

/* UV_ENOMEM, or an error of the timer or of randomness. */
int watch_new(struct source **out, const struct watch_params *params);

/* ---- other patterns, while it watches ---- */

struct watch_settings;

/* Of options (borrowed for the call): what to watch, and how often.  UV_ENOMEM. */
int watch_prepare(struct watch_settings **out, struct source *source,
		  const struct sources_options *options);
/* From the next scan on, which comes at once; s is taken over.  What nobody watched before
 * is taken as it is, and what nobody watches any more is forgotten. */
void watch_take(struct watch_settings *s, struct source *source);
/* Or not.  NULL allowed. */
void watch_drop(struct watch_settings *s);

#endif
