/* prefix: H over the beginning of a file, some bytes at a time.
 *
 * Reads from an open descriptor up to a target and can say, wherever it stands,
 * H of what it has read, where the last line starts, and the last bytes.
 */
#ifndef SOURCES_PREFIX_H
#define SOURCES_PREFIX_H

#include "sources/stream.h"

struct prefix {
	uint64_t at;         /* bytes read */
	uint64_t line_start; /* behind the last newline below at */
	uint64_t first_line; /* where the first line ends, 0: no newline yet */
	unsigned char last[STREAM_LAST];
	size_t n_last;
	struct XXH3_state_s *hash;
};

/* UV_ENOMEM. */
int prefix_init(struct prefix *p);
/* Safe on a zeroed one. */
void prefix_fini(struct prefix *p);
/* Back to the first byte.  secret: STREAM_SECRET bytes, must outlive the hashing. */
void prefix_start(struct prefix *p, const unsigned char *secret);
/* Both initialised. */
void prefix_copy(struct prefix *to, const struct prefix *from);

/* As sys_pread(), of whatever src is; UV_EAGAIN: call again. */
typedef int64_t (*prefix_read_fn)(void *src, void *buf, size_t n,
				  uint64_t offset);

/* Reads on towards target, at most room bytes into buf.  0: made progress (or is
 * there: p->at == target), and buf is zero again; UV_EOF: the file is shorter; or
 * the error of read. */
int prefix_step(struct prefix *p, prefix_read_fn read, void *src,
		uint64_t target, char *buf, size_t room);

/* Safe on a zeroed one.  Keeps nothing of what was read; start it, or copy to it,
 * before the next use. */
void prefix_forget(struct prefix *p);

/* H of the bytes read so far. */
uint64_t prefix_hash(const struct prefix *p);

#endif
