/* spool: sealed segments as files, one file for each, for sources that can't be
 * read again and for a collector that is away.  docs/spool.md has the bytes.
 *
 * A file holds the segment's header and its batches from index 0, each framed
 * with its length and an XXH64, so that a torn tail is told from a whole batch.
 * Files are named ORDER-LANE-ID.spool; ORDER sorts them within their lane.
 *
 * Threads   Any, one at a time for a file.  Everything here blocks: it is called
 *           inside a sys_work, or at start-up.
 * Errors    0 or a negative UV_E*; ERR_* where named.
 */
#ifndef SHIPPER_SPOOL_H
#define SHIPPER_SPOOL_H

#include "common/buf.h"
#include "common/sys.h"
#include "wire/segment.h"

enum { SPOOL_PATH = 4096 };

struct spool_file {
	int fd;         /* -1: none */
	uint64_t size;  /* bytes that are known to be whole and synced */
	char *path;     /* on the heap */
};

/* Where a batch stands in its file. */
struct spool_place {
	uint64_t offset; /* of the encoded batch itself */
	uint32_t len;
};

static inline struct spool_file spool_file_none(void)
{
	return (struct spool_file){-1, 0, NULL};
}

/* Creates dir/ORDER-LANE-ID.spool with this segment header; not yet synced (the
 * first append does that, the folder included).  UV_EEXIST and others; on error
 * nothing is left. */
int spool_file_create(struct spool_file *f, struct sys *sys, const char *dir,
		      uint64_t order, const struct segment_info *info,
		      struct slice header);

/* Appends batches and syncs once.  places[i] is filled in.  On an error the file
 * is cut back to what was whole before (as far as the disk lets us) and must not be
 * appended to again: after a failed sync nobody knows what is on the disk. */
int spool_file_append(struct spool_file *f, struct sys *sys, const char *dir,
		      const struct slice *batches, size_t n,
		      struct spool_place *places);

/* Reads one batch into out (cleared first) and checks its sum: ERR_DAMAGED. */
int spool_file_read(struct spool_file *f, struct sys *sys,
		    struct spool_place place, struct buf *out);

/* Closes the descriptor and forgets the path; the file stays.  No file call but
 * the close. */
void spool_file_close(struct spool_file *f, struct sys *sys);
/* Closes and removes the file. */
void spool_file_remove(struct spool_file *f, struct sys *sys);

/* ---- recovery ---- */

struct spool_found {
	const char *path;                /* borrowed */
	uint64_t order;
	struct slice header;             /* borrowed */
	const struct segment_info *info; /* borrowed */
};

/* What a recovery finds, file by file: the segment, its whole batches in order,
 * and where the whole part ends.  Non-zero ends the walk with that value. */
struct spool_visitor {
	int (*segment)(void *arg, const struct spool_found *found);
	int (*batch)(void *arg, struct spool_place place,
		     const struct batch_head *head);
	/* n_batches == 0: the file is removed after the call. */
	int (*end)(void *arg, uint64_t size, size_t n_batches);
};

/* Walks over the spool in the order of the names, following every chain up to
 * the first damage.  What is damaged is copied to *.damaged, reported in the
 * log, and cut off; an append that was not finished is just cut off.  Errors of
 * listing the folder, UV_ENOMEM, ERR_LIMIT (more than 2^20 files). */
int spool_recover(struct sys *sys, const char *dir,
		  const struct spool_visitor *visitor, void *arg);

#endif
