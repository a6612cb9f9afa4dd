#include "cli/tally.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/record.h"

int tally_init(struct tally *t, size_t max, size_t row_size)
{
	*t = (struct tally){.max = max, .size = row_size, .n_slots = 4 * max};
	/* Pages that are never written cost nothing. */
	t->rows = calloc(max, row_size);
	t->slots = calloc(t->n_slots, sizeof *t->slots);
	return t->rows == NULL || t->slots == NULL ? UV_ENOMEM : 0;
}

void tally_fini(struct tally *t)
{
	free(t->rows);
	free(t->slots);
	*t = (struct tally){.rows = NULL};
}

/* Rows are large and far from one another: half of the hash is compared before one is looked
 * at, the other half says where to begin. */
static const uint64_t tag_mask = ~UINT64_C(0) << 32;

static struct tally_row *row_in(const struct tally *t, uint64_t slot)
{
	return tally_at(t, (uint32_t)slot - 1);
}

/* Where the hash stands, or would. */
static uint64_t *slot_of(const struct tally *t, uint64_t hash)
{
	size_t at = hash & (t->n_slots - 1);

	while (t->slots[at] != 0 && (((t->slots[at] ^ hash) & tag_mask) != 0 ||
				     row_in(t, t->slots[at])->hash != hash)) {
		at = (at + 1) & (t->n_slots - 1);
	}
	return &t->slots[at];
}

static void set_slot(uint64_t *slot, uint64_t hash, size_t row)
{
	*slot = (hash & tag_mask) | (row + 1);
}

struct rank {
	uint64_t weight; /* how often it failed; the highest bit: to be kept */
	int64_t last_ns;
	size_t at;
};

static int by_weight(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->weight != y->weight) {
		return x->weight < y->weight ? -1 : 1;
	}
	if (x->last_ns != y->last_ns) {
		return x->last_ns < y->last_ns ? -1 : 1;
	}
	return x->at < y->at ? -1 : x->at > y->at;
}

/* The half that is given up has no hash any more; returns the greatest count in it. */
static uint64_t choose(struct tally *t, size_t half)
{
	struct rank *ranks = calloc(t->n, sizeof *ranks);
	uint64_t most = 0;

	for (size_t i = 0; ranks != NULL && i < t->n; i++) {
		const struct tally_row *row = tally_at(t, i);

		ranks[i] = (struct rank){row->failed | (uint64_t)row->keep << 63, row->last_ns, i};
	}
	if (ranks != NULL) {
		qsort(ranks, t->n, sizeof *ranks, by_weight);
	}
	for (size_t i = 0; i < half; i++) {
		/* Without memory to choose in, any half goes. */
		struct tally_row *row = tally_at(t, ranks != NULL ? ranks[i].at : i);

		most = row->failed > most ? row->failed : most;
		row->hash = 0;
	}
	free(ranks);
	return most;
}

/* The last rows fill the places of those that were given up. */
static void close_ranks(struct tally *t)
{
	size_t i = 0;

	while (i < t->n) {
		const struct tally_row *row = tally_at(t, i), *last = tally_at(t, t->n - 1);

		if (row->hash != 0) {
			i++;
		} else if (last->hash == 0 || i == t->n - 1) {
			t->n--;
		} else {
			memcpy(tally_at(t, i), last, t->size);
			t->n--;
		}
	}
}

static void prune(struct tally *t)
{
	size_t half = t->n / 2;

	t->error += choose(t, half);
	t->given_up += half;
	close_ranks(t);
	memset(t->slots, 0, t->n_slots * sizeof *t->slots);
	for (size_t i = 0; i < t->n; i++) {
		const struct tally_row *row = tally_at(t, i);

		set_slot(slot_of(t, row->hash), row->hash, i);
	}
}

void *tally_row(struct tally *t, uint64_t hash, bool *is_new)
{
	struct tally_row *row;
	uint64_t *slot;

	hash += hash == 0; /* 0 is none */
	slot = slot_of(t, hash);
	*is_new = *slot == 0;
	if (*slot != 0) {
		return row_in(t, *slot);
	}
	if (t->n == t->max) {
		prune(t);
		slot = slot_of(t, hash);
	}
	set_slot(slot, hash, t->n);
	row = tally_at(t, t->n++);
	memset(row, 0, t->size);
	row->hash = hash;
	row->first_ns = row->last_ns = TIME_NONE;
	return row;
}

void tally_count(struct tally_row *row, uint64_t failed, uint64_t succeeded, int64_t ns)
{
	row->failed += failed;
	row->succeeded += succeeded;
	if (ns == TIME_NONE) {
		return;
	}
	if (row->first_ns == TIME_NONE || ns < row->first_ns) {
		row->first_ns = ns;
	}
	if (row->last_ns == TIME_NONE || ns > row->last_ns) {
		row->last_ns = ns;
	}
}

/* Who comes first does not hang on where the rows lie. */
static int by_failures(const void *a, const void *b)
{
	const struct tally_row *x = *(void *const *)a, *y = *(void *const *)b;

	if (x->failed != y->failed) {
		return x->failed > y->failed ? -1 : 1;
	}
	if (x->succeeded != y->succeeded) {
		return x->succeeded > y->succeeded ? -1 : 1;
	}
	if (x->first_ns != y->first_ns) {
		return x->first_ns < y->first_ns ? -1 : 1;
	}
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int top(const struct tally *t, bool kept, size_t max, void **out)
{
	void **rows = malloc((t->n + 1) * sizeof *rows);
	size_t n = 0;

	if (rows == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct tally_row *row = tally_at(t, i);

		if (kept ? row->keep : row->failed > 0) {
			rows[n++] = tally_at(t, i);
		}
	}
	qsort(rows, n, sizeof *rows, by_failures);
	n = n < max ? n : max;
	memcpy(out, rows, n * sizeof *rows);
	free(rows);
	return (int)n;
}

int tally_top(const struct tally *t, size_t max, void **out)
{
	return top(t, false, max, out);
}

int tally_kept(const struct tally *t, size_t max, void **out)
{
	return top(t, true, max, out);
}
