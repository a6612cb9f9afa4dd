/* order: events that wait until no earlier one can come any more, and are then
 * counted in the order of their times.
 *
 * For correlations whose condition more events may make false again: an average, an
 * upper bound.  There is room for ORDER_MAX events with ORDER_BYTES of group values; when
 * it is full, the oldest has its turn too early, and that is counted as evicted.  Not
 * thread-safe.
 */
#ifndef DETECTORS_ORDER_H
#define DETECTORS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum { ORDER_MAX = 16384, ORDER_BYTES = 1024 * 1024 };

struct ask;
struct detect;
struct listener;

struct waiting {
	int64_t t_ms;
	uint64_t seq; /* of equals, those that came first go first */
	const struct listener *listener;
	uint64_t hash, weight;
	int64_t value;
	uint64_t line_at; /* in the ring */
	char *texts;      /* the group's values, each with a length in front */
	uint32_t texts_n;
	bool late; /* it came when its turn was over */
	/* Of a rule with first_seen: it counts only if it is news when its turn comes
	 * (fresh_stands()); 0: it counts. */
	uint64_t fresh_value, fresh_line;
};

struct order {
	struct waiting *v; /* a binary heap */
	uint32_t n, room;
	size_t bytes;
	uint64_t seq;
};

void order_fini(struct order *o);
/* The event at d->t_ms. */
void order_add(struct detect *d, const struct ask *a, uint64_t weight, int64_t value);
/* Puts it in; texts then belongs to the order.  false: no memory, and nothing was
 * taken. */
bool order_put(struct order *o, const struct waiting *w);
/* Whether these may be the texts of a struct waiting. */
bool order_texts(struct slice texts);
/* Counts all that are older than until_ms. */
void order_release(struct detect *d, int64_t until_ms);

#endif
