/* spool_bytes: the bytes of a spool's file, however large it is, through a window.
 *
 * Only a regular file is read: what else has such a name (a FIFO, a device, a link) is
 * refused without waiting for it.  When the window can't be read, no more than what was
 * asked for is; what can't be read then is not there, and rc says so.
 *
 * Threads   any, one at a time; blocks.
 * Memory    SPOOL_WINDOW bytes at most.  Private to shipper/.
 */
#ifndef SHIPPER_SPOOL_BYTES_H
#define SHIPPER_SPOOL_BYTES_H

#include "common/slice.h"
#include "common/sys.h"

enum { SPOOL_WINDOW = 2 * 1024 * 1024 };

struct spool_bytes {
	struct sys *sys;
	int fd;
	uint64_t size; /* of the file when it was opened */
	int rc;        /* the first error of reading */
	/* The file's bytes [base, base + n). */
	char *p;
	uint64_t base;
	size_t n, room;
};

/* UV_EINVAL: no regular file; UV_ENOMEM; errors of opening it.  Then there is nothing
 * to be closed. */
int spool_bytes_open(struct spool_bytes *b, struct sys *sys, const char *path);
void spool_bytes_close(struct spool_bytes *b);

/* The bytes [at, at + n), n <= SPOOL_WINDOW; fewer at the file's end, or where it can't
 * be read.  Until the next call. */
struct slice spool_bytes_at(struct spool_bytes *b, uint64_t at, size_t n);

#endif
