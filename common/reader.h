/* reader: the only way in which bytes from outside are decoded.
 *
 * A reader walks over a slice.  The first read that would pass the end makes
 * it fail; from then on every read gives zero and reader_ok() is false, so a
 * decoder checks once at the end, and before each allocation or loop bound.
 */
#ifndef COMMON_READER_H
#define COMMON_READER_H

#include "common/slice.h"

struct reader {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

static inline struct reader reader(struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;

	return (struct reader){p, p == NULL ? NULL : p + s.n, false};
}

static inline bool reader_ok(const struct reader *r)
{
	return !r->failed;
}

static inline size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

/* All read, nothing failed. */
static inline bool reader_done(const struct reader *r)
{
	return !r->failed && r->p == r->end;
}

/* The next n bytes, borrowed from the slice; empty on failure. */
struct slice reader_bytes(struct reader *r, size_t n);
/* Copies n bytes; zeroes out on failure. */
void reader_copy(struct reader *r, void *out, size_t n);
uint8_t reader_u8(struct reader *r);
/* Big-endian. */
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* LEB128 as buf_add_varint() writes it; a longer form than needed, or more
 * than 64 bits, fails. */
uint64_t reader_varint(struct reader *r);
/* A varint that must be <= max, or the reader fails. */
uint64_t reader_varint_max(struct reader *r, uint64_t max);
/* A varint length <= max, then that many bytes. */
struct slice reader_blob(struct reader *r, size_t max);

#endif
