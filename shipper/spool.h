/* spool: sealed segments as files, one file for each, for sources that can't be
 * read again and for a collector that is away.  docs/spool.md has the bytes.
 *
 * A file holds the segment's header, twice, and its batches from index 0, each framed
 * with sums and a note of the streams and positions it holds, so that a torn tail is
 * told from a whole batch and damage says what it costs.  Files are named
 * ORDER-QUEUE-ID.spool; ORDER sorts them within their queue.
 *
 * Threads   Any, one at a time for a file.  Everything here blocks: it is called
 *           inside a sys_work, or at start-up.
 * Errors    0 or a negative UV_E*; ERR_* where named.
 */
#ifndef SHIPPER_SPOOL_H
#define SHIPPER_SPOOL_H

#include "common/buf.h"
#include "common/sys.h"
#include "shipper/queue.h"
#include "wire/segment.h"

enum { SPOOL_PATH = 4096 };

struct spool_file {
	int fd;         /* -1: none */
	uint64_t size;  /* bytes that are known to be whole and synced */
	char *path;     /* on the heap */
	struct follower *follower; /* of what was appended; NULL: nothing may be */
	bool damaged;   /* kept aside as evidence when it is removed */
};

/* Where a batch stands in its file. */
struct spool_place {
	uint64_t offset; /* of the encoded batch itself */
	uint32_t len;
};

static inline struct spool_file spool_file_none(void)
{
	return (struct spool_file){.fd = -1};
}

/* Creates dir/ORDER-QUEUE-ID.spool with this segment header; not yet synced (the
 * first append does that, the folder included).  UV_EEXIST and others; on error
 * nothing is left. */
int spool_file_create(struct spool_file *f, struct sys *sys, const char *dir,
		      uint64_t order, enum queue queue,
		      const struct segment_info *info, struct slice header);

/* Appends batches and syncs once.  places[i] is filled in.  On an error the file
 * is cut back to what was whole before (as far as the disk lets us) and must not be
 * appended to again (ERR_POISONED): after a failed sync nobody knows what is on the
 * disk.  The batches must continue the segment: follower_peek()'s errors. */
int spool_file_append(struct spool_file *f, struct sys *sys, const char *dir,
		      const struct slice *batches, size_t n,
		      struct spool_place *places);

/* Reads one batch into out (cleared first) and checks its sum: ERR_DAMAGED. */
int spool_file_read(struct spool_file *f, struct sys *sys,
		    struct spool_place place, struct buf *out);

/* Closes the descriptor until the next read; there will be no more appends. */
void spool_file_rest(struct spool_file *f, struct sys *sys);
/* Closes the descriptor and forgets the path; the file stays.  No file call but
 * the close. */
void spool_file_close(struct spool_file *f, struct sys *sys);
/* Closes and removes the file; a damaged one is renamed to *.damaged. */
void spool_file_remove(struct spool_file *f, struct sys *sys);
/* Renames a file of which nothing is whole to *.damaged. */
void spool_set_aside(struct sys *sys, const char *path);

/* ---- recovery ---- */

struct spool_found {
	const char *path;                /* borrowed */
	uint64_t order;
	enum queue queue;
	struct slice header;             /* borrowed */
	const struct segment_info *info; /* borrowed */
};

/* How much of a stream is lost: raw bytes [start, end), both at least as far as the
 * file still tells. */
struct spool_range {
	struct stream_id id;
	uint64_t start, end;
};

/* What a damaged file has lost. */
struct spool_loss {
	const char *path;  /* borrowed */
	uint64_t order;
	enum queue queue;
	size_t n_whole;    /* batches before the damage */
	uint64_t at;       /* where the damage begins */
	const struct spool_range *ranges; /* borrowed */
	size_t n_ranges;
	/* A write that was not finished, of lines that nobody was told to be here;
	 * otherwise something that was whole once. */
	bool unfinished;
	/* More may be lost than the ranges say, of streams in this file or of others:
	 * something in it tells nothing at all. */
	bool open_end;
};

/* What a recovery finds, file by file: the segment, its whole batches in order, where
 * the file ends, and what of it is lost.  A file without a whole header has a loss
 * only.  Non-zero ends the walk with that value. */
struct spool_visitor {
	int (*segment)(void *arg, const struct spool_found *found);
	int (*batch)(void *arg, struct spool_place place,
		     const struct batch_head *head);
	/* size: the file's.  n_batches == 0: forget it, there is nothing of it. */
	int (*end)(void *arg, uint64_t size, size_t n_batches);
	/* When there is a loss, after end().  The file stays as it is: whoever has told
	 * the loss removes it (struct spool_file.damaged, spool_set_aside()). */
	int (*loss)(void *arg, const struct spool_loss *loss);
	/* A file that can't be read, and why (UV_E*): it stays as it is.  NULL: it is
	 * logged. */
	int (*unreadable)(void *arg, const char *path, int error);
};

/* Walks over the spool in the order of the names, following every chain up to
 * the first damage and looking for what is readable behind it.  An append that was not
 * finished and says nothing is cut off, a file that was just being made is removed,
 * of *.damaged the newest SPOOL_DAMAGED stay.  Errors of listing the folder, UV_ENOMEM,
 * ERR_LIMIT (more than 2^20 files); a file that can't be read stays, and is told. */
enum { SPOOL_DAMAGED = 8 };
int spool_recover(struct sys *sys, const char *dir,
		  const struct spool_visitor *visitor, void *arg);
/* The same and changes nothing. */
int spool_look(struct sys *sys, const char *dir,
	       const struct spool_visitor *visitor, void *arg);

#endif
