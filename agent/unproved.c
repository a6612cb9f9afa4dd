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

bool unproved_has(const struct unproved *u, const struct stream_id *id)
{
	for (size_t i = 0; i < u->n; i++) {
		if (stream_id_eq(&u->v[i].id, id)) {
			return true;
		}
	}
	return false;
}

void unproved_answer(struct unproved *u, const struct stream_id *id, uint64_t position,
		     int answer)
{
	for (size_t i = 0; i < u->n; i++) {
		struct unproved_stream *s = &u->v[i];

		if (!s->asked || s->position != position || !stream_id_eq(&s->id, id)) {
			continue;
		}
		s->asked = false;
		s->wrong = answer == 0;
		s->refused |= answer < 0;
		if (answer == 1) {
			*s = u->v[--u->n];
		}
		return;
	}
}

int unproved_next(struct unproved *u, struct tail *t, bool patient,
		  struct stream_id *wrong)
{
	for (size_t i = 0; i < u->n;) {
		struct unproved_stream *s = &u->v[i];
		int rc = s->asked || s->wrong ? 0
			 : s->refused && !patient
				 ? UV_ENOENT
				 : tail_verify(t, &s->id, s->position, s->h);

		if (s->wrong) {
			*wrong = s->id;
			*s = u->v[--u->n];
			return 1;
		}
		s->asked = rc == 0;
		s->refused |= rc == UV_ENOENT || rc == ERR_AGAIN;
		if (s->refused && !s->asked && !patient) {
			/* Nothing is there to compare. */
			*s = u->v[--u->n];
		} else {
			i++;
		}
	}
	return 0;
}
