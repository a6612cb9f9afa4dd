/* distinct: how many different things there were, in bounded memory.
 *
 * The smallest hashes that were seen are kept.  As long as all fit, their number is the answer
 * (but for collisions of 32 bits); after that their density tells it: with a standard error of
 * 1 / sqrt(max - 2), 13 % for 64.
 *
 * Source: Z. Bar-Yossef et al., "Counting Distinct Elements in a Data Stream", 2002; K. Beyer
 * et al., "On Synopses for Distinct-Value Estimation Under Multiset Operations", 2007.  Pure.
 */
#ifndef CLI_DISTINCT_H
#define CLI_DISTINCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct distinct {
	uint32_t *v;  /* kept; room for max, ascending */
	uint32_t *n;
	uint32_t max; /* > 2 */
};

static inline void distinct_add(const struct distinct *d, uint32_t hash)
{
	size_t lo = 0, hi = *d->n, n = *d->n;

	if (n == d->max && hash >= d->v[n - 1]) {
		return;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->v[mid] < hash) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	if (lo < n && d->v[lo] == hash) {
		return;
	}
	n -= n == d->max; /* the largest goes */
	memmove(d->v + lo + 1, d->v + lo, (n - lo) * sizeof *d->v);
	d->v[lo] = hash;
	*d->n = (uint32_t)n + 1;
}

/* *exact: it is no estimate. */
static inline uint64_t distinct_count(const struct distinct *d, bool *exact)
{
	*exact = *d->n < d->max;
	return *exact ? *d->n
		      : ((uint64_t)(d->max - 1) << 32) / ((uint64_t)d->v[d->max - 1] + 1);
}

#endif
