#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"
#include "detectors/baseline.h"

/* The saved state, all numbers big-endian or LEB128, times in milliseconds as
 * zigzag varints:
 *
 *   u8 version   16 bytes table key   newest event time
 *   ring:     varint head, varint n, n bytes (the ring from its beginning)
 *   groups:   varint n, each: u64 hash, until, varint evidence, u8 width,
 *             varint events, each the distance of its stamp from the one before,
 *             and with a width of 2 its value
 *   episodes: varint n in the order of the heap, each: u64 hash, u64 salt of its
 *             rule, since, first, last, boundary, touched, deadline, told first,
 *             varint base, after, told, u8 frozen, u8 number of values, u8 of texts, and each
 *             text as a blob: values first, then lines
 *   waiting:  varint n, each: u64 salt of its rule, u8 which of the rules it names,
 *             u64 hash, time, varint weight, u64 value, u8 late, varint number, varint
 *             line in the ring, blob of the group's values
 *   seen:     varint n, each: u64 hash, u32 first, u32 last (Unix time)
 *   sections, from version 4 on: varint n, each: u8 which, and a blob.  One that is not known
 *             is passed over.
 *     1, what was learned (baseline.c): varint n, each: u64 hash of its group, day, limit,
 *             varint cells, each a varint
 *     2, what is new and not certain yet (fresh.c)
 *
 * Windows of rules that have changed are known by their salt: their episodes are
 * dropped, their groups are never asked for again and go when they are over. */
enum { STATE_VERSION = 4, STATE_VERSION_BEFORE = 3, EPISODE_TIMES = 7,
       SECTION_BYTES = 16 * 1024 * 1024 };

/* What has come since: never renumbered. */
enum section { SECTION_BASELINES = 1, SECTION_FRESH = 2 };

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

/* The time of an event: what is told of it is in nanoseconds, and a timespan later. */
#define EVENT_MS_MAX INT64_C(8000000000000)

static bool is_event_time(int64_t ms)
{
	return ms <= EVENT_MS_MAX && ms >= -EVENT_MS_MAX;
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
	int64_t before = 0;
	int rc = buf_add_u64(out, g->hash);

	rc = rc == 0 ? put(out, g->until_ms) : rc;
	rc = rc == 0 ? buf_add_varint(out, g->evidence) : rc;
	rc = rc == 0 ? buf_add_u8(out, g->width) : rc;
	rc = rc == 0 ? buf_add_varint(out, g->n) : rc;
	for (unsigned i = 0; rc == 0 && i < g->n; i++) {
		rc = put(out, group_stamp(g, i) - before);
		before = group_stamp(g, i);
		if (rc == 0 && g->width == 2) {
			rc = buf_add_u64(out, (uint64_t)group_value(g, i));
		}
	}
	return rc;
}

static int save_episode(const struct episode *e, struct buf *out)
{
	const int64_t times[] = {e->since_ms, e->first_ms, e->last_ms,
				 e->boundary_ms, e->touched_ms, e->deadline_ms,
				 e->told_first_ms};
	const uint64_t counts[] = {e->base, e->after, e->told};
	struct slice texts[EPISODE_TEXTS];
	size_t n = episode_texts(e, texts);
	int rc = buf_add_u64(out, e->hash);

	rc = rc == 0 ? buf_add_u64(out, e->rule->salt) : rc;
	for (unsigned i = 0; rc == 0 && i < EPISODE_TIMES; i++) {
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
		rc = save_group(windows_at(w, i), out);
	}
	rc = rc == 0 ? buf_add_varint(out, w->n_episodes) : rc;
	for (uint32_t i = 0; rc == 0 && i < w->n_episodes; i++) {
		rc = save_episode(&w->episodes[w->heap[i]], out);
	}
	return rc;
}

static int save_waiting(const struct order *o, struct buf *out)
{
	int rc = buf_add_varint(out, o->n);

	for (uint32_t i = 0; rc == 0 && i < o->n; i++) {
		const struct waiting *w = &o->v[i];

		rc = buf_add_u64(out, w->listener->rule->salt);
		rc = rc == 0 ? buf_add_u8(out, w->listener->stage) : rc;
		rc = rc == 0 ? buf_add_u64(out, w->hash) : rc;
		rc = rc == 0 ? put(out, w->t_ms) : rc;
		rc = rc == 0 ? buf_add_varint(out, w->weight) : rc;
		rc = rc == 0 ? buf_add_u64(out, (uint64_t)w->value) : rc;
		rc = rc == 0 ? buf_add_u8(out, w->late) : rc;
		rc = rc == 0 ? buf_add_varint(out, w->seq) : rc;
		rc = rc == 0 ? buf_add_varint(out, w->line_at) : rc;
		rc = rc == 0 ? buf_add_varint(out, w->texts_n) : rc;
		rc = rc == 0 ? buf_add(out, w->texts, w->texts_n) : rc;
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

static int put_section(struct buf *out, enum section which, const struct buf *content)
{
	int rc = buf_add_u8(out, (uint8_t)which);

	rc = rc == 0 ? buf_add_varint(out, content->n) : rc;
	return rc == 0 ? buf_add_slice(out, buf_slice(content)) : rc;
}

static int save_sections(const struct detect *d, struct buf *out)
{
	struct buf section;
	int rc;

	buf_init(&section, SECTION_BYTES);
	rc = baselines_save(&d->windows, &section);
	rc = rc == 0 ? buf_add_varint(out, 2) : rc;
	rc = rc == 0 ? put_section(out, SECTION_BASELINES, &section) : rc;
	buf_clear(&section);
	rc = rc == 0 ? freshes_save(d, &section) : rc;
	rc = rc == 0 ? put_section(out, SECTION_FRESH, &section) : rc;
	buf_fini(&section);
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
	rc = rc == 0 ? save_waiting(&d->order, out) : rc;
	rc = rc == 0 ? save_seen(&d->seen, out) : rc;
	return rc == 0 ? save_sections(d, out) : rc;
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
		ring_set_head(ring, head & ~UINT64_C(7));
	}
	return 0;
}

static int restore_group(struct detect *d, struct reader *r)
{
	uint64_t hash = reader_u64(r), n;
	int64_t until = get_time(r), stamp = 0;
	uint64_t evidence = reader_varint(r);
	uint8_t width = reader_u8(r);
	struct group *g;

	n = reader_varint_max(r, CELLS_MAX);
	if (!reader_ok(r) || hash == 0 || width < 1 || width > 2) {
		return ERR_MALFORMED;
	}
	g = windows_add(&d->windows, hash, INT64_MIN);
	if (g == NULL) {
		return UV_ENOMEM;
	}
	g->until_ms = until;
	g->evidence = evidence;
	g->width = width;
	for (uint64_t i = 0; i < n; i++) {
		int64_t step = get_time(r), value = width == 2 ? (int64_t)reader_u64(r) : 0;

		/* One step of a stamp back is that of a mark. */
		if (!reader_ok(r) || (i > 0 && step < -1) ||
		    !is_event_time(STAMP_MS(stamp + step))) {
			return ERR_MALFORMED;
		}
		stamp += step;
		group_insert(&d->windows, g, stamp, value, 1);
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
	for (const struct rule *r = d->set.first; r != NULL; r = r->next) {
		if ((rule_watches(r) || r->travel.on) && !r->off && r->salt == salt) {
			return r;
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
	int64_t times[EPISODE_TIMES];
	struct episode *e;
	struct group *g;

	for (unsigned i = 0; i < EPISODE_TIMES; i++) {
		times[i] = get_time(r);
	}
	for (unsigned i = 0; i < 3; i++) {
		counts[i] = reader_varint_max(r, INT64_MAX / 4);
	}
	for (unsigned i = 0; i < 4; i++) {
		if (!is_event_time(times[i])) {
			return ERR_MALFORMED;
		}
	}
	frozen = reader_u8(r);
	if (restore_texts(r, texts, &n_values, &n) != 0 || frozen > 1) {
		return ERR_MALFORMED;
	}
	g = windows_find(&d->windows, hash);
	if (rule == NULL || g == NULL ||
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
	e->told_first_ms = times[6];
	e->base = counts[0];
	e->after = counts[1];
	e->told = counts[2];
	e->frozen = frozen != 0;
	episode_defer(&d->windows, e, times[5]);
	return 0;
}

/* A value that is a number was checked when it was read, and is again. */
static bool value_fits(const struct rule *r, int64_t value)
{
	return r->n_value == 0 || r->type == CORRELATION_VALUE_COUNT ||
	       (r->type == CORRELATION_VALUE_PERCENTILE && r->percentile == 0) ||
	       (value >= 0 && value <= MEASURE_MOST);
}

/* The listener through which a rule hears of one that it names. */
static const struct listener *listener_of(const struct rule *rule, uint8_t stage)
{
	const struct listener *l = stage < rule->n_refs ? rule->refs[stage].rule->listeners
							: NULL;

	while (l != NULL && (l->rule != rule || l->stage != stage)) {
		l = l->next;
	}
	return l;
}

static int restore_waiting(struct detect *d, struct reader *r)
{
	const struct rule *rule = rule_of(d, reader_u64(r));
	uint8_t stage = reader_u8(r);
	struct waiting w = {.hash = reader_u64(r)};
	struct slice texts;

	w.t_ms = get_time(r);
	w.weight = reader_varint_max(r, UINT32_MAX);
	w.value = (int64_t)reader_u64(r);
	w.late = reader_u8(r) != 0;
	w.seq = reader_varint_max(r, INT64_MAX);
	w.line_at = reader_varint(r);
	texts = reader_blob(r, RULE_GROUP_BY * (GROUP_VALUE_MAX + sizeof(uint16_t)));
	if (!reader_ok(r) || w.hash == 0 || !is_event_time(w.t_ms) ||
	    !order_texts(texts)) {
		return ERR_MALFORMED;
	}
	w.listener = rule == NULL || !rule->waits ? NULL : listener_of(rule, stage);
	if (w.listener == NULL || !value_fits(rule, w.value) ||
	    d->order.n == ORDER_MAX) {
		return 0;
	}
	w.texts_n = (uint32_t)texts.n;
	w.texts = malloc(texts.n + 1);
	if (w.texts == NULL) {
		return UV_ENOMEM;
	}
	memcpy(w.texts, texts.p, texts.n);
	d->order.seq = d->order.seq > w.seq ? d->order.seq : w.seq + 1;
	if (!order_put(&d->order, &w)) {
		free(w.texts);
		return UV_ENOMEM;
	}
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

static int restore_sections(struct detect *d, struct reader *r)
{
	uint64_t n = reader_varint(r);
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		uint8_t which = reader_u8(r);
		struct slice content = reader_blob(r, SECTION_BYTES);

		rc = reader_ok(r) ? 0 : ERR_MALFORMED;
		if (rc == 0 && which == SECTION_BASELINES) {
			rc = baselines_restore(d, content);
		} else if (rc == 0 && which == SECTION_FRESH) {
			rc = freshes_restore(d, content);
		}
	}
	return rc;
}

static int restore(struct detect *d, struct reader *r)
{
	uint8_t version = reader_u8(r), known;
	uint64_t n;
	int rc;

	if (version != STATE_VERSION && version != STATE_VERSION_BEFORE) {
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
		rc = restore_waiting(d, r);
	}
	n = reader_varint(r);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_seen(&d->seen, r);
	}
	if (rc == 0 && version >= STATE_VERSION) {
		rc = restore_sections(d, r);
	}
	if (rc == 0) {
		baselines_complete(d);
	}
	return rc == 0 && !reader_done(r) ? ERR_MALFORMED : rc;
}

int detect_restore(struct detect *d, struct slice state)
{
	struct reader r = reader(state);
	uint8_t key[16];
	int rc;

	memcpy(key, d->key, sizeof key);
	/* Hashes under the old key. */
	memset(d->kept, 0, sizeof d->kept);
	memset(d->asked, 0, sizeof d->asked);
	rc = restore(d, &r);
	d->windows.evicted = d->seen.forgotten = d->fresh.forgotten = 0;
	if (rc != 0) {
		memcpy(d->key, key, sizeof key);
		windows_fini(&d->windows);
		order_fini(&d->order);
		seen_fini(&d->seen);
		freshes_fini(&d->fresh);
		ring_clear(&d->ring);
		d->newest_ms = TIME_NONE;
	}
	return rc;
}
