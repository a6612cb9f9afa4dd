#include "detectors/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	GROUPS_LEAST = 64, /* that there may be */
	CHUNK = 1 << GROUP_CHUNK_LOG,
	CACHE_LINE = 64,
	LOOK_AT = 8,    /* groups weighed against each other when all are used */
	SWEEP_PART = 4, /* all are looked at when one in so many is new */
};

void windows_init(struct windows *w, uint32_t max_groups, uint32_t max_episodes)
{
	uint32_t power = GROUPS_LEAST;

	while (power <= max_groups / 2) {
		power *= 2;
	}
	*w = (struct windows){.max = power / 8 * 7, .max_episodes = max_episodes};
	w->index_mask = power - 1;
	w->heap_max = (size_t)power * sizeof(struct group);
}

static size_t room_of(const struct group *g)
{
	return g->room_log > 0 ? (size_t)1 << g->room_log : GROUP_INLINE;
}

static void free_stamps(struct windows *w, struct group *g)
{
	if (g->room_log > 0) {
		w->heap_bytes -= room_of(g) * sizeof *g->cells.out;
		free(g->cells.out);
	}
}

/* Gives back the chunks of groups that are not among the first `room`. */
static void free_chunks(struct windows *w, uint32_t room)
{
	while (w->room > room) {
		w->room -= CHUNK;
		free(w->chunks[w->room / CHUNK]);
	}
}

void windows_fini(struct windows *w)
{
	uint32_t max = w->max, max_episodes = w->max_episodes;

	for (uint32_t i = 0; i < w->n; i++) {
		free_stamps(w, windows_at(w, i));
	}
	for (uint32_t i = 0; i < w->room_episodes; i++) {
		free(w->episodes[i].values);
		free(w->episodes[i].learned);
	}
	free_chunks(w, 0);
	free(w->chunks);
	free(w->places);
	free(w->episodes);
	free(w->heap);
	windows_init(w, max / 7 * 8, max_episodes);
}

/* ---- the table ---- */

static void put_place(struct windows *w, uint32_t *p, uint64_t hash, uint32_t i)
{
	*p = windows_tag(w, hash) | (i + 1);
}

/* Backward shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
static void free_place(struct windows *w, uint32_t i)
{
	uint32_t j = i;

	for (;;) {
		j = (j + 1) & w->mask;
		if (w->places[j] == 0) {
			break;
		}
		if (((j - (uint32_t)windows_placed(w, w->places[j])->hash) & w->mask) >=
		    ((j - i) & w->mask)) {
			w->places[i] = w->places[j];
			i = j;
		}
	}
	w->places[i] = 0;
}

/* The last group takes the place of the one that goes. */
static void drop(struct windows *w, uint32_t i)
{
	struct group *g = windows_at(w, i), *last = windows_at(w, w->n - 1);

	free_stamps(w, g);
	free_place(w, (uint32_t)(windows_place(w, g->hash) - w->places));
	if (g != last) {
		put_place(w, windows_place(w, last->hash), last->hash, i);
		*g = *last;
	}
	w->n--;
}

void windows_sweep(struct windows *w, int64_t now_ms)
{
	uint32_t i = 0;

	/* What takes the place of a group is looked at in turn. */
	while (i < w->n) {
		if (group_over(windows_at(w, i), now_ms)) {
			drop(w, i);
		} else {
			i++;
		}
	}
	w->fresh = 0;
}

/* Twice as many places as groups, but for the few of which a chunk is more. */
static uint32_t places_for(const struct windows *w, uint32_t room)
{
	uint32_t places = GROUPS_LEAST * 2;

	room = room < w->max ? room : w->max;
	while (places < room * 2) {
		places *= 2;
	}
	return places;
}

static bool have_places(struct windows *w, uint32_t places)
{
	uint32_t *p;

	if (w->places != NULL && places == w->mask + 1) {
		return true;
	}
	p = calloc(places, sizeof *p);
	if (p == NULL) {
		return false;
	}
	free(w->places);
	w->places = p;
	w->mask = places - 1;
	for (uint32_t i = 0; i < w->n; i++) {
		uint64_t hash = windows_at(w, i)->hash;

		put_place(w, windows_place(w, hash), hash, i);
	}
	return true;
}

/* Room for one more group, or false: there may be no more. */
static bool enlarge(struct windows *w)
{
	struct group *chunk;

	if (w->n == w->max) {
		return false;
	}
	if (w->n < w->room) {
		return true;
	}
	if (w->chunks == NULL) {
		w->chunks = calloc((w->max + CHUNK - 1) / CHUNK, sizeof(struct group *));
	}
	if (w->chunks == NULL || !have_places(w, places_for(w, w->room + CHUNK))) {
		return false;
	}
	/* A group begins where a line of the cache does: one is read, not two. */
	chunk = aligned_alloc(CACHE_LINE, CHUNK * sizeof *chunk);
	if (chunk == NULL) {
		return false;
	}
	w->chunks[w->room / CHUNK] = chunk;
	w->room += CHUNK;
	return true;
}

void windows_fit(struct windows *w)
{
	free_chunks(w, (w->n + CHUNK - 1) / CHUNK * CHUNK);
	if (w->n == 0) {
		free(w->chunks);
		free(w->places);
		w->chunks = NULL;
		w->places = NULL;
		w->mask = 0;
	} else if (places_for(w, w->n) < (w->mask + 1) / 4) {
		have_places(w, places_for(w, w->n) * 2);
	}
}

/* Of a few groups where the new one's hash points: one that is over, else the one with
 * the fewest events, the longest ago. */
static bool evict(struct windows *w, uint64_t hash, int64_t now_ms)
{
	uint32_t best = UINT32_MAX, from = w->n == 0 ? 0 : (uint32_t)(hash >> 32) % w->n;

	for (uint32_t k = 0; k < LOOK_AT && k < w->n; k++) {
		uint32_t i = (from + k) % w->n;
		const struct group *g = windows_at(w, i), *other;

		if (g->episode != 0) {
			continue;
		}
		if (group_over(g, now_ms)) {
			best = i;
			break;
		}
		other = best == UINT32_MAX ? NULL : windows_at(w, best);
		if (other == NULL || g->n < other->n ||
		    (g->n == other->n && g->until_ms < other->until_ms)) {
			best = i;
		}
	}
	if (best == UINT32_MAX) {
		return false;
	}
	w->evicted += !group_over(windows_at(w, best), now_ms);
	drop(w, best);
	return true;
}

struct group *windows_add(struct windows *w, uint64_t hash, int64_t now_ms)
{
	struct group *g = windows_find(w, hash);

	if (g != NULL) {
		/* What is over is forgotten now, not when all are looked at: when
		 * that is, other groups decide. */
		if (group_over(g, now_ms)) {
			free_stamps(w, g);
			*g = (struct group){.hash = hash};
		}
		return g;
	}
	if ((w->n == w->room || w->n == w->max) && w->fresh >= w->n / SWEEP_PART) {
		windows_sweep(w, now_ms);
	}
	if (!enlarge(w) && !evict(w, hash, now_ms)) {
		return NULL;
	}
	g = windows_at(w, w->n++);
	*g = (struct group){.hash = hash};
	put_place(w, windows_place(w, hash), hash, w->n - 1);
	w->fresh++;
	return g;
}

/* ---- events of a group ---- */

static bool more_room(struct windows *w, struct group *g, size_t want)
{
	size_t had = g->room_log > 0 ? room_of(g) : 0, room;
	uint8_t log = 3;
	int64_t *p;

	while ((size_t)1 << log < want) {
		log++;
	}
	room = (size_t)1 << log;
	if (room > CELLS_MAX ||
	    w->heap_bytes + (room - had) * sizeof *p > w->heap_max) {
		return false;
	}
	p = realloc(had > 0 ? g->cells.out : NULL, room * sizeof *p);
	if (p == NULL) {
		return false;
	}
	if (had == 0) {
		memcpy(p, g->cells.in, sizeof g->cells.in);
	}
	g->cells.out = p;
	g->room_log = log;
	w->heap_bytes += (room - had) * sizeof *p;
	return true;
}

size_t group_search(struct group *g, int64_t bound)
{
	size_t lo = 0, hi = g->n - 1u;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (group_stamp(g, mid) < bound) {
			lo = mid;
		} else {
			hi = mid;
		}
	}
	return hi;
}

void group_cut(struct windows *w, struct group *g, size_t from, size_t to)
{
	size_t one = g->width * sizeof(int64_t);
	char *p = (char *)group_cells(g);

	if (from == to && g->n > 0) {
		return;
	}
	if (to < g->n) {
		memmove(p + from * one, p + to * one, (g->n - to) * one);
	}
	g->n = (uint16_t)(g->n - (to - from));
	if (g->n == 0 && g->room_log > 0) {
		free_stamps(w, g);
		g->room_log = 0;
	}
}

size_t group_insert(struct windows *w, struct group *g, int64_t stamp,
		    int64_t value, size_t copies)
{
	size_t width = g->width, room = room_of(g) >> (width - 1), at;
	int64_t *s = group_cells(g);

	/* Nearly always it is one, the newest. */
	if (copies == 1 && g->n < room &&
	    (g->n == 0 || s[(g->n - 1u) * width] <= stamp)) {
		s[g->n * width] = stamp;
		if (width == 2) {
			s[g->n * 2u + 1] = value;
		}
		return g->n++;
	}
	if (g->n + copies > room && !more_room(w, g, (g->n + copies) * width)) {
		copies = copies < room ? copies : room;
		s = group_cells(g);
		at = g->n + copies - room;
		memmove(s, s + at * width, (g->n - at) * width * sizeof *s);
		g->n = (uint16_t)(g->n - at);
		w->evicted++;
	}
	at = group_bound(g, stamp + 1);
	s = group_cells(g) + at * width;
	if (at < g->n) {
		memmove(s + copies * width, s, (g->n - at) * width * sizeof *s);
	}
	for (size_t i = 0; i < copies; i++, s += width) {
		s[0] = stamp;
		if (width == 2) {
			s[1] = value;
		}
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

	assert(n_values + n_lines <= EPISODE_TEXTS);
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
			      .older = g->episode,
			      .deadline_ms = INT64_MAX};
	g->episode = at + 1;
	heap_put(w, w->n_episodes++, at);
	return e;
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
	uint32_t self = (uint32_t)(e - w->episodes) + 1;
	uint32_t *p = g == NULL ? NULL : &g->episode;

	while (p != NULL && *p != 0 && *p != self) {
		p = &w->episodes[*p - 1].older;
	}
	if (p != NULL && *p == self) {
		*p = e->older;
	}
	if (at != last) {
		heap_put(w, at, w->heap[last]);
		heap_fix(w, at);
	}
	w->text_bytes -= e->values_n;
	free(e->values);
	w->n_learned -= e->learned != NULL;
	free(e->learned);
	*e = (struct episode){.next_free = w->free_episode};
	w->free_episode = self;
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
