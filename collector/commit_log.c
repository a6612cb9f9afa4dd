/* commit_log: what a commit writes into the watermark log. */
#include "collector/commit_log.h"

#include <assert.h>

#include "common/reader.h"

enum { LOG_COMPACT_MIN = 4 * 1024 * 1024 };

static int add_log(struct buf *out, uint64_t offset, enum entry_kind kind,
		   struct slice payload)
{
	return entry_add(out, offset + out->n, kind, &payload, 1);
}

uint64_t commit_touched_durably(const struct store *s, const struct stream *st)
{
	return st->touched < s->durable_arrival ? st->touched : s->durable_arrival;
}

static int snapshot_device(const struct store *s, const struct device *d, struct buf *out)
{
	struct log_device entry = {d->id, d->spki, slice_str(d->name)};
	struct buf b;
	int rc = 0;

	buf_init(&b, 64 * 1024);
	if (d->spki.p != NULL) {
		rc = log_device_add(&b, &entry);
		rc = rc != 0 ? rc : add_log(out, 0, ENTRY_DEVICE, buf_slice(&b));
	}
	for (size_t i = 0; i < d->n_streams && rc == 0; i++) {
		const struct stream *st = &d->streams[i];
		struct log_watermark w = {d->id, st->id, st->durable,
					  st->h_durable,
					  commit_touched_durably(s, st)};

		buf_clear(&b);
		if (st->durable == 0) {
			continue;
		}
		rc = log_watermark_add(&b, &w);
		rc = rc != 0 ? rc
			     : add_log(out, 0, ENTRY_WATERMARK, buf_slice(&b));
	}
	for (int lane = 0; lane < LANE_NR && rc == 0; lane++) {
		const struct signed_head *h = &d->heads[lane];

		if (h->bytes != NULL) {
			rc = add_log(out, 0, ENTRY_LOG_HEAD,
				     slice(h->bytes, h->n));
		}
	}
	buf_fini(&b);
	return rc;
}

int commit_log_snapshot(const struct store *s, struct buf *out)
{
	struct buf b;
	int rc;

	assert(out->n == 0); /* Offsets are counted from its start. */
	buf_init(&b, 256);
	rc = buf_add(out, watermark_magic, FILE_MAGIC);
	if (rc == 0) {
		rc = log_file_add(&b, s->id);
	}
	if (rc == 0) {
		rc = add_log(out, 0, ENTRY_FILE, buf_slice(&b));
	}
	buf_fini(&b);
	for (size_t i = 0; i < s->room_devices && rc == 0; i++) {
		if (s->devices[i] != NULL) {
			rc = snapshot_device(s, s->devices[i], out);
		}
	}
	return rc;
}

/* Turns what waits for the log into entries behind those in c->log. */
static int add_pending(struct commit *c, uint64_t offset)
{
	struct reader r = reader(buf_slice(&c->store->log_pending));
	int rc = 0;

	c->log_requeue = c->store->log_pending.n;
	while (reader_left(&r) > 0 && rc == 0) {
		enum entry_kind kind = (enum entry_kind)reader_u8(&r);
		uint32_t n = reader_u32(&r);

		rc = add_log(&c->log, offset, kind, reader_bytes(&r, n));
	}
	return rc;
}

int commit_log_prepare(struct commit *c)
{
	struct store *s = c->store;
	int rc = 0;

	c->log_fd = s->log_fd;
	c->log_offset = s->log_bytes;
	c->replace_log = s->log_fd < 0 ||
			 s->log_bytes > LOG_COMPACT_MIN + 3 * s->log_live;
	if (c->replace_log) {
		c->log_offset = 0;
		rc = commit_log_snapshot(s, &c->log);
		s->log_live = c->log.n;
	}
	return rc != 0 ? rc : add_pending(c, c->log_offset);
}

static int log_streams(struct store *s, struct device *d, uint64_t from)
{
	int rc = 0;

	for (size_t i = 0; i < d->n_streams && rc == 0; i++) {
		struct stream *st = &d->streams[i];

		if (st->touched >= from && st->logged != st->received) {
			rc = store_log_watermark(s, d, st, st->received,
						 st->h_received);
			st->logged = rc == 0 ? st->received : 0;
		}
	}
	return rc;
}

int commit_log_closed(struct store *s)
{
	int rc = 0;

	for (size_t i = 0; i < s->n_dirty_segments; i++) {
		const struct segment *g = s->dirty_segments[i];
		uint64_t *from = &g->device->closed_from;

		if (g->closed && g->first_arrival > 0 &&
		    (*from == 0 || g->first_arrival < *from)) {
			*from = g->first_arrival;
		}
	}
	for (size_t i = 0; i < s->n_dirty_segments; i++) {
		struct device *d = s->dirty_segments[i]->device;

		if (d->closed_from > 0 && rc == 0) {
			rc = log_streams(s, d, d->closed_from);
		}
		d->closed_from = 0;
	}
	return rc;
}
