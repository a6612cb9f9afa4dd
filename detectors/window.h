/* window: the exact table of groups that are being counted, and the episodes
 * that came of them.
 *
 * A group is one combination of group-by values of one correlation, known by a
 * keyed hash of 64 bits (two groups in a table of 65,536 share one with a chance
 * of one in ten thousand million).  It keeps the times of its last events, as
 * many as its window can need.  An episode is what an alert tells about: it
 * begins when a group fulfils its condition and ends when the group is silent
 * for a timespan.
 *
 * Memory    64 bytes a group, in chunks without holes, so that to have more of them
 *           copies none, up to max groups; at most 16 more for the places in which
 *           they are looked up, at most half of them
 *           used, so that what is new costs hardly more than what is known; longer
 *           lists of times live on the heap, together at most as large as all
 *           groups.  Groups that are over go before there have to be more.  When there
 *           are as many as may be, of a few that the new one's
 *           hash points at the group goes that is over, or else the one with the
 *           least progress; that is counted.
 * Not thread-safe.
 */
#ifndef DETECTORS_WINDOW_H
#define DETECTORS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

struct rule;
struct baseline;

enum {
	GROUP_INLINE = 4,    /* cells inside the group */
	GROUP_CHUNK_LOG = 7, /* 128 groups are allocated at a time: 8 KiB */
	CELLS_MAX = 8192,    /* in one group */
	STAGE_BITS = 4,      /* a stamp is time_ms << 4 | stage << 1 | done */
	GROUP_VALUE_MAX = 256, /* bytes of a group value kept by an episode ... */
	EPISODE_LINE_MAX = 512, /* ... and of a line */
	EPISODE_TEXTS = 16,     /* values and lines of one episode */
	EPISODE_BYTES = 2 * 1024 * 1024, /* of all; beyond: values only */
};

struct group {
	uint64_t hash;     /* never 0 */
	int64_t until_ms;  /* when the watermark is here, it is over */
	/* Events, ascending: a cell is a stamp, or of a group of width 2 a stamp
	 * and a value. */
	union {
		int64_t in[GROUP_INLINE];
		int64_t *out;
	} cells;
	uint64_t evidence; /* chain in the ring */
	uint16_t n;        /* events */
	uint8_t room_log;  /* 2^room_log cells in cells.out; 0: they are in here */
	uint8_t width;     /* cells of an event: 1 or 2 */
	uint32_t episode;  /* index + 1 of the newest that is open, or 0 */
};
_Static_assert(sizeof(struct group) == 64, "one cache line");

struct episode {
	const struct rule *rule; /* NULL: free */
	uint64_t hash;           /* of its group */
	int64_t since_ms;        /* first_ms when it was new: its identity */
	int64_t first_ms, last_ms;
	int64_t boundary_ms;     /* the event that made the condition true */
	uint64_t base;           /* events still kept from first to boundary */
	uint64_t after;          /* all others that it counts */
	uint64_t told;           /* the count that was last told */
	int64_t told_first_ms;   /* the first_ms that was last told */
	int64_t touched_ms;      /* silence counts from the watermark at its last
				  * event, plus the timespan */
	int64_t deadline_ms;     /* in the heap: it may be later, not earlier */
	uint32_t heap;           /* where in the heap */
	uint32_t next_free;
	uint32_t older;          /* of the same group: index + 1, or 0 */
	bool frozen; /* no line can come any more that would move its beginning */
	char *values;            /* group values, then evidence lines, each with
				  * a length in front */
	struct baseline *learned; /* of a rule that learns (baseline.h): owned */
	uint32_t values_n;       /* bytes */
	uint8_t n_values;
};

struct windows {
	struct group **chunks; /* room for all there may be; room >> GROUP_CHUNK_LOG of them */
	/* Where a group is looked up: open addressing by the low bits of its hash.  A place
	 * is its index + 1 below index_bits, and above them bits of its hash; 0: free. */
	uint32_t *places;
	uint32_t n, room, max;
	uint32_t mask;  /* one less than the places, a power of two */
	uint32_t index_mask; /* of a place */
	uint32_t fresh; /* groups made since all were looked at for being over */
	size_t heap_bytes, heap_max;
	size_t text_bytes; /* of all episodes */
	struct episode *episodes;
	uint32_t *heap; /* episodes by deadline */
	uint32_t n_episodes, room_episodes, max_episodes, free_episode;
	uint32_t n_learned; /* episodes that have learned something */
	uint64_t evicted;
};

/* max_groups: as a power of two (rounded down, at least 64), of which seven in eight
 * are used. */
void windows_init(struct windows *w, uint32_t max_groups, uint32_t max_episodes);
void windows_fini(struct windows *w);

/* Group i, of n. */
static inline struct group *windows_at(const struct windows *w, uint32_t i)
{
	return &w->chunks[i >> GROUP_CHUNK_LOG][i & ((1u << GROUP_CHUNK_LOG) - 1)];
}
/* The group of a place that is not free. */
static inline struct group *windows_placed(const struct windows *w, uint32_t place)
{
	return windows_at(w, (place & w->index_mask) - 1);
}
/* What a place says of a group beside where it is. */
static inline uint32_t windows_tag(const struct windows *w, uint64_t hash)
{
	return (uint32_t)(hash >> 32) & ~w->index_mask;
}
/* The place of the group with this hash, or the free one where it would be; there are
 * places. */
static inline uint32_t *windows_place(const struct windows *w, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & w->mask, tag = windows_tag(w, hash);

	while (w->places[i] != 0 && ((w->places[i] & ~w->index_mask) != tag ||
				     windows_placed(w, w->places[i])->hash != hash)) {
		i = (i + 1) & w->mask;
	}
	return &w->places[i];
}
/* The group, or NULL.  Pointers to groups hold until the next windows_add(). */
static inline struct group *windows_find(const struct windows *w, uint64_t hash)
{
	uint32_t p = w->n == 0 ? 0 : *windows_place(w, hash);

	return p == 0 ? NULL : windows_placed(w, p);
}
/* Nothing that is still to come can count in it. */
static inline bool group_over(const struct group *g, int64_t now_ms)
{
	return g->episode == 0 && g->until_ms < now_ms;
}
/* Have the memory fetched in which the group is looked up, and then, when that is
 * there, the group itself, and then its newest stamp. */
static inline void windows_prefetch(const struct windows *w, uint64_t hash)
{
	if (w->n > 0) {
		__builtin_prefetch(&w->places[(uint32_t)hash & w->mask]);
	}
}
/* The group that stands where this one would be, nearly always itself, or NULL. */
static inline struct group *windows_near(const struct windows *w, uint64_t hash)
{
	uint32_t p = w->n > 0 ? w->places[(uint32_t)hash & w->mask] : 0;

	return p == 0 ? NULL : windows_placed(w, p);
}
static inline void windows_prefetch_group(const struct windows *w, uint64_t hash)
{
	const struct group *g = windows_near(w, hash);

	if (g != NULL) {
		__builtin_prefetch(g, 1);
	}
}
static inline void windows_prefetch_stamps(const struct windows *w, uint64_t hash)
{
	const struct group *g = windows_near(w, hash);

	if (g != NULL && g->room_log > 0 && g->n > 0) {
		__builtin_prefetch(&g->cells.out[g->n * g->width - 1], 1);
	}
}
/* The group, made when it is new.  now_ms: the watermark.  NULL: no memory. */
struct group *windows_add(struct windows *w, uint64_t hash, int64_t now_ms);
/* The same without a call when it is there. */
static inline struct group *windows_get(struct windows *w, uint64_t hash, int64_t now_ms)
{
	struct group *g = windows_find(w, hash);

	return g != NULL && !group_over(g, now_ms) ? g : windows_add(w, hash, now_ms);
}
/* Forgets groups that are over, all of them. */
void windows_sweep(struct windows *w, int64_t now_ms);
/* Gives back the memory of groups that is not used.  No pointer to a group holds. */
void windows_fit(struct windows *w);

static inline int64_t *group_cells(struct group *g)
{
	return g->room_log > 0 ? g->cells.out : g->cells.in;
}
static inline int64_t group_stamp(struct group *g, size_t i)
{
	return group_cells(g)[i * g->width];
}
static inline int64_t group_value(struct group *g, size_t i)
{
	return group_cells(g)[i * g->width + 1];
}
/* Puts `copies` of an event at their place, behind its equals; when there is no
 * room, the oldest go (and count as evicted).  Returns the index of the last copy. */
size_t group_insert(struct windows *w, struct group *g, int64_t stamp,
		    int64_t value, size_t copies);
/* Whether one more event would need more memory. */
static inline bool group_full(const struct group *g)
{
	return g->n * g->width >= (g->room_log > 0 ? 1u << g->room_log : GROUP_INLINE);
}
/* Drops events [from, to). */
void group_cut(struct windows *w, struct group *g, size_t from, size_t to);
/* As group_bound(), of a group whose first event is before the bound and whose last
 * is not. */
size_t group_search(struct group *g, int64_t bound);
/* Index of the first event whose stamp is >= bound. */
static inline size_t group_bound(struct group *g, int64_t bound)
{
	/* Nearly always all events are on one side. */
	if (g->n == 0 || group_stamp(g, 0) >= bound) {
		return 0;
	}
	return group_stamp(g, g->n - 1u) < bound ? g->n : group_search(g, bound);
}

/* A new episode of the group in the heap, with a copy of the values and of the
 * lines (at most EPISODE_TEXTS in all); NULL when there are as many as may be, or
 * no memory. */
struct episode *episode_add(struct windows *w, struct group *g,
			    const struct slice *values, size_t n_values,
			    const struct slice *lines, size_t n_lines);
/* The group's newest to be made, and the one made before; NULL: none. */
static inline struct episode *episode_of(const struct windows *w, const struct group *g)
{
	return g->episode == 0 ? NULL : &w->episodes[g->episode - 1];
}
static inline struct episode *episode_older(const struct windows *w,
					    const struct episode *e)
{
	return e->older == 0 ? NULL : &w->episodes[e->older - 1];
}
/* Sets the deadline to what it really is. */
void episode_defer(struct windows *w, struct episode *e, int64_t deadline_ms);
/* The one with the earliest deadline, or NULL. */
struct episode *episode_first(const struct windows *w);
/* Out of the heap and its group. */
void episode_remove(struct windows *w, struct episode *e);
/* Reads values (e->n_values of them) and lines back; returns how many in all. */
size_t episode_texts(const struct episode *e,
		     struct slice out[static EPISODE_TEXTS]);

#endif
