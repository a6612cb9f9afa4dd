#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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

/* ---- who is forgotten ----
 *
 * Whoever may make files in a folder can have as many streams as the table holds, and
 * what is forgotten of another folder would be read again.  So whenever there is no room,
 * the folder that has most gives way: first what is done, then what was seen longest ago.
 * Folders are counted by a salted hash; two that meet in one count are taken for one. */

enum { COUNTS = 4096 };

static uint16_t count_of(const struct tail *t, const struct known *k)
{
	uint64_t salt;
	const char *path = k->st.path != NULL ? k->st.path : "";

	memcpy(&salt, t->secret, sizeof salt);
	return (uint16_t)(XXH3_64bits_withSeed(path, (size_t)(names_base(path) - path),
					       salt) % COUNTS);
}

/* < 0: a is rather kept.  Of one folder. */
static int keep_first(const struct known *a, const struct known *b)
{
	if (known_done(a) != known_done(b)) {
		return known_done(a) ? 1 : -1;
	}
	return a->st.seen_ns > b->st.seen_ns   ? -1
	       : a->st.seen_ns < b->st.seen_ns ? 1
					       : 0;
}

/* The place of the one that gives way for k. */
static size_t victim_for(const struct tail *t, const struct known *k)
{
	uint16_t counts[COUNTS] = {0};
	size_t at = 0;

	counts[count_of(t, k)]++;
	for (size_t i = 0; i < t->n_known; i++) {
		t->known[i]->in_folder = count_of(t, t->known[i]);
		counts[t->known[i]->in_folder]++;
	}
	for (size_t i = 1; i < t->n_known; i++) {
		unsigned has = counts[t->known[i]->in_folder];
		unsigned most = counts[t->known[at]->in_folder];

		if (has > most ||
		    (has == most && keep_first(t->known[i], t->known[at]) > 0)) {
			at = i;
		}
	}
	return at;
}

static int by_folder(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;

	return x->in_folder != y->in_folder ? x->in_folder - y->in_folder
					    : keep_first(x, y);
}

static int by_rank(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;

	return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : keep_first(x, y);
}

void known_sort(struct tail *t)
{
	for (size_t i = 0; i < t->n_known; i++) {
		t->known[i]->in_folder = count_of(t, t->known[i]);
	}
	qsort(t->known, t->n_known, sizeof t->known[0], by_folder);
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];
		const struct known *before = i > 0 ? t->known[i - 1] : NULL;

		k->rank = before != NULL && before->in_folder == k->in_folder
				  ? before->rank + 1
				  : 0;
	}
	qsort(t->known, t->n_known, sizeof t->known[0], by_rank);
}

void known_put(struct tail *t, struct known *k)
{
	size_t at = t->n_known;

	if (at == t->max_known) {
		at = victim_for(t, k);
		unchain_ino(t, t->known[at]);
		unchain_id(t, t->known[at]);
		known_free(t->known[at]);
	} else {
		t->n_known++;
	}
	t->known[at] = k;
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
