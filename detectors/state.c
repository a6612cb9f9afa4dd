#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"
#include "detectors/engine.h"

/* The saved state, all numbers big-endian or LEB128, times in milliseconds as
 * zigzag varints:
 *
 *   u8 version   16 bytes table key   newest event time
 *   ring:     varint head, varint n, n bytes (the ring from its beginning)
 *   groups:   varint n, each: u64 hash, until, varint evidence,
 *             varint stamps, each the distance from the one before
 *   episodes: varint n in the order of the heap, each: u64 hash, u64 salt of its
 *             rule, since, first, last, boundary, touched, deadline, varint base,
 *             after, told, u8 frozen, u8 number of values, u8 of texts, and each
 *             text as a blob: values first, then lines
 *   seen:     varint n, each: u64 hash, u32 first, u32 last (Unix time)
 *
 * Windows of rules that have changed are known by their salt: their episodes are
 * dropped, their groups are never asked for again and go when they are over. */
enum { STATE_VERSION = 1 };

static int put(struct buf *out, int64_t v)
{
	return buf_add_varint(out, zigzag(v));
}

static int64_t get(struct reader *r)
{
	return unzigzag(reader_varint(r));
}

/* A time that arithmetic can't overflow: some 30,000 years either way. */
static int64_t get_time(struct reader *r)
{
	int64_t v = get(r);

	if (v > INT64_C(1) << 50 || v < -(INT64_C(1) << 50)) {
		r->failed = true;
		return 0;
	}
	return v;
}

/* ---- saving ---- */

static int save_ring(const struct ring *r, struct buf *out)
{
	uint64_t n = r->head < r->size ? r->head : r->size;
	int rc = buf_add_varint(out, r->head);

	rc = rc == 0 ? buf_add_varint(out, n) : rc;
	return rc == 0 ? buf_add(out, r->p, n) : rc;
}

static int save_group(struct group *g, struct buf *out)
{
	const int64_t *s = group_stamps(g);
	int64_t before = 0;
	int rc = buf_add_u64(out, g->hash);

	rc = rc == 0 ? put(out, g->until_ms) : rc;
	rc = rc == 0 ? buf_add_varint(out, g->evidence) : rc;
	rc = rc == 0 ? buf_add_varint(out, g->n) : rc;
	for (unsigned i = 0; rc == 0 && i < g->n; i++) {
		rc = put(out, s[i] - before);
		before = s[i];
	}
	return rc;
}

static int save_episode(const struct episode *e, struct buf *out)
{
	const int64_t times[] = {e->since_ms, e->first_ms, e->last_ms,
				 e->boundary_ms, e->touched_ms, e->deadline_ms};
	const uint64_t counts[] = {e->base, e->after, e->told};
	struct slice texts[EPISODE_TEXTS];
	size_t n = episode_texts(e, texts);
	int rc = buf_add_u64(out, e->hash);

	rc = rc == 0 ? buf_add_u64(out, e->rule->salt) : rc;
	for (unsigned i = 0; rc == 0 && i < 6; i++) {
		rc = put(out, times[i]);
	}
	for (unsigned i = 0; rc == 0 && i < 3; i++) {
		rc = buf_add_varint(out, counts[i]);
	}
	rc = rc == 0 ? buf_add_u8(out, e->frozen) : rc;
	rc = rc == 0 ? buf_add_u8(out, e->n_values) : rc;
	rc = rc == 0 ? buf_add_u8(out, (uint8_t)n) : rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = buf_add_varint(out, texts[i].n);
		rc = rc == 0 ? buf_add_slice(out, texts[i]) : rc;
	}
	return rc;
}

static int save_windows(const struct windows *w, struct buf *out)
{
	int rc = buf_add_varint(out, w->n);

	for (uint32_t i = 0; rc == 0 && i < w->n; i++) {
		rc = save_group(&w->groups[i], out);
	}
	rc = rc == 0 ? buf_add_varint(out, w->n_episodes) : rc;
	for (uint32_t i = 0; rc == 0 && i < w->n_episodes; i++) {
		rc = save_episode(&w->episodes[w->heap[i]], out);
	}
	return rc;
}

static int save_seen(const struct seen *s, struct buf *out)
{
	int rc = buf_add_varint(out, s->n);

	for (uint32_t i = 0; rc == 0 && i < s->n_slots; i++) {
		if (s->slots[i].hash != 0) {
			rc = buf_add_u64(out, s->slots[i].hash);
			rc = rc == 0 ? buf_add_u32(out, s->slots[i].first_s) : rc;
			rc = rc == 0 ? buf_add_u32(out, s->slots[i].last_s) : rc;
		}
	}
	return rc;
}

int detect_save(const struct detect *d, struct buf *out)
{
	int rc = buf_add_u8(out, STATE_VERSION);

	rc = rc == 0 ? buf_add(out, d->key, sizeof d->key) : rc;
	rc = rc == 0 ? buf_add_u8(out, d->newest_ms != TIME_NONE) : rc;
	rc = rc == 0 ? put(out, d->newest_ms == TIME_NONE ? 0 : d->newest_ms) : rc;
	rc = rc == 0 ? save_ring(&d->ring, out) : rc;
	rc = rc == 0 ? save_windows(&d->windows, out) : rc;
	return rc == 0 ? save_seen(&d->seen, out) : rc;
}

/* ---- restoring ---- */

static int restore_ring(struct ring *ring, struct reader *r)
{
	uint64_t head = reader_varint_max(r, INT64_MAX);
	uint64_t n = reader_varint_max(r, UINT32_MAX);
	struct slice bytes = reader_bytes(r, n);

	if (!reader_ok(r)) {
		return ERR_MALFORMED;
	}
	/* A ring of another size begins anew: evidence is a help, not a count. */
	if (n == (head < ring->size ? head : ring->size) && n > 0) {
		if (ring_ready(ring) != 0) {
			return UV_ENOMEM;
		}
		memcpy(ring->p, bytes.p, n);
		ring->head = head & ~UINT64_C(7);
	}
	return 0;
}

static int restore_group(struct detect *d, struct reader *r)
{
	uint64_t hash = reader_u64(r), n;
	int64_t until = get_time(r), stamp = 0;
	uint64_t evidence = reader_varint(r);
	struct group *g;

	n = reader_varint_max(r, STAMPS_MAX);
	if (!reader_ok(r) || hash == 0) {
		return ERR_MALFORMED;
	}
	g = windows_add(&d->windows, hash, INT64_MIN);
	if (g == NULL) {
		return UV_ENOMEM;
	}
	g->until_ms = until;
	g->evidence = evidence;
	for (uint64_t i = 0; i < n; i++) {
		int64_t step = get_time(r) ;

		if (!reader_ok(r) || (i > 0 && step < 0) ||
		    stamp > (INT64_C(1) << 55) - step) {
			return ERR_MALFORMED;
		}
		stamp += step;
		group_insert(&d->windows, g, stamp, 1);
	}
	return 0;
}

static const struct rule *rule_of(const struct detect *d, uint64_t salt)
{
	for (uint32_t i = 0; i < d->n_correlations; i++) {
		if (d->correlations[i]->salt == salt) {
			return d->correlations[i];
		}
	}
	return NULL;
}

static int restore_texts(struct reader *r, struct slice *texts, uint8_t *n_values,
			 uint8_t *n)
{
	*n_values = reader_u8(r);
	*n = reader_u8(r);
	if (!reader_ok(r) || *n > EPISODE_TEXTS || *n_values > *n) {
		return ERR_MALFORMED;
	}
	for (unsigned i = 0; i < *n; i++) {
		texts[i] = reader_blob(r, i < *n_values ? GROUP_VALUE_MAX
							: EPISODE_LINE_MAX);
	}
	return reader_ok(r) ? 0 : ERR_MALFORMED;
}

static int restore_episode(struct detect *d, struct reader *r)
{
	struct slice texts[EPISODE_TEXTS];
	uint64_t hash = reader_u64(r), salt = reader_u64(r), counts[3];
	const struct rule *rule = rule_of(d, salt);
	uint8_t frozen, n_values, n;
	int64_t times[6];
	struct episode *e;
	struct group *g;

	for (unsigned i = 0; i < 6; i++) {
		times[i] = get_time(r);
	}
	for (unsigned i = 0; i < 3; i++) {
		counts[i] = reader_varint_max(r, INT64_MAX / 4);
	}
	for (unsigned i = 0; i < 4; i++) {
		/* What is told of them is in nanoseconds. */
		if (times[i] > INT64_MAX / 1000000 || times[i] < -INT64_MAX / 1000000) {
			return ERR_MALFORMED;
		}
	}
	frozen = reader_u8(r);
	if (restore_texts(r, texts, &n_values, &n) != 0 || frozen > 1) {
		return ERR_MALFORMED;
	}
	g = windows_find(&d->windows, hash);
	if (rule == NULL || g == NULL || g->episode != 0 ||
	    n_values != rule->n_group) {
		return 0;
	}
	e = episode_add(&d->windows, g, texts, n_values, texts + n_values,
			(size_t)n - n_values);
	if (e == NULL) {
		return UV_ENOMEM;
	}
	e->rule = rule;
	e->since_ms = times[0];
	e->first_ms = times[1];
	e->last_ms = times[2];
	e->boundary_ms = times[3];
	e->touched_ms = times[4];
	e->base = counts[0];
	e->after = counts[1];
	e->told = counts[2];
	e->frozen = frozen != 0;
	episode_defer(&d->windows, e, times[5]);
	return 0;
}

static int restore_seen(struct seen *s, struct reader *r)
{
	uint64_t hash = reader_u64(r);
	uint32_t first = reader_u32(r), last = reader_u32(r);
	struct seen_slot *slot;

	if (!reader_ok(r) || hash == 0 || first > last) {
		return ERR_MALFORMED;
	}
	slot = seen_add(s, hash);
	if (slot == NULL) {
		return UV_ENOMEM;
	}
	slot->first_s = first;
	slot->last_s = last;
	return 0;
}

static int restore(struct detect *d, struct reader *r)
{
	uint8_t version = reader_u8(r), known;
	uint64_t n;
	int rc;

	if (version != STATE_VERSION) {
		return reader_ok(r) ? ERR_VERSION : ERR_MALFORMED;
	}
	reader_copy(r, d->key, sizeof d->key);
	known = reader_u8(r);
	d->newest_ms = get_time(r);
	if (known == 0) {
		d->newest_ms = TIME_NONE;
	}
	rc = restore_ring(&d->ring, r);
	n = reader_varint(r);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_group(d, r);
	}
	n = reader_varint(r);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_episode(d, r);
	}
	n = reader_varint(r);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_seen(&d->seen, r);
	}
	return rc == 0 && !reader_done(r) ? ERR_MALFORMED : rc;
}

int detect_restore(struct detect *d, struct slice state)
{
	struct reader r = reader(state);
	uint8_t key[16];
	int rc;

	memcpy(key, d->key, sizeof key);
	memset(d->memo, 0, sizeof d->memo); /* hashes under the old key */
	rc = restore(d, &r);
	d->windows.evicted = d->seen.forgotten = 0;
	if (rc != 0) {
		memcpy(d->key, key, sizeof key);
		windows_fini(&d->windows);
		seen_fini(&d->seen);
		ring_clear(&d->ring);
		d->newest_ms = TIME_NONE;
	}
	return rc;
}
