#include "agent/unproved.h"

#include <stdlib.h>

#include "common/err.h"

void unproved_fini(struct unproved *u)
{
	free(u->v);
	*u = (struct unproved){0};
}

int unproved_add(struct unproved *u, const struct msg_stream *w)
{
	if (u->n == u->room) {
		size_t room = u->room == 0 ? 16 : 2 * u->room;
		struct unproved_stream *v = realloc(u->v, room * sizeof *v);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		u->v = v;
		u->room = room;
	}
	u->v[u->n++] = (struct unproved_stream){
		.id = w->id, .position = w->received, .h = w->h_received};
	return 0;
}

void unproved_answer(struct unproved *u, const struct stream_id *id, uint64_t position,
		     int answer)
{
	for (size_t i = 0; i < u->n; i++) {
		struct unproved_stream *s = &u->v[i];

		if (!s->asked || s->position != position || !stream_id_eq(&s->id, id)) {
			continue;
		}
		s->wrong = answer == 0;
		if (!s->wrong) {
			/* Equal; or it can't be read any more, and the tail ends the
			 * stream itself. */
			*s = u->v[--u->n];
		}
		return;
	}
}

int unproved_next(struct unproved *u, struct tail *t, struct stream_id *wrong)
{
	for (size_t i = 0; i < u->n;) {
		struct unproved_stream *s = &u->v[i];
		int rc = s->asked ? 0
				  : tail_verify(t, &s->id, s->position, s->h);

		s->asked = rc == 0;
		if (s->wrong || rc == UV_EOF) {
			*wrong = s->id;
			*s = u->v[--u->n];
			return 1;
		}
		if (rc == UV_ENOENT) {
			*s = u->v[--u->n]; /* Not open: nothing of it is being read. */
		} else {
			i++;
		}
	}
	return 0;
}
