/* measure: what a correlation's condition looks at: how many events a window
 * holds, how many different values, their sum, average or percentile.
 *
 * A window is filled at its end and emptied at its beginning.  Values that are
 * numbers are thousandths, at most MEASURE_MOST of them, never negative, so that
 * no sum overflows and none depends on the order of adding.  Not thread-safe.
 */
#ifndef DETECTORS_MEASURE_H
#define DETECTORS_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

struct rule;

#define MEASURE_MOST INT64_C(1000000000000000)

struct measure {
	uint64_t n;
	int64_t sum;
	uint64_t distinct;
	/* Open addressing by value; what is of an older round is free. */
	struct measure_slot {
		int64_t value;
		uint32_t count, round;
	} *slots;
	uint32_t round;
	int64_t *sorted; /* percentile: room for a window */
};

void measure_fini(struct measure *m);
/* Begins an empty window for the rule.  false: no memory. */
bool measure_begin(struct measure *m, const struct rule *r);
void measure_add(struct measure *m, const struct rule *r, int64_t value, size_t n);
void measure_remove(struct measure *m, const struct rule *r, int64_t value, size_t n);
/* Whether a window holds that ends with an event of this value.  events: those of the
 * window, as cells of a group (window.h). */
bool measure_holds(struct measure *m, const struct rule *r, int64_t value,
		   const int64_t *events);

/* "12", "0.25": in thousandths, what is smaller cut off.  false: no number, or
 * negative. */
bool measure_number(struct slice s, int64_t *out);

#endif
