/* buf: bytes of our own that grow up to a stated limit.
 *
 * buf_init() with the limit, buf_fini() to give the memory back.  A write that
 * would pass the limit, or for which there is no memory, fails and leaves the
 * contents as they were.  Not thread-safe.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/slice.h"

struct buf {
	char *p;
	size_t n;     /* Bytes used. */
	size_t room;  /* Bytes allocated. */
	size_t limit; /* Bytes it may never pass. */
};

/* Allocates nothing. */
static inline void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){NULL, 0, 0, limit};
}

/* Frees; safe on a zeroed buf and to call twice.  The limit stays. */
void buf_fini(struct buf *b);
/* Like buf_fini(), after overwriting what was in it. */
void buf_wipe(struct buf *b);

/* Room for n more bytes.  UV_ENOMEM, ERR_TOO_LARGE. */
int buf_reserve(struct buf *b, size_t n);
/* Same errors as buf_reserve(). */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_add_u8(struct buf *b, uint8_t v);
/* LEB128, least significant group first: 1 to 10 bytes. */
int buf_add_varint(struct buf *b, uint64_t v);
/* Big-endian. */
int buf_add_u16(struct buf *b, uint16_t v);
int buf_add_u32(struct buf *b, uint32_t v);
int buf_add_u64(struct buf *b, uint64_t v);
int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline int buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.p, s.n);
}

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->p, b->n};
}

static inline void buf_clear(struct buf *b)
{
	b->n = 0;
}

/* Drops the first n bytes (n <= b->n) by moving the rest to the front. */
void buf_consume(struct buf *b, size_t n);

/* Signed numbers as varints: 0, -1, 1, -2 become 0, 1, 2, 3. */
static inline uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
