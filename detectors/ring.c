#include "detectors/ring.h"

#include <stdlib.h>

#include "common/err.h"

/* In the length of a line: where it stands comes first. */
#define PLACED UINT32_C(0x80000000)

/* What stands in the ring, 8-byte aligned: a line (its length and bytes) or a
 * link. */
struct link {
	uint64_t before; /* the next older link, or RING_NOWHERE */
	uint64_t line;
};

void ring_init(struct ring *r, size_t size)
{
	*r = (struct ring){NULL, size & ~(size_t)7, 0, 0};
}

void ring_fini(struct ring *r)
{
	free(r->p);
	*r = (struct ring){NULL, 0, 0, 0};
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
	r->head = r->in = 0;
}

void ring_set_head(struct ring *r, uint64_t head)
{
	r->head = head;
	r->in = head % r->size;
}

/* Room for n bytes in one piece: *at is its place, counted from 1. */
static char *take(struct ring *r, size_t n, uint64_t *at)
{
	char *p;

	n = (n + 7) & ~(size_t)7;
	if (r->in + n > r->size) {
		r->head += r->size - r->in;
		r->in = 0;
	}
	p = r->p + r->in;
	*at = r->head + 1;
	r->head += n;
	r->in = r->in + n < r->size ? r->in + n : 0;
	return p;
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

uint64_t ring_add_line(struct ring *r, struct slice line, const struct finding_place *where)
{
	uint32_t n = (uint32_t)(line.n < LIMIT_EVIDENCE_BYTES
					? line.n : LIMIT_EVIDENCE_BYTES);
	uint32_t head = n | (where != NULL ? PLACED : 0);
	size_t own = where != NULL ? sizeof *where : 0;
	uint64_t at;
	char *p;

	if (ring_ready(r) != 0) {
		return RING_NOWHERE;
	}
	p = take(r, sizeof head + own + n, &at);
	memcpy(p, &head, sizeof head);
	if (where != NULL) {
		memcpy(p + sizeof head, where, sizeof *where);
	}
	if (n > 0) {
		memcpy(p + sizeof head + own, line.p, n);
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
	memcpy(take(r, sizeof l, &at), &l, sizeof l);
	return at;
}

/* The line at this place, or false: it is overwritten, or never was one. */
static bool read_line(const struct ring *r, uint64_t at, struct slice *line,
		      struct finding_place *where, bool *placed)
{
	uint32_t head;
	size_t n, own;

	if (!alive(r, at, sizeof head)) {
		return false;
	}
	memcpy(&head, place(r, at), sizeof head);
	n = head & ~PLACED;
	*placed = (head & PLACED) != 0;
	own = *placed ? sizeof *where : 0;
	if (!alive(r, at, sizeof head + own + n)) {
		return false;
	}
	if (*placed) {
		memcpy(where, place(r, at) + sizeof head, sizeof *where);
	}
	*line = slice(place(r, at) + sizeof head + own, n);
	return true;
}

struct found {
	struct slice line;
	struct finding_place where;
	bool placed;
};

/* The newest lines of the chain that are still there, newest first. */
static size_t walk(const struct ring *r, uint64_t chain, uint64_t except,
		   struct found out[static LIMIT_EVIDENCE_LINES])
{
	size_t n = 0;

	while (n < LIMIT_EVIDENCE_LINES && alive(r, chain, sizeof(struct link))) {
		struct link l;

		memcpy(&l, place(r, chain), sizeof l);
		if (l.line != except && alive(r, l.line, sizeof(uint32_t))) {
			if (!read_line(r, l.line, &out[n].line, &out[n].where,
				       &out[n].placed)) {
				break;
			}
			n++;
		}
		chain = l.before < chain ? l.before : RING_NOWHERE;
	}
	return n;
}

size_t ring_lines(const struct ring *r, uint64_t chain, uint64_t except,
		  struct slice out[static LIMIT_EVIDENCE_LINES])
{
	struct found found[LIMIT_EVIDENCE_LINES];
	size_t n = walk(r, chain, except, found);

	for (size_t i = 0; i < n; i++) {
		out[i] = found[n - 1 - i].line;
	}
	return n;
}

size_t ring_places(const struct ring *r, uint64_t chain,
		   struct finding_place out[static LIMIT_EVIDENCE_LINES])
{
	struct found found[LIMIT_EVIDENCE_LINES];
	size_t placed = 0;

	for (size_t n = walk(r, chain, RING_NOWHERE, found); n > 0; n--) {
		if (found[n - 1].placed) {
			out[placed++] = found[n - 1].where;
		}
	}
	return placed;
}
