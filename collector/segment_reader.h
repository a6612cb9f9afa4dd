/* segment_reader: one stored segment from its beginning, over all its files,
 * with structure and chain checked and without any key.
 *
 * After a failed sync a segment goes on in a new file, whose head says behind
 * which batch; what stands beyond that in the earlier ones was never acknowledged
 * and is not read.
 *
 * Blocks on the disk.  Any thread, one at a time for each reader.
 */
#ifndef COLLECTOR_SEGMENT_READER_H
#define COLLECTOR_SEGMENT_READER_H

#include "collector/format.h"

enum { STORE_PATH = 512, SEGMENT_PARTS_MAX = 64 };

/* What one entry says; slices are borrowed until the next call. */
struct segment_entry {
	enum entry_kind kind; /* ENTRY_BATCH or ENTRY_HEAD_SIGNED */
	uint32_t part;
	uint64_t offset, next; /* in that part's file */
	struct envelope envelope;
	struct batch_head head;
	struct slice batch;
	struct slice signed_head;
};

struct segment_reader {
	struct sys *sys;
	char dir[STORE_PATH];     /* the device's */
	struct segment_name name; /* part: the one being read */
	uint32_t last_part;
	int64_t limit;            /* last index to read in this part */
	bool unreadable;          /* of a later part the head can't be read */
	int fd;                   /* -1: between parts */
	struct entry_reader entries;
	struct follower *follower;
	struct buf header;        /* the encoded segment header */
	uint8_t store_id[STORE_ID];
	struct hash32 device;
	char device_name[LIMIT_DEVICE_NAME + 1];
	int64_t created_ms;       /* of the part being read */
};

/* Opens the first part there is of those up to name->part.  ERR_TRUNCATED,
 * ERR_DAMAGED, ERR_MALFORMED, ERR_VERSION: its head can't be read; UV_ENOENT;
 * other UV_E*; UV_ENOMEM.  On an error nothing is left open. */
int segment_reader_open(struct segment_reader *r, struct sys *sys,
			const char *dir, const struct segment_name *name);
void segment_reader_close(struct segment_reader *r);

/* 1: *out is the next entry, and a batch has been followed; 0: the segment ends
 * here, whole; ERR_TRUNCATED: torn in the middle of an entry; ERR_DAMAGED: an
 * entry is not what was written, or a part misses what the next one continues;
 * ERR_CHAIN, ERR_MALFORMED: entries are whole and contradict one another.  Then
 * r->name.part and r->entries.offset tell where. */
int segment_reader_next(struct segment_reader *r, struct segment_entry *out);

/* Index and hash of the last batch read (-1: the header's hash). */
int64_t segment_reader_index(const struct segment_reader *r);
struct hash32 segment_reader_hash(const struct segment_reader *r);

/* The path of a file of the segment. */
void segment_path(char out[static STORE_PATH], const char *dir,
		  const struct segment_name *name);

/* ---- what a device's directory holds ---- */

struct segment_list {
	struct segment_name *v; /* sorted; part: the last one's number */
	size_t n, room;
};

/* Every segment in dir.  UV_E*, UV_ENOMEM. */
int segment_list_read(struct segment_list *l, struct sys *sys,
		      const char *dir);
void segment_list_fini(struct segment_list *l);

#endif
