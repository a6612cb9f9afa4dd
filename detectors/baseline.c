#include "detectors/baseline.h"

#include <stdlib.h>

#include "common/err.h"

enum { LOOK_AT = 8 }; /* episodes weighed against each other */

static uint32_t cells_of(const struct rule *r)
{
	/* The days before this one, and this one. */
	return r->usual_pause.days > 0 ? r->usual_pause.days + 1u : r->rate.cells;
}

bool baseline_give(struct windows *w, struct episode *e)
{
	uint32_t n = cells_of(e->rule);

	e->learned = calloc(1, sizeof *e->learned + n * sizeof e->learned->cells[0]);
	if (e->learned == NULL) {
		return false;
	}
	e->learned->n = n;
	e->learned->limit_ms = PAUSE_NEVER;
	w->n_learned++;
	return true;
}

void baseline_room(struct detect *d, uint64_t hash)
{
	struct windows *w = &d->windows;
	uint32_t from, seen = 0;
	struct episode *least = NULL;

	if (w->n_learned < d->learned_max) {
		return;
	}
	from = (uint32_t)(hash >> 32) % w->room_episodes;
	for (uint32_t i = 0; i < w->room_episodes && seen < LOOK_AT; i++) {
		struct episode *e = &w->episodes[(from + i) % w->room_episodes];

		if (e->learned != NULL) {
			least = least == NULL || e->touched_ms < least->touched_ms ? e : least;
			seen++;
		}
	}
	if (least == NULL) {
		return; /* never: there are as many as may be */
	}
	w->evicted++;
	if (least->rule->rate.cells > 0) {
		rate_drop(d, least);
	} else {
		silence_drop(d, least);
	}
}

/* ---- state ---- */

static int put(struct buf *out, int64_t v)
{
	return buf_add_varint(out, zigzag(v));
}

int baselines_save(const struct windows *w, struct buf *out)
{
	int rc = buf_add_varint(out, w->n_learned);

	for (uint32_t i = 0; rc == 0 && i < w->room_episodes; i++) {
		const struct episode *e = &w->episodes[i];
		const struct baseline *b = e->learned;

		if (b == NULL) {
			continue;
		}
		rc = buf_add_u64(out, e->hash);
		rc = rc == 0 ? put(out, b->day) : rc;
		rc = rc == 0 ? put(out, b->limit_ms) : rc;
		rc = rc == 0 ? buf_add_varint(out, b->n) : rc;
		for (uint32_t k = 0; rc == 0 && k < b->n; k++) {
			rc = buf_add_varint(out, b->cells[k]);
		}
	}
	return rc;
}

/* What arithmetic can rely on. */
static bool cell_fits(const struct rule *r, uint64_t cell)
{
	if (r->usual_pause.days > 0) {
		return cell <= PAUSE_MOST;
	}
	return cell >> 32 <= RATE_MOST && ((cell & 0xffff) != 0 || cell == 0);
}

static int restore_one(struct detect *d, struct reader *r)
{
	const struct group *g = windows_find(&d->windows, reader_u64(r));
	struct episode *e = g == NULL ? NULL : episode_of(&d->windows, g);
	int64_t day = unzigzag(reader_varint(r)), limit = unzigzag(reader_varint(r));
	uint64_t n = reader_varint_max(r, 256);
	bool wanted = e != NULL && e->learned == NULL && n == cells_of(e->rule) &&
		      d->windows.n_learned < d->learned_max;

	if (!reader_ok(r) || day < -PAUSE_MOST || day > PAUSE_MOST || limit <= 0 ||
	    limit > PAUSE_NEVER) {
		return ERR_MALFORMED;
	}
	if (wanted && !baseline_give(&d->windows, e)) {
		return UV_ENOMEM;
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t cell = reader_varint(r);

		if (wanted && cell_fits(e->rule, cell)) {
			e->learned->cells[i] = cell;
		}
	}
	if (wanted) {
		e->learned->day = day;
		e->learned->limit_ms = limit;
	}
	return reader_ok(r) ? 0 : ERR_MALFORMED;
}

int baselines_restore(struct detect *d, struct slice section)
{
	struct reader r = reader(section);
	uint64_t n = reader_varint(&r);
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_one(d, &r);
	}
	return rc == 0 && !reader_done(&r) ? ERR_MALFORMED : rc;
}

void baselines_complete(struct detect *d)
{
	struct windows *w = &d->windows;

	for (uint32_t i = 0; i < w->room_episodes; i++) {
		struct episode *e = &w->episodes[i];

		if (e->rule != NULL && cells_of(e->rule) > 0 &&
		    (e->learned == NULL || !watch_fits(d, e))) {
			episode_remove(w, e);
		}
	}
}
