#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"

enum { FIRST_ROOM = 256 };

void buf_fini(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = 0;
	b->room = 0;
}

void buf_wipe(struct buf *b)
{
	if (b->p != NULL) {
		explicit_bzero(b->p, b->room);
	}
	buf_fini(b);
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t room = b->room == 0 ? FIRST_ROOM : b->room;
	char *p;

	if (n <= b->room - b->n) {
		return 0;
	}
	if (n > b->limit || b->n > b->limit - n) {
		return ERR_TOO_LARGE;
	}
	if (room > b->limit) {
		room = b->limit;
	}
	while (room - b->n < n) {
		room = room > b->limit / 2 ? b->limit : room * 2;
	}
	p = realloc(b->p, room);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	b->p = p;
	b->room = room;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int rc = buf_reserve(b, n);

	if (rc == 0 && n > 0) {
		memcpy(b->p + b->n, p, n);
		b->n += n;
	}
	return rc;
}

int buf_add_u8(struct buf *b, uint8_t v)
{
	return buf_add(b, &v, 1);
}

int buf_add_varint(struct buf *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return buf_add(b, out, n);
}

static int add_be(struct buf *b, uint64_t v, size_t n)
{
	uint8_t out[8];

	for (size_t i = 0; i < n; i++) {
		out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	}
	return buf_add(b, out, n);
}

int buf_add_u16(struct buf *b, uint16_t v)
{
	return add_be(b, v, 2);
}

int buf_add_u32(struct buf *b, uint32_t v)
{
	return add_be(b, v, 4);
}

int buf_add_u64(struct buf *b, uint64_t v)
{
	return add_be(b, v, 8);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n, rc;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	rc = n < 0 ? UV_EINVAL : buf_reserve(b, (size_t)n + 1);
	if (rc == 0) {
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	return rc;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > 0) {
		memmove(b->p, b->p + n, b->n - n);
		b->n -= n;
	}
}
