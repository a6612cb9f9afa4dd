/* kmsg: the kernel's log, by its sequence numbers.
 *
 * Each boot is one stream, whose positions are the sequence numbers: record n of
 * /dev/kmsg is [n, n + 1).  The ring of the kernel can be read again as long as it holds
 * the record, so a new process goes on where the last one was acknowledged; what was
 * overwritten before it was read is a gap record with its exact range.
 *
 *	SEEKING --record n >= from--> READING --rollback, fork--> SEEKING
 *	                                 '--no room--> PAUSED --resume--> READING
 *
 * Identity: the boot id makes the stream's id (with the device's secret), and H(n) is a
 * keyed hash of boot, n, and record n - 1.  If record W - 1 is still in the ring it must
 * prove H(W), and the ring must reach W: otherwise this is another past (a snapshot that
 * was restored), and the log is read again as a stream of its own, flagged fork.
 *
 * A record's stamp is the wall clock less the monotonic one, plus the record's time:
 * wrong for records from before the machine slept or its clock was set, and never in
 * the future.
 *
 * Threads   the loop thread only.
 * Blocking  reads of the ring, at most 256 records a loop turn.
 * Memory    about 40 KiB.
 */
#ifndef SOURCES_KMSG_H
#define SOURCES_KMSG_H

#include <uv.h>

#include "sources/source.h"
#include "sources/tail.h"

struct kmsg_params {
	uv_loop_t *loop;  /* NULL: look again four times a second */
	struct sys *sys;  /* reads by its pread, whose offset means nothing here */
	int fd;           /* of /dev/kmsg, not blocking; taken over, also on an error */
	int (*rewind)(void *arg, int fd); /* to the oldest record; NULL: lseek(2) */
	uint8_t boot[16];
	const char *host; /* copied */
	const unsigned char *secret; /* STREAM_SECRET bytes; copied */
	const struct tail_callbacks *cb; /* opened, entry, lost, closed, gap; kept */
	void *arg;
};

/* UV_ENOMEM, or an error of the loop. */
int kmsg_new(struct source **out, const struct kmsg_params *params);

#endif
