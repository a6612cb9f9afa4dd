#include <stdlib.h>

#include "sources/tail_impl.h"

struct known *known_find(const struct tail *t, const struct stream_id *id)
{
	for (size_t i = 0; i < t->n_known; i++) {
		if (stream_id_eq(&t->known[i]->st.id, id)) {
			return t->known[i];
		}
	}
	return NULL;
}

struct known *known_by_inode(const struct tail *t, uint64_t dev, uint64_t ino)
{
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (k->st.ino == ino && k->st.dev == dev && ino != 0) {
			return k;
		}
	}
	return NULL;
}

static bool rather_forget(const struct known *a, const struct known *b)
{
	bool a_done = known_done(a), b_done = known_done(b);

	return a_done != b_done ? a_done : a->st.seen_ns < b->st.seen_ns;
}

void known_put(struct tail *t, struct known *k)
{
	size_t at = t->n_known;

	if (at == STREAM_TABLE_MAX) {
		at = 0;
		for (size_t i = 1; i < t->n_known; i++) {
			if (rather_forget(t->known[i], t->known[at])) {
				at = i;
			}
		}
		known_free(t->known[at]);
	} else {
		t->n_known++;
	}
	t->known[at] = k;
}

void known_take(struct tail *t, struct known *k)
{
	for (size_t i = 0; i < t->n_known; i++) {
		if (t->known[i] == k) {
			t->known[i] = t->known[--t->n_known];
			return;
		}
	}
}

void known_free(struct known *k)
{
	if (k != NULL) {
		stream_state_fini(&k->st);
		free(k);
	}
}

void known_blank_out(struct known *k)
{
	struct stream_state *st = &k->st;

	st->start = st->acked = st->detect = st->position = 0;
	st->h = 0;
	st->top = (struct stream_rung){0, 0};
	st->n_rungs = 0;
	st->finished = false;
	st->gap_told = true; /* Nothing is missing: its file comes as another stream. */
	k->live = false;
	k->cut = false;
	k->n_marks = 0;
	k->searches = 0;
	k->wait_polls = 0;
}
