#include "collector/store.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"
#include "common/siphash.h"
#include "common/timefmt.h"

/* ---- devices ---- */

void store_device_dir(const struct store *s, const struct device *d,
		      char out[static STORE_PATH])
{
	/* store_open() has checked that this fits. */
	int n = snprintf(out, STORE_PATH, "%.*s/devices/%s%s%s",
			 STORE_PATH - HEX32 - OWNER_ROOM - 16, s->dir, d->hex,
			 d->owner[0] == '\0' ? "" : "/", d->owner);

	(void)n;
}

/* Where the device is, or belongs. */
static size_t slot_of(const struct store *s, const struct hash32 *id)
{
	size_t mask = s->room_devices - 1;
	size_t at = (size_t)siphash(s->hash_key, id, sizeof *id) & mask;

	while (s->devices[at] != NULL && !hash32_eq(&s->devices[at]->id, id)) {
		at = (at + 1) & mask;
	}
	return at;
}

struct device *store_find_device(const struct store *s,
				 const struct hash32 *id)
{
	return s->room_devices == 0 ? NULL : s->devices[slot_of(s, id)];
}

static int grow_devices(struct store *s)
{
	size_t old_room = s->room_devices;
	struct device **old = s->devices, **v;
	size_t room = old_room == 0 ? 64 : old_room * 2;

	if (s->n_devices * 2 < old_room) {
		return 0;
	}
	v = calloc(room, sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	s->devices = v;
	s->room_devices = room;
	for (size_t i = 0; i < old_room; i++) {
		if (old[i] != NULL) {
			v[slot_of(s, &old[i]->id)] = old[i];
		}
	}
	free(old);
	return 0;
}

struct device *store_device(struct store *s, const struct hash32 *id)
{
	struct device *d = store_find_device(s, id);

	if (d != NULL || grow_devices(s) != 0) {
		return d;
	}
	d = calloc(1, sizeof *d);
	if (d != NULL) {
		d->id = *id;
		hash32_hex(d->hex, id);
		memcpy(d->owner, s->member, sizeof d->owner);
		s->devices[slot_of(s, id)] = d;
		s->n_devices++;
	}
	return d;
}

static int log_device(struct store *s, struct device *d)
{
	struct log_device entry = {d->id, d->spki, slice_str(d->name)};
	struct buf b;
	int rc;

	buf_init(&b, 64 * 1024);
	rc = log_device_add(&b, &entry);
	if (rc == 0) {
		rc = store_log(s, ENTRY_DEVICE, buf_slice(&b));
	}
	buf_fini(&b);
	d->logged = d->logged || rc == 0;
	return rc;
}

int store_device_seen(struct store *s, struct device *d, const char *name,
		      struct slice spki)
{
	bool same = strncmp(d->name, name, LIMIT_DEVICE_NAME) == 0 &&
		    d->spki.p != NULL;

	if (d->spki.p == NULL) {
		char *copy = malloc(spki.n + 1);

		if (copy == NULL) {
			return UV_ENOMEM;
		}
		memcpy(copy, spki.p, spki.n);
		d->spki = slice(copy, spki.n);
	}
	snprintf(d->name, sizeof d->name, "%s", name);
	d->seen_ms = sys_wall_ns(s->sys) / NS_PER_MS;
	d->catalogue_dirty = true;
	return same && d->logged ? 0 : log_device(s, d);
}

/* ---- streams ---- */

/* Index of the first stream that is not below id. */
static size_t stream_slot(const struct device *d, const struct stream_id *id)
{
	size_t low = 0, high = d->n_streams;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(&d->streams[mid].id, id, sizeof *id) < 0) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return low;
}

struct stream *device_find_stream(const struct device *d,
				  const struct stream_id *id)
{
	size_t at = stream_slot(d, id);

	return at < d->n_streams &&
			       memcmp(&d->streams[at].id, id, sizeof *id) == 0
		       ? &d->streams[at]
		       : NULL;
}

static int grow_streams(struct device *d)
{
	size_t room = d->room_streams == 0 ? 8 : d->room_streams * 2;
	struct stream *v;

	if (d->n_streams < d->room_streams) {
		return 0;
	}
	if (d->n_streams >= DEVICE_STREAMS_MAX) {
		return ERR_LIMIT;
	}
	v = realloc(d->streams, room * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	d->streams = v;
	d->room_streams = room;
	return 0;
}

struct stream *device_stream(struct device *d, const struct stream_id *id)
{
	struct stream *st = device_find_stream(d, id);
	size_t at = stream_slot(d, id);

	if (st != NULL) {
		return st;
	}
	if (grow_streams(d) != 0) {
		return NULL;
	}
	memmove(&d->streams[at + 1], &d->streams[at],
		(d->n_streams - at) * sizeof *d->streams);
	d->n_streams++;
	d->streams[at] = (struct stream){.id = *id};
	return &d->streams[at];
}

/* ---- what the next commit has to do ---- */

/* Room for more elements of size in an array of n.  UV_ENOMEM. */
static int grow_by(void **v, size_t n, size_t *room, size_t size, size_t by)
{
	size_t more = *room == 0 ? 64 : *room * 2;
	void *p;

	if (n + by <= *room) {
		return 0;
	}
	more = more < n + by ? n + by : more;
	p = realloc(*v, more * size);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	*v = p;
	*room = more;
	return 0;
}

static int grow(void **v, size_t n, size_t *room, size_t size)
{
	return grow_by(v, n, room, size, 1);
}

int store_mark_due(struct store *s, struct device *d)
{
	void *v = s->due;
	int rc;

	if (d->due || s->member[0] == '\0') {
		return 0;
	}
	rc = grow(&v, s->n_due, &s->room_due, sizeof(struct device *));
	s->due = v;
	if (rc == 0) {
		s->due[s->n_due++] = d;
		d->due = true;
	}
	return rc;
}

int store_reserve_marks(struct store *s, size_t streams, size_t segments,
			size_t due)
{
	void *v = s->dirty_streams;
	int rc = grow_by(&v, s->n_dirty_streams, &s->room_dirty_streams,
			 sizeof *s->dirty_streams, streams);

	s->dirty_streams = v;
	v = s->dirty_segments;
	if (rc == 0) {
		rc = grow_by(&v, s->n_dirty_segments, &s->room_dirty_segments,
			     sizeof(struct segment *), segments);
	}
	s->dirty_segments = v;
	v = s->due;
	if (rc == 0) {
		rc = grow_by(&v, s->n_due, &s->room_due,
			     sizeof(struct device *), due);
	}
	s->due = v;
	return rc;
}

int store_mark_stream(struct store *s, struct device *d, struct stream *st)
{
	void *v = s->dirty_streams;
	int rc;

	if (st->dirty) {
		return 0;
	}
	rc = store_mark_due(s, d);
	if (rc != 0) {
		return rc;
	}
	rc = grow(&v, s->n_dirty_streams, &s->room_dirty_streams,
		  sizeof *s->dirty_streams);
	s->dirty_streams = v;
	if (rc == 0) {
		s->dirty_streams[s->n_dirty_streams++] =
			(struct dirty_stream){d, st->id};
		st->dirty = true;
	}
	return rc;
}

int store_mark_segment(struct store *s, struct segment *g)
{
	void *v = s->dirty_segments;
	int rc;

	if (g->dirty) {
		return 0;
	}
	rc = store_mark_due(s, g->device);
	if (rc != 0) {
		return rc;
	}
	rc = grow(&v, s->n_dirty_segments, &s->room_dirty_segments,
		  sizeof(struct segment *));
	s->dirty_segments = v;
	if (rc == 0) {
		s->dirty_segments[s->n_dirty_segments++] = g;
		g->dirty = true;
	}
	return rc;
}

int store_log(struct store *s, enum entry_kind kind, struct slice payload)
{
	int rc = buf_reserve(&s->log_pending, 5 + payload.n);

	if (rc == 0) {
		buf_add_u8(&s->log_pending, (uint8_t)kind);
		buf_add_u32(&s->log_pending, (uint32_t)payload.n);
		buf_add_slice(&s->log_pending, payload);
	}
	return rc;
}

int store_log_watermark(struct store *s, const struct device *d,
			const struct stream *st, uint64_t position,
			uint64_t h)
{
	struct log_watermark w = {d->id, st->id, position, h, st->touched};
	struct buf b;
	int rc;

	buf_init(&b, 256);
	rc = log_watermark_add(&b, &w);
	if (rc == 0) {
		rc = store_log(s, ENTRY_WATERMARK, buf_slice(&b));
	}
	buf_fini(&b);
	return rc;
}

/* What waits for the log speaks of positions that are being taken back: a log with
 * them would, after a crash, claim lines that nobody has. */
void store_forget_watermarks(struct store *s, const struct device *only)
{
	struct buf *pending = &s->log_pending;
	struct reader r = reader(buf_slice(pending));
	size_t kept = 0;

	while (reader_left(&r) > 0) {
		size_t from = pending->n - reader_left(&r), size;
		enum entry_kind kind = (enum entry_kind)reader_u8(&r);
		struct slice payload = reader_bytes(&r, reader_u32(&r));
		struct log_watermark w;

		size = pending->n - reader_left(&r) - from;
		if (kind != ENTRY_WATERMARK ||
		    (only != NULL && log_watermark_take(&w, payload) == 0 &&
		     !hash32_eq(&w.device, &only->id))) {
			memmove(pending->p + kept, pending->p + from, size);
			kept += size;
		}
	}
	pending->n = kept;
}

/* ---- a device that another collector has ---- */

static void unmark(struct store *s, const struct device *d)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_dirty_streams; i++) {
		if (s->dirty_streams[i].device != d) {
			s->dirty_streams[n++] = s->dirty_streams[i];
		}
	}
	s->n_dirty_streams = n;
	n = 0;
	for (size_t i = 0; i < s->n_dirty_segments; i++) {
		if (s->dirty_segments[i]->device != d) {
			s->dirty_segments[n++] = s->dirty_segments[i];
		}
	}
	s->n_dirty_segments = n;
	n = 0;
	for (size_t i = 0; i < s->n_due; i++) {
		if (s->due[i] != d) {
			s->due[n++] = s->due[i];
		}
	}
	s->n_due = n;
}

void store_lose_device(struct store *s, struct device *d)
{
	unmark(s, d);
	store_forget_watermarks(s, d);
	for (size_t i = 0; i < d->n_streams; i++) {
		struct stream *st = &d->streams[i];

		st->received = st->durable;
		st->h_received = st->h_durable;
		st->dirty = false;
		st->logged = 0;
	}
	while (d->segments != NULL) {
		struct segment *g = d->segments;

		assert(!g->committing);
		store_close_file(s, g);
		d->segments = g->next;
		store_segment_free(s, g);
	}
	d->n_segments = 0;
	for (int lane = 0; lane < LANE_NR; lane++) {
		free(d->heads[lane].bytes);
		d->heads[lane] = (struct signed_head){0};
	}
	d->owed_from = d->owed_until = 0;
	d->ours = d->lost = d->due = d->dir_made = false;
}

/* ---- signed heads ---- */

static bool later(const struct head *a, const struct head *b)
{
	if (a->number != b->number) {
		return a->number > b->number;
	}
	if (memcmp(&a->segment, &b->segment, sizeof a->segment) != 0) {
		return a->time_ms > b->time_ms;
	}
	return a->index != b->index ? a->index > b->index
				    : a->state >= b->state;
}

int device_set_head(struct device *d, const struct head *h, struct slice bytes)
{
	struct signed_head *now = &d->heads[h->lane];
	char *copy;

	if (now->bytes != NULL && !later(h, &now->head)) {
		return 0;
	}
	copy = malloc(bytes.n + 1);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	memcpy(copy, bytes.p, bytes.n);
	free(now->bytes);
	*now = (struct signed_head){*h, copy, bytes.n};
	d->catalogue_dirty = true;
	return 0;
}
