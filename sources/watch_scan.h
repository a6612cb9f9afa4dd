/* watch_scan: one look at the watched files, on a worker, a step at a time:
 *
 *	LIST --all patterns--> MORE --> LOOK --a file that is to be hashed--> HASH --> LOOK
 *	                                  '--no more--> MISSING --every file not seen--> END
 *
 * Whoever can make files decides how many match a pattern.  So the table has room for
 * each pattern that no other takes: half of it is divided among the patterns, and of a
 * pattern's share no folder takes more than a quarter.  The other half is for whatever
 * is more than that, in the order in which it is found (MORE).  What is known already
 * is never left out: a file is gone when nobody finds it, not when there is no room.
 *
 * Threads   whoever owns the memory: the loop thread before and after, a worker in
 *           between (source.h).
 * Memory    about 300 bytes for each file, twice.
 */
#ifndef SOURCES_WATCH_SCAN_H
#define SOURCES_WATCH_SCAN_H

#include <mbedtls/sha256.h>

#include "sources/options.h"
#include "sources/watch_folders.h"
#include "sources/watch_table.h"

enum {
	WATCH_POOL = WATCH_FILES_MAX / 2, /* beyond the patterns' shares */
	WATCH_FOLDER_LEAST = 4,           /* files of one folder, in any share */
	WATCH_READ_BYTES = 64 * 1024,
};

enum watch_phase { WATCH_LIST, WATCH_MORE, WATCH_LOOK, WATCH_HASH, WATCH_MISSING, WATCH_END };

struct watch_scan {
	/* Set once, and kept. */
	struct sys *sys;
	const struct sources_watch *options;
	const struct strlist *patterns;
	char *buf; /* WATCH_READ_BYTES */

	bool all;                 /* hash what looks the same as well */
	enum watch_phase phase;
	struct watch_table found; /* in LIST: paths alone */
	struct watch_table old;   /* what was known when it began */
	struct strlist folders;   /* that patterns look into: WATCH_FOLDERS_MAX at most */
	size_t at;
	size_t fresh;             /* found, and not in old */
	size_t in_share, in_folder; /* of the pattern being listed, and of its folder */
	size_t pool;              /* beyond all shares */
	bool cut;                 /* some pattern has more than its share */
	/* The first pattern of which not all is watched; -1: there is none. */
	int left_out;
	int fd;                   /* HASH; -1 otherwise */
	uint64_t offset;
	mbedtls_sha256_context sha;
	int rc;                   /* != 0: it can't be gone on with, and says nothing */
};

/* UV_ENOMEM.  The pointers are kept. */
int watch_scan_init(struct watch_scan *s, struct sys *sys,
		    const struct sources_watch *options, const struct strlist *patterns);
/* Ready to begin anew: closes and forgets what the last one found. */
void watch_scan_clear(struct watch_scan *s);
void watch_scan_fini(struct watch_scan *s);
/* A slice of the work: until it has hashed about a megabyte or looked at some files.
 * Over when rc != 0 or phase == WATCH_END. */
void watch_scan_run(struct watch_scan *s);

#endif
