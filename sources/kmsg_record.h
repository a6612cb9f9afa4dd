/* kmsg_record: what one read of /dev/kmsg gives (Linux, Documentation/ABI/testing/
 * dev-kmsg and kernel/printk/printk.c):
 *
 *	priority,sequence,microseconds,flag[,more];message\n
 *	 KEY=value\n
 *
 * with \xNN for what is not printable.  A flag of c or + marks a part of a line; since
 * the parts of several lines may be mixed, each stays a record of its own.
 *
 * Pure; any thread.
 */
#ifndef SOURCES_KMSG_RECORD_H
#define SOURCES_KMSG_RECORD_H

#include "common/buf.h"

/* The longest that a kernel makes is 8 KiB (PRINTKRB_RECORD_MAX, CONSOLE_EXT_LOG_MAX). */
enum { KMSG_RECORD_MAX = 16 * 1024 };

struct kmsg_record {
	uint32_t priority;   /* facility * 8 + severity; facility 0 is the kernel's */
	uint64_t sequence;
	uint64_t time_us;    /* since boot, without the time asleep */
	bool part;           /* of a line: it may not begin here */
	struct slice message; /* as it came */
	struct slice fields;  /* the KEY=value lines, as they came */
};

/* Borrows from bytes.  ERR_MALFORMED. */
int kmsg_decode(struct kmsg_record *out, struct slice bytes);

/* "<6>2026-11-22T15:37:46.123456Z host kernel: message KEY=value" into out, which is
 * cleared first: what sources/ and parsers/ agree on for it.  Escapes are undone but for
 * control characters, so that it is one line.  What user space has written there bears
 * its own tag, or "kmsg:", and never "kernel:".  UV_ENOMEM, ERR_TOO_LARGE. */
int kmsg_text(const struct kmsg_record *r, int64_t time_ns, struct slice host,
	      struct buf *out);

#endif
