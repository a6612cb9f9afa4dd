#include <stdlib.h>
#include <string.h>

#include "sources/tail_impl.h"

static size_t id_chain(const struct stream_id *id)
{
	uint64_t h;

	memcpy(&h, id->b, sizeof h); /* Random bytes. */
	return h % TAIL_INDEX;
}

struct known *known_find(const struct tail *t, const struct stream_id *id)
{
	struct known *k = t->known_by_id[id_chain(id)];

	while (k != NULL && !stream_id_eq(&k->st.id, id)) {
		k = k->next_by_id;
	}
	return k;
}

struct known *known_by_inode(const struct tail *t, uint64_t dev, uint64_t ino)
{
	struct known *k = t->known_by_ino[tail_ino_chain(dev, ino)];

	while (k != NULL && (k->st.ino != ino || k->st.dev != dev || ino == 0)) {
		k = k->next_by_ino;
	}
	return k;
}

static void chain_ino(struct tail *t, struct known *k)
{
	struct known **at = &t->known_by_ino[tail_ino_chain(k->st.dev,
							    k->st.ino)];

	k->next_by_ino = *at;
	*at = k;
}

static void unchain_ino(struct tail *t, struct known *k)
{
	struct known **at = &t->known_by_ino[tail_ino_chain(k->st.dev,
							    k->st.ino)];

	while (*at != k) {
		at = &(*at)->next_by_ino;
	}
	*at = k->next_by_ino;
}

static void unchain_id(struct tail *t, struct known *k)
{
	struct known **at = &t->known_by_id[id_chain(&k->st.id)];

	while (*at != k) {
		at = &(*at)->next_by_id;
	}
	*at = k->next_by_id;
}

void known_place(struct tail *t, struct known *k, uint64_t dev, uint64_t ino)
{
	unchain_ino(t, k);
	k->st.dev = dev;
	k->st.ino = ino;
	chain_ino(t, k);
}

void known_put(struct tail *t, struct known *k)
{
	forget_class(t, k);
	forget_for(t, k);
	t->known[t->n_known++] = k;
	chain_ino(t, k);
	k->next_by_id = t->known_by_id[id_chain(&k->st.id)];
	t->known_by_id[id_chain(&k->st.id)] = k;
}

void known_take(struct tail *t, struct known *k)
{
	for (size_t i = 0; i < t->n_known; i++) {
		if (t->known[i] == k) {
			t->known[i] = t->known[--t->n_known];
			unchain_ino(t, k);
			unchain_id(t, k);
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
	st->top = st->first = (struct stream_rung){0, 0};
	st->n_rungs = 0;
	st->finished = false;
	st->away_ns = 0;
	st->gap_told = true; /* Nothing is missing: its file comes as another stream. */
	k->live = false;
	k->cut = false;
	k->n_marks = 0;
	k->searches = 0;
	k->wait_polls = 0;
}
