/* entry: how the store's files are cut into pieces that prove themselves whole.
 * docs/store.md, "Entries".
 *
 *   kind (1)  length (4)  payload (length)  checksum (8)
 *
 * The checksum is XXH64 over all that stands before it, seeded with the entry's
 * offset in the file, so that a piece of an older file that shines through after
 * a crash is not taken for one of this.  It finds tears and rot, not forgers:
 * those meet the hash chain and the seal inside.
 *
 * Knows bytes and files; not what a payload means.  Any thread, one at a time for
 * each reader.
 */
#ifndef COLLECTOR_ENTRY_H
#define COLLECTOR_ENTRY_H

#include "common/buf.h"
#include "common/limits.h"
#include "common/sys.h"

enum { ENTRY_HEAD = 1 + 4, ENTRY_TAIL = 8,
       ENTRY_PAYLOAD_MAX = LIMIT_BATCH_SEALED + 4096 };

enum entry_kind {
	ENTRY_FILE = 1,  /* what file this is: always the first */
	ENTRY_BATCH = 2, /* envelope and batch */
	ENTRY_HEAD_SIGNED = 3,
	/* In the watermark log. */
	ENTRY_DEVICE = 16,
	ENTRY_WATERMARK = 17,
	ENTRY_LOG_HEAD = 18,
};

struct entry {
	uint8_t kind;
	struct slice payload;
	uint64_t offset; /* where it starts in the file */
	uint64_t next;   /* where the next one would */
};

/* Appends one entry that will stand at offset.  ERR_TOO_LARGE, UV_ENOMEM: out is
 * as it was. */
int entry_add(struct buf *out, uint64_t offset, enum entry_kind kind,
	      const struct slice *parts, size_t n);

/* Takes the entry that starts with bytes (as many as there are) and stands at
 * offset.  ERR_TRUNCATED: it ends too early, or there is nothing but zeroes;
 * ERR_DAMAGED: it is all there and not what was written. */
int entry_take(struct slice bytes, uint64_t offset, struct entry *out);

struct entry_reader {
	struct sys *sys;
	int fd;            /* the caller's */
	struct buf window; /* what was read and not yet given out */
	uint64_t base;     /* the window's offset in the file */
	uint64_t offset;   /* of the next entry */
	uint64_t limit;    /* nothing from here on is read: it may be being
			    * written; at first UINT64_MAX */
};

/* Reads entries of fd from offset on.  Allocates nothing yet. */
void entry_reader_init(struct entry_reader *r, struct sys *sys, int fd,
		       uint64_t offset);
void entry_reader_fini(struct entry_reader *r);

/* 1: *out is the next, its payload borrowed until the next call; 0: the file
 * ends here; ERR_TRUNCATED and ERR_DAMAGED as above, r->offset is then where the
 * trouble starts; UV_E* of reading; UV_ENOMEM. */
int entry_reader_next(struct entry_reader *r, struct entry *out);

#endif
