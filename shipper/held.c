#include "shipper/held.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"

void held_fini(struct held *h)
{
	free(h->v);
	*h = (struct held){0};
}

static int by_id(const void *a, const void *b)
{
	return memcmp(&((const struct held_stream *)a)->id,
		      &((const struct held_stream *)b)->id,
		      sizeof(struct stream_id));
}

static struct held_stream *find(const struct held *h,
				const struct stream_id *id)
{
	struct held_stream key = {.id = *id};

	return h->n == 0 ? NULL
			 : bsearch(&key, h->v, h->n, sizeof *h->v, by_id);
}

static void set_store(struct held *h, const uint8_t store[static HELD_STORE])
{
	size_t n;

	h->any = true;
	memcpy(h->store, store, sizeof h->store);
	n = (size_t)snprintf(h->reason, sizeof h->reason, "held-by ");
	for (int i = 0; i < HELD_STORE; i++) {
		n += (size_t)snprintf(h->reason + n, sizeof h->reason - n,
				      "%02x", store[i]);
	}
}

int held_begin(struct held *h, const uint8_t old[static HELD_STORE],
	       struct slice streams)
{
	struct held_stream *v;
	struct slice list = streams;
	struct msg_stream w;
	size_t n = 0;

	while (msg_streams_next(&list, &w) == 1) {
		n++;
	}
	v = calloc(n == 0 ? 1 : n, sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	n = 0;
	while (msg_streams_next(&streams, &w) == 1) {
		if (w.durable > 0) {
			v[n++] = (struct held_stream){.id = w.id,
						      .position = w.durable,
						      .h = w.h_durable};
		}
	}
	qsort(v, n, sizeof *v, by_id);
	free(h->v);
	h->v = v;
	h->n = n;
	h->n_owed = 0;
	set_store(h, old);
	return 0;
}

void held_raise(struct held *h, struct msg_stream *w)
{
	struct held_stream *s = find(h, &w->id);

	if (s == NULL || w->received >= s->position) {
		return;
	}
	s->from = w->received;
	h->n_owed += !s->owed;
	s->owed = true;
	held_clamp(h, w);
}

bool held_clamp(const struct held *h, struct msg_stream *w)
{
	const struct held_stream *s = find(h, &w->id);

	if (s == NULL || w->received >= s->position) {
		return false;
	}
	w->received = w->durable = s->position;
	w->h_received = w->h_durable = s->h;
	return true;
}

int held_owed(const struct held *h, const struct stream_id *id, uint64_t next,
	      uint64_t *start)
{
	const struct held_stream *s = h->n_owed == 0 ? NULL : find(h, id);

	if (s == NULL || !s->owed || next <= s->from || next > s->position) {
		return 0;
	}
	*start = s->from;
	return 1;
}

void held_told(struct held *h, const struct stream_id *id)
{
	struct held_stream *s = find(h, id);

	if (s != NULL && s->owed) {
		s->owed = false;
		h->n_owed--;
	}
}

/* ---- saved ----
 * whether there was one (8 bit), its id, number of streams (varint), each: id, position
 * (varint), H (64 bit).  What is owed is found again at the next welcome. */

int held_save(const struct held *h, struct buf *out)
{
	int rc = buf_add_u8(out, h->any);

	if (rc == 0) {
		rc = buf_add(out, h->store, sizeof h->store);
	}
	if (rc == 0) {
		rc = buf_add_varint(out, h->n);
	}
	for (size_t i = 0; i < h->n && rc == 0; i++) {
		rc = buf_add(out, &h->v[i].id, sizeof h->v[i].id);
		if (rc == 0) {
			rc = buf_add_varint(out, h->v[i].position);
		}
		if (rc == 0) {
			rc = buf_add_u64(out, h->v[i].h);
		}
	}
	return rc;
}

int held_restore(struct held *h, struct reader *r)
{
	uint8_t store[HELD_STORE];
	bool any = reader_u8(r) != 0;
	size_t n;

	reader_copy(r, store, sizeof store);
	n = (size_t)reader_varint_max(r, LIMIT_HELLO_STREAMS);
	h->v = calloc(n == 0 ? 1 : n, sizeof *h->v);
	if (h->v == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		reader_copy(r, &h->v[i].id, sizeof h->v[i].id);
		h->v[i].position = reader_varint(r);
		h->v[i].h = reader_u64(r);
	}
	if (!reader_ok(r)) {
		held_fini(h);
		return 0;
	}
	h->n = n;
	qsort(h->v, n, sizeof *h->v, by_id);
	if (any) {
		set_store(h, store);
	}
	return 0;
}
