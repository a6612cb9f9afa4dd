#include "agent/raised.h"

#include <stdlib.h>

#include "common/err.h"

void raised_fini(struct raised *r)
{
	free(r->v);
	*r = (struct raised){0};
}

static struct raised_stream *find(const struct raised *r,
				  const struct stream_id *id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (stream_id_eq(&r->v[i].id, id)) {
			return &r->v[i];
		}
	}
	return NULL;
}

static int make_room(struct raised *r)
{
	size_t room = r->room == 0 ? 16 : r->room * 2;
	struct raised_stream *v;

	if (r->n < r->room) {
		return 0;
	}
	v = realloc(r->v, room * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	r->v = v;
	r->room = room;
	return 0;
}

int raised_add(struct raised *r, const struct msg_stream *end,
	       const struct stream_state *states, size_t n)
{
	struct raised_stream *s = find(r, &end->id);
	int rc = s != NULL ? 0 : make_room(r);

	if (rc != 0) {
		return rc;
	}
	if (s == NULL) {
		s = &r->v[r->n++];
		*s = (struct raised_stream){.id = end->id};
		for (size_t i = 0; i < n; i++) {
			if (stream_id_eq(&states[i].id, &end->id)) {
				s->acked = states[i].acked;
				s->h = states[i].h;
			}
		}
	}
	s->end = end->durable > s->end ? end->durable : s->end;
	return 0;
}

void raised_said(struct raised *r, const struct msg_stream *w)
{
	struct raised_stream *s = find(r, &w->id);

	if (s == NULL) {
		return;
	}
	s->acked = w->durable;
	s->h = w->h_durable;
	if (s->acked >= s->end) {
		*s = r->v[--r->n];
	}
}

void raised_lower(const struct raised *r, struct stream_state *states, size_t n)
{
	for (size_t i = 0; i < n && r->n > 0; i++) {
		const struct raised_stream *s = find(r, &states[i].id);

		if (s != NULL && s->acked < states[i].acked) {
			/* A fork goes no lower than its start: there it stays. */
			stream_state_lower(&states[i], s->acked, &s->h);
		}
	}
}
