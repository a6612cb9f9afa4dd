/* journal: the systemd journal's entries as lines.
 *
 * A stream is a chain of journal files: those of one name (system, user-1000 ...) that
 * share a sequence number id, which is what rotation makes of one file.  Its positions
 * are sequence numbers: entry n ends at n + 1, and begins where the one before it ended,
 * since numbers that are missing inside a file are in other chains.  H(p) is the keyed
 * hash of the cursor of the entry that ends at p.  So a place is found again from the
 * position alone, whatever became of the files' names, and proved by H.
 *
 * Between two files a hole is accounted for by the entries of other chains in the same
 * folder; what is left was vacuumed, or is in a file that can't be read, and is told
 * as a gap record.  docs/decisions.md has why.
 *
 *   chain:  WAITING --a file holds its position--> READING --its end, and a later one--.
 *              ^                                                                      |
 *              '----------------------------------------------------------------------'
 *
 * An entry becomes a line of RFC 5424 with the journal's fields as structured data
 * (sources/journal_text.h).
 *
 * Threads   the loop thread only.  Reads files, as the tail does.
 * Memory    some KiB for each chain, one open file for each, and a line.
 */
#ifndef SOURCES_JOURNAL_H
#define SOURCES_JOURNAL_H

#include "sources/source.h"
#include "sources/tail.h"

struct journal_reader; /* opaque: one open file */

struct journal_entry {
	uint64_t number;     /* its sequence number */
	int64_t realtime_us; /* when journald had it, Unix time */
	struct slice cursor; /* which names it; until the next call */
};

/* What reads a file: libsystemd, or a test.  Errors are UV_E*; a damaged place may be
 * an error or look like the end. */
struct journal_calls {
	/* fd is borrowed until close(). */
	int (*open)(struct journal_reader **out, int fd);
	void (*close)(struct journal_reader *r);
	/* next() will give the first entry with this number or a later one. */
	int (*seek)(struct journal_reader *r, const uint8_t seqnum_id[static 16],
		    uint64_t number);
	int (*next)(struct journal_reader *r); /* 1: there is one; 0: not now */
	int (*entry)(struct journal_reader *r, struct journal_entry *out);
	/* value: until the next call.  UV_ENOENT: it has none. */
	int (*field)(struct journal_reader *r, const char *name, struct slice *value);
};

/* libsystemd's; NULL in a build without it (meson option journal). */
const struct journal_calls *journal_calls(void);

/* settings is one of options->journals; both, calls and cb are kept; secret is copied.
 * UV_ENOMEM, a timer's error, or UV_ENOTSUP (calls is NULL). */
int journal_new(struct source **out, struct sys *sys, const struct journal_calls *calls,
		const struct sources_options *options,
		const struct sources_journal *settings,
		const unsigned char secret[static STREAM_SECRET],
		const struct tail_callbacks *cb, void *arg);

#endif
