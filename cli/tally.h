/* tally: who or what came how often, in a table of bounded size.
 *
 * Each row is a struct of the caller's that begins with a struct tally_row.  Counts are exact
 * until the table is full.  Then half of it, the rows that failed least often (of those the
 * ones that were silent longest), is given up: a row that comes again begins at 0, so that
 * counts can only be too low, by `error` at most; whoever failed more often than that in all
 * has a row.  Rows to be kept go last.
 *
 * Source: J. Misra, D. Gries, "Finding repeated elements", 1982, in the variant that
 * prunes (G. Manku, R. Motwani, "Approximate Frequency Counts over Data Streams", 2002).
 * Pure; one thread.
 */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_row {
	uint64_t hash;  /* its identity */
	uint64_t failed, succeeded;
	int64_t first_ns, last_ns; /* TIME_NONE until a time is known */
	bool keep;
};

struct tally {
	char *rows;        /* n of them, `size` bytes each */
	size_t n, max, size;
	uint64_t *slots;   /* half of a hash, and row + 1; 0: free */
	size_t n_slots;
	uint64_t error;    /* so much too low counts may be */
	uint64_t given_up; /* rows */
};

/* max: a power of two.  UV_ENOMEM. */
int tally_init(struct tally *t, size_t max, size_t row_size);
/* After a failed tally_init() as well. */
void tally_fini(struct tally *t);

/* The row of this hash; one that is new is zeroed but for its hash and times, and *is_new is
 * true.  Valid until the next call. */
void *tally_row(struct tally *t, uint64_t hash, bool *is_new);

static inline void *tally_at(const struct tally *t, size_t i)
{
	return t->rows + i * t->size;
}

/* Counts and times of one row. */
void tally_count(struct tally_row *row, uint64_t failed, uint64_t succeeded, int64_t ns);

/* The rows that failed most often, in order, `max` at most into out; returns how many.  Rows
 * without a failure are left out.  UV_ENOMEM. */
int tally_top(const struct tally *t, size_t max, void **out);
/* The same for those to be kept, by the same order. */
int tally_kept(const struct tally *t, size_t max, void **out);

#endif
