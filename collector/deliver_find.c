/* deliver_find: batches that wait and that the queue does not hold are found in the
 * segments' files, on a worker. */
#include <stdlib.h>

#include "collector/deliver_priv.h"

/* ---- finding again what the queue does not hold ---- */

static int by_arrival(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	return x->arrival == y->arrival ? 0 : x->arrival < y->arrival ? -1 : 1;
}

static bool is_wanted(const struct deliver *d, const struct segment_entry *e,
		      const struct behind *b)
{
	uint64_t arrival = e->envelope.arrival;
	uint64_t given = arrival <= b->owed_until ? b->owed_from
						  : d->cursor.arrival;

	if (e->kind != ENTRY_BATCH || arrival > d->durable ||
	    arrival <= given) {
		return false;
	}
	if (d->output || b->segment.name.lane == LANE_ALERT) {
		return true;
	}
	for (size_t i = 0; i < e->head.n_streams; i++) {
		if (e->head.streams[i].start == 0) {
			return true; /* Where a stream is described. */
		}
	}
	return false;
}

/* Keeps the FIND_MAX lowest arrivals. */
static void found(struct deliver *d, const struct note *segment,
		  const struct segment_entry *e)
{
	if (d->n_found == 2 * FIND_MAX) {
		qsort(d->found, d->n_found, sizeof *d->found, by_arrival);
		d->n_found = FIND_MAX;
		d->found_all = false;
	}
	d->found[d->n_found] = *segment;
	d->found[d->n_found].name.part = e->part;
	d->found[d->n_found].arrival = e->envelope.arrival;
	d->found[d->n_found].offset = e->offset;
	d->found[d->n_found++].end = e->next;
}

static void search_segment(struct deliver *d, const struct behind *b)
{
	const struct note *segment = &b->segment;
	struct segment_entry *e = malloc(sizeof *e);
	struct segment_reader *r = malloc(sizeof *r);
	char dir[STORE_PATH];

	store_device_dir(&d->c->store, segment->device, dir);
	if (e != NULL && r != NULL &&
	    segment_reader_open(r, d->c->sys, dir, &segment->name) == 0) {
		while (segment_reader_next(r, e) == 1) {
			if (is_wanted(d, e, b)) {
				found(d, segment, e);
			}
		}
		segment_reader_close(r);
	}
	free(r);
	free(e);
}

/* A job of its own: the next batches behind the cursor, read from the files. */
void deliver_find(struct deliver *d)
{
	for (size_t i = 0; i < d->n_behind; i++) {
		search_segment(d, &d->behind[i]);
	}
	if (d->n_found > 1) {
		qsort(d->found, d->n_found, sizeof *d->found, by_arrival);
	}
	if (d->n_found > FIND_MAX) {
		d->n_found = FIND_MAX;
		d->found_all = false;
	}
}
