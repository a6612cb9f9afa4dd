#include "detectors/ring.h"

#include <stdlib.h>

#include "common/err.h"

/* What stands in the ring, 8-byte aligned: a line (its length and bytes) or a
 * link. */
struct link {
	uint64_t before; /* the next older link, or RING_NOWHERE */
	uint64_t line;
};

void ring_init(struct ring *r, size_t size)
{
	*r = (struct ring){NULL, size & ~(size_t)7, 0};
}

void ring_fini(struct ring *r)
{
	free(r->p);
	*r = (struct ring){NULL, 0, 0};
}

int ring_ready(struct ring *r)
{
	if (r->p == NULL) {
		r->p = malloc(r->size);
	}
	return r->p == NULL ? UV_ENOMEM : 0;
}

void ring_clear(struct ring *r)
{
	free(r->p);
	r->p = NULL;
	r->head = 0;
}

/* Room for n bytes in one piece; the place, counted from 1. */
static uint64_t take(struct ring *r, size_t n)
{
	uint64_t at;

	n = (n + 7) & ~(size_t)7;
	if (r->head % r->size + n > r->size) {
		r->head += r->size - r->head % r->size;
	}
	at = r->head;
	r->head += n;
	return at + 1;
}

static char *place(const struct ring *r, uint64_t at)
{
	return r->p + (at - 1) % r->size;
}

/* Not yet overwritten, with room for n bytes behind it.  A place that comes from
 * a saved state may be any number. */
static bool alive(const struct ring *r, uint64_t at, size_t n)
{
	return at != RING_NOWHERE && at <= r->head &&
	       at - 1 + r->size >= r->head && (at - 1) % r->size + n <= r->size;
}

uint64_t ring_add_line(struct ring *r, struct slice line)
{
	uint32_t n = (uint32_t)(line.n < LIMIT_EVIDENCE_BYTES
					? line.n : LIMIT_EVIDENCE_BYTES);
	uint64_t at;

	if (ring_ready(r) != 0) {
		return RING_NOWHERE;
	}
	at = take(r, sizeof n + n);
	memcpy(place(r, at), &n, sizeof n);
	if (n > 0) {
		memcpy(place(r, at) + sizeof n, line.p, n);
	}
	return at;
}

uint64_t ring_link(struct ring *r, uint64_t chain, uint64_t line)
{
	struct link l = {chain, line};
	uint64_t at;

	if (line == RING_NOWHERE) {
		return chain;
	}
	at = take(r, sizeof l);
	memcpy(place(r, at), &l, sizeof l);
	return at;
}

size_t ring_lines(const struct ring *r, uint64_t chain, uint64_t except,
		  struct slice out[static LIMIT_EVIDENCE_LINES])
{
	struct slice found[LIMIT_EVIDENCE_LINES];
	size_t n = 0;

	while (n < LIMIT_EVIDENCE_LINES && alive(r, chain, sizeof(struct link))) {
		struct link l;
		uint32_t length;

		memcpy(&l, place(r, chain), sizeof l);
		if (l.line != except && alive(r, l.line, sizeof length)) {
			memcpy(&length, place(r, l.line), sizeof length);
			if (!alive(r, l.line, sizeof length + length)) {
				break;
			}
			found[n++] = slice(place(r, l.line) + sizeof length,
					   length);
		}
		chain = l.before < chain ? l.before : RING_NOWHERE;
	}
	for (size_t i = 0; i < n; i++) {
		out[i] = found[n - 1 - i];
	}
	return n;
}
