#include "detectors/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS_FIRST = 64,
	LOOK_AT = 8,   /* slots weighed against each other in a full table */
	SWEEP_EACH = 2, /* slots that the hand looks at for each new group */
};

void windows_init(struct windows *w, uint32_t max_slots, uint32_t max_episodes)
{
	*w = (struct windows){.max_slots = SLOTS_FIRST,
			      .max_episodes = max_episodes};
	while (w->max_slots <= max_slots / 2) {
		w->max_slots *= 2;
	}
	w->heap_max = (size_t)w->max_slots * sizeof *w->groups;
}

static void free_stamps(struct windows *w, struct group *g)
{
	if (g->room > 0) {
		w->heap_bytes -= g->room * sizeof *g->stamps.out;
		free(g->stamps.out);
	}
}

void windows_fini(struct windows *w)
{
	for (uint32_t i = 0; i < w->slots; i++) {
		if (w->groups[i].hash != 0) {
			free_stamps(w, &w->groups[i]);
		}
	}
	for (uint32_t i = 0; i < w->room_episodes; i++) {
		free(w->episodes[i].values);
	}
	free(w->groups);
	free(w->episodes);
	free(w->heap);
	windows_init(w, w->max_slots, w->max_episodes);
}

/* ---- the table ---- */

static uint32_t home(const struct windows *w, uint64_t hash)
{
	return (uint32_t)hash & (w->slots - 1);
}

static inline struct group *find(const struct windows *w, uint64_t hash)
{
	uint32_t i;

	if (w->slots == 0) {
		return NULL;
	}
	for (i = home(w, hash); w->groups[i].hash != 0;
	     i = (i + 1) & (w->slots - 1)) {
		if (w->groups[i].hash == hash) {
			return &w->groups[i];
		}
	}
	return NULL;
}

struct group *windows_find(const struct windows *w, uint64_t hash)
{
	return find(w, hash);
}

/* Backward shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
static void drop_slot(struct windows *w, uint32_t i)
{
	uint32_t mask = w->slots - 1, j = i;

	free_stamps(w, &w->groups[i]);
	for (;;) {
		uint32_t from;

		j = (j + 1) & mask;
		if (w->groups[j].hash == 0) {
			break;
		}
		from = home(w, w->groups[j].hash);
		if (((j - from) & mask) >= ((j - i) & mask)) {
			w->groups[i] = w->groups[j];
			i = j;
		}
	}
	w->groups[i] = (struct group){.hash = 0};
	w->n--;
}

static bool over(const struct group *g, int64_t now_ms)
{
	return g->episode == 0 && g->until_ms < now_ms;
}

/* A few slots for each new group, so that what is over goes before the table
 * has to grow. */
static void sweep_some(struct windows *w, int64_t now_ms)
{
	for (unsigned i = 0; i < SWEEP_EACH; i++) {
		struct group *g;

		w->hand = (w->hand + 1) & (w->slots - 1);
		g = &w->groups[w->hand];
		if (g->hash != 0 && over(g, now_ms)) {
			drop_slot(w, w->hand);
		}
	}
}

void windows_sweep(struct windows *w, int64_t now_ms)
{
	uint32_t i = 0;

	/* What a deletion shifts into slot i is looked at again. */
	while (i < w->slots) {
		if (w->groups[i].hash != 0 && over(&w->groups[i], now_ms)) {
			drop_slot(w, i);
		} else {
			i++;
		}
	}
}

static struct group *place(struct windows *w, uint64_t hash)
{
	uint32_t i = home(w, hash);

	while (w->groups[i].hash != 0) {
		i = (i + 1) & (w->slots - 1);
	}
	w->groups[i].hash = hash;
	w->n++;
	return &w->groups[i];
}

static bool enlarge(struct windows *w)
{
	struct group *old = w->groups;
	uint32_t n = w->slots;

	if (n >= w->max_slots) {
		return false;
	}
	w->groups = calloc(n == 0 ? SLOTS_FIRST : (size_t)n * 2, sizeof *old);
	if (w->groups == NULL) {
		w->groups = old;
		return false;
	}
	w->slots = n == 0 ? SLOTS_FIRST : n * 2;
	w->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].hash != 0) {
			*place(w, old[i].hash) = old[i];
		}
	}
	free(old);
	return true;
}

/* Of the groups behind the new one's home: one that is over, else the one with
 * the fewest events, the longest ago. */
static bool evict(struct windows *w, uint64_t hash, int64_t now_ms)
{
	uint32_t mask = w->slots - 1, best = UINT32_MAX;

	for (uint32_t k = 0; k < LOOK_AT; k++) {
		uint32_t i = (home(w, hash) + k) & mask;
		const struct group *g = &w->groups[i];

		if (g->hash == 0 || g->episode != 0) {
			continue;
		}
		if (over(g, now_ms)) {
			best = i;
			break;
		}
		if (best == UINT32_MAX || g->n < w->groups[best].n ||
		    (g->n == w->groups[best].n &&
		     g->until_ms < w->groups[best].until_ms)) {
			best = i;
		}
	}
	if (best == UINT32_MAX) {
		return false;
	}
	w->evicted += !over(&w->groups[best], now_ms);
	drop_slot(w, best);
	return true;
}

struct group *windows_add(struct windows *w, uint64_t hash, int64_t now_ms)
{
	struct group *g = find(w, hash);

	if (g != NULL) {
		/* What is over is forgotten now, not when the hand comes by: where
		 * that stands depends on the key of the hashes. */
		if (over(g, now_ms)) {
			free_stamps(w, g);
			*g = (struct group){.hash = hash};
		}
		return g;
	}
	if (w->slots > 0) {
		sweep_some(w, now_ms);
	}
	if (w->n >= w->slots / 8 * 7 && !enlarge(w) &&
	    (w->slots == 0 || !evict(w, hash, now_ms))) {
		return NULL;
	}
	return place(w, hash);
}

/* ---- stamps ---- */

static bool more_room(struct windows *w, struct group *g, size_t want)
{
	size_t room = GROUP_INLINE * 2, had = g->room;
	int64_t *p;

	while (room < want) {
		room *= 2;
	}
	if (room > STAMPS_MAX ||
	    w->heap_bytes + (room - had) * sizeof *p > w->heap_max) {
		return false;
	}
	p = realloc(had > 0 ? g->stamps.out : NULL, room * sizeof *p);
	if (p == NULL) {
		return false;
	}
	if (had == 0) {
		memcpy(p, g->stamps.in, g->n * sizeof *p);
	}
	g->stamps.out = p;
	g->room = (uint16_t)room;
	w->heap_bytes += (room - had) * sizeof *p;
	return true;
}

size_t group_bound(struct group *g, int64_t bound)
{
	const int64_t *s = group_stamps(g);
	size_t i = g->n;

	/* New lines come at the end. */
	while (i > 0 && s[i - 1] >= bound) {
		i--;
	}
	return i;
}

void group_cut(struct windows *w, struct group *g, size_t from, size_t to)
{
	int64_t *s = group_stamps(g);

	if (from == to && g->n > 0) {
		return;
	}
	memmove(s + from, s + to, (g->n - to) * sizeof *s);
	g->n = (uint16_t)(g->n - (to - from));
	if (g->n == 0 && g->room > 0) {
		free_stamps(w, g);
		g->room = 0;
	}
}

size_t group_insert(struct windows *w, struct group *g, int64_t stamp,
		    size_t copies)
{
	size_t room = g->room > 0 ? g->room : GROUP_INLINE, at;
	int64_t *s;

	if (g->n + copies > room && !more_room(w, g, g->n + copies)) {
		size_t lost;

		copies = copies < room ? copies : room;
		lost = g->n + copies - room;
		s = group_stamps(g);
		memmove(s, s + lost, (g->n - lost) * sizeof *s);
		g->n = (uint16_t)(g->n - lost);
		w->evicted++;
	}
	s = group_stamps(g);
	at = group_bound(g, stamp + 1);
	memmove(s + at + copies, s + at, (g->n - at) * sizeof *s);
	for (size_t i = 0; i < copies; i++) {
		s[at + i] = stamp;
	}
	g->n = (uint16_t)(g->n + copies);
	return at + copies - 1;
}

/* ---- episodes: a slab, and a binary heap of them by deadline ---- */

static void heap_put(struct windows *w, uint32_t at, uint32_t e)
{
	w->heap[at] = e;
	w->episodes[e].heap = at;
}

static bool earlier(const struct windows *w, uint32_t a, uint32_t b)
{
	return w->episodes[w->heap[a]].deadline_ms <
	       w->episodes[w->heap[b]].deadline_ms;
}

static void heap_swap(struct windows *w, uint32_t a, uint32_t b)
{
	uint32_t e = w->heap[a];

	heap_put(w, a, w->heap[b]);
	heap_put(w, b, e);
}

static void heap_fix(struct windows *w, uint32_t at)
{
	while (at > 0 && earlier(w, at, (at - 1) / 2)) {
		heap_swap(w, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t kid = at * 2 + 1;

		if (kid + 1 < w->n_episodes && earlier(w, kid + 1, kid)) {
			kid++;
		}
		if (kid >= w->n_episodes || !earlier(w, kid, at)) {
			return;
		}
		heap_swap(w, at, kid);
		at = kid;
	}
}

static bool more_episodes(struct windows *w)
{
	uint32_t room = w->room_episodes == 0 ? 16 : w->room_episodes * 2;
	struct episode *e;
	uint32_t *h;

	room = room < w->max_episodes ? room : w->max_episodes;
	if (room <= w->room_episodes) {
		return false;
	}
	e = realloc(w->episodes, room * sizeof *e);
	if (e == NULL) {
		return false;
	}
	w->episodes = e;
	h = realloc(w->heap, room * sizeof *h);
	if (h == NULL) {
		return false;
	}
	w->heap = h;
	for (uint32_t i = w->room_episodes; i < room; i++) {
		w->episodes[i] = (struct episode){.next_free = w->free_episode};
		w->free_episode = i + 1;
	}
	w->room_episodes = room;
	return true;
}

static size_t texts_size(const struct slice *s, size_t n, size_t max)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		total += sizeof(uint16_t) + (s[i].n < max ? s[i].n : max);
	}
	return total;
}

static char *put_texts(char *p, const struct slice *s, size_t n, size_t max)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t len = (uint16_t)(s[i].n < max ? s[i].n : max);

		memcpy(p, &len, sizeof len);
		if (len > 0) {
			memcpy(p + sizeof len, s[i].p, len);
		}
		p += sizeof len + len;
	}
	return p;
}

struct episode *episode_add(struct windows *w, struct group *g,
			    const struct slice *values, size_t n_values,
			    const struct slice *lines, size_t n_lines)
{
	size_t bytes = texts_size(values, n_values, GROUP_VALUE_MAX);
	size_t more = texts_size(lines, n_lines, EPISODE_LINE_MAX);
	struct episode *e;
	uint32_t at;
	char *copy;

	assert(g->episode == 0 && n_values + n_lines <= EPISODE_TEXTS);
	if (w->text_bytes + bytes + more > EPISODE_BYTES) {
		n_lines = more = 0;
	}
	if (w->free_episode == 0 && !more_episodes(w)) {
		return NULL;
	}
	copy = malloc(bytes + more + 1);
	if (copy == NULL) {
		return NULL;
	}
	put_texts(put_texts(copy, values, n_values, GROUP_VALUE_MAX), lines,
		  n_lines, EPISODE_LINE_MAX);
	w->text_bytes += bytes + more;
	at = w->free_episode - 1;
	e = &w->episodes[at];
	w->free_episode = e->next_free;
	*e = (struct episode){.hash = g->hash, .values = copy,
			      .values_n = (uint32_t)(bytes + more),
			      .n_values = (uint8_t)n_values,
			      .deadline_ms = INT64_MAX};
	g->episode = at + 1;
	heap_put(w, w->n_episodes++, at);
	return e;
}

struct episode *episode_of(const struct windows *w, const struct group *g)
{
	return g->episode == 0 ? NULL : &w->episodes[g->episode - 1];
}

void episode_defer(struct windows *w, struct episode *e, int64_t deadline_ms)
{
	e->deadline_ms = deadline_ms;
	heap_fix(w, e->heap);
}

struct episode *episode_first(const struct windows *w)
{
	return w->n_episodes == 0 ? NULL : &w->episodes[w->heap[0]];
}

void episode_remove(struct windows *w, struct episode *e)
{
	struct group *g = windows_find(w, e->hash);
	uint32_t at = e->heap, last = --w->n_episodes;

	if (g != NULL) {
		g->episode = 0;
	}
	if (at != last) {
		heap_put(w, at, w->heap[last]);
		heap_fix(w, at);
	}
	w->text_bytes -= e->values_n;
	free(e->values);
	*e = (struct episode){.next_free = w->free_episode};
	w->free_episode = (uint32_t)(e - w->episodes) + 1;
}

size_t episode_texts(const struct episode *e,
		     struct slice out[static EPISODE_TEXTS])
{
	const char *p = e->values, *end = p + e->values_n;
	size_t n = 0;

	while (p < end && n < EPISODE_TEXTS) {
		uint16_t len;

		memcpy(&len, p, sizeof len);
		out[n++] = slice(p + sizeof len, len);
		p += sizeof len + len;
	}
	return n;
}
