#include "wire/frame.h"

#include "common/err.h"

enum {
	PIECE = 16384,    /* a TLS record's worth */
	KEEP = 16 * 1024, /* a larger payload's memory is given back */
};

void frame_reader_init(struct frame_reader *r)
{
	memset(r, 0, sizeof *r);
	buf_init(&r->payload, LIMIT_FRAME);
}

void frame_reader_fini(struct frame_reader *r)
{
	buf_fini(&r->payload);
}

int frame_room(struct frame_reader *r, char **p, size_t *n)
{
	size_t left = r->need - r->payload.n;
	int rc;

	if (r->head_n < sizeof r->head) {
		*p = (char *)r->head + r->head_n;
		*n = sizeof r->head - r->head_n;
		return 0;
	}
	*n = left < PIECE ? left : PIECE;
	rc = buf_reserve(&r->payload, *n);
	*p = r->payload.p + r->payload.n;
	return rc;
}

static int took_head(struct frame_reader *r, size_t n)
{
	const uint8_t *h = r->head;

	r->head_n += n;
	if (r->head_n < sizeof r->head) {
		return 0;
	}
	r->need = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 |
		  (uint32_t)h[2] << 8 | h[3];
	if (r->need > LIMIT_FRAME) {
		return ERR_TOO_LARGE;
	}
	return r->need == 0;
}

int frame_took(struct frame_reader *r, size_t n)
{
	if (r->head_n < sizeof r->head) {
		return took_head(r, n);
	}
	r->payload.n += n;
	return r->payload.n == r->need;
}

uint8_t frame_type(const struct frame_reader *r)
{
	return r->head[FRAME_HEADER - 1];
}

void frame_next(struct frame_reader *r)
{
	r->head_n = 0;
	r->need = 0;
	buf_clear(&r->payload);
	if (r->payload.room > KEEP) {
		buf_fini(&r->payload);
	}
}

bool frame_begun(const struct frame_reader *r)
{
	return r->head_n > 0;
}
