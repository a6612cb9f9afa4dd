/* watch_table: what is known of watched files, and how a change of one is told.
 *
 * Never a file's contents: its place, owner, mode, size, time and SHA-256.
 *
 * Pure; any thread.
 */
#ifndef SOURCES_WATCH_TABLE_H
#define SOURCES_WATCH_TABLE_H

#include "common/buf.h"
#include "common/strlist.h"
#include "common/sys.h"

enum { WATCH_FILES_MAX = 4096, WATCH_PATH_MAX = 4096, WATCH_PATTERNS_MAX = 512 };

enum watch_hash {
	WATCH_HASHED,
	WATCH_UNREADABLE, /* no right to read it: what stat tells, alone */
	WATCH_TOO_LARGE,
	WATCH_NO_FILE,    /* a folder, a device ... */
};

struct watched {
	char *path; /* owned by the table */
	struct sys_stat st;
	enum watch_hash hash;
	uint8_t sha256[32];
};

struct watch_table {
	struct watched *v; /* in the order of their paths */
	size_t n, room;
};

void watch_table_fini(struct watch_table *t);
/* Where path is, or (false) where it belongs. */
bool watch_table_find(const struct watch_table *t, const char *path, size_t *at);
/* Puts a copy of w there, in place of what had its path.  UV_ENOMEM, ERR_FULL. */
int watch_table_put(struct watch_table *t, const struct watched *w);
void watch_table_remove(struct watch_table *t, size_t at);

/* With the patterns that it was made by, so that a later one can tell a new file from
 * a new pattern: appended to out.  UV_ENOMEM, ERR_TOO_LARGE. */
int watch_table_encode(const struct watch_table *t, const struct strlist *patterns,
		       struct buf *out);
/* Into empty ones; ERR_MALFORMED, ERR_VERSION, UV_ENOMEM leave them empty. */
int watch_table_decode(struct watch_table *t, struct strlist *patterns,
		       struct slice bytes);

enum watch_change {
	WATCH_SAME,
	WATCH_CREATED,
	WATCH_DELETED,
	WATCH_REPLACED,   /* another file has its name */
	WATCH_MODIFIED,
	WATCH_PERMISSION, /* owner, group or mode */
	WATCH_TOUCHED,    /* its time alone */
};

/* Of a file before and after; one of them may be NULL. */
enum watch_change watch_compare(const struct watched *was, const struct watched *is);

/* The change as a line (docs/sources.md), with its newline, into out, which is cleared
 * first.  UV_ENOMEM, ERR_TOO_LARGE. */
int watch_text(enum watch_change change, const struct watched *was,
	       const struct watched *is, int64_t now_ns, struct slice host,
	       struct buf *out);

#endif
