/* segments: the part of store.h about segments and their files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/share.h"
#include "collector/store.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

/* ---- in memory ---- */

struct segment *device_find_segment(const struct device *d,
				    const struct segment_id *id)
{
	for (struct segment *g = d->segments; g != NULL; g = g->next) {
		if (memcmp(&g->name.id, id, sizeof *id) == 0) {
			return g;
		}
	}
	return NULL;
}

bool device_is_crowded(const struct device *d)
{
	size_t n = 0;

	for (const struct segment *g = d->segments;
	     g != NULL && n < DEVICE_DIRTY_MAX; g = g->next) {
		n += g->bytes > g->durable_bytes && (g->dirty || g->committing);
	}
	return n >= DEVICE_DIRTY_MAX;
}

struct segment *store_segment_new(struct store *s, struct device *d,
				  const struct segment_name *name)
{
	struct segment *g = calloc(1, sizeof *g);

	(void)s;
	if (g == NULL) {
		return NULL;
	}
	g->device = d;
	g->name = *name;
	g->fd = -1;
	g->index = g->durable_index = -1;
	g->first_ms = INT64_MAX;
	g->last_ms = INT64_MIN;
	g->next = d->segments;
	d->segments = g;
	d->n_segments++;
	return g;
}

static void forget_header(struct segment *g)
{
	free((void *)(uintptr_t)g->header.p);
	g->header = SLICE_NONE;
}

void store_segment_free(struct store *s, struct segment *g)
{
	(void)s;
	follower_free(g->follower);
	forget_header(g);
	free(g);
}

static bool idle(const struct store *s, const struct segment *g)
{
	return g->follower == NULL && !g->dirty && !g->committing &&
	       g->repair == REPAIR_NONE &&
	       g->last_arrival <= s->given_out &&
	       !device_owes(g->device, g->last_arrival) &&
	       !(g->catalogue_dirty && s->has_catalogue);
}

void store_close_file(struct store *s, struct segment *g)
{
	if (g->fd >= 0) {
		sys_close(s->sys, g->fd);
		g->fd = -1;
		s->n_open--;
	}
}

void store_trim_segments(struct store *s, struct device *d)
{
	struct segment **at = &d->segments;
	size_t kept = 0;

	while (*at != NULL) {
		struct segment *g = *at;

		if (!idle(s, g)) {
			at = &g->next;
			continue;
		}
		forget_header(g);
		if (++kept <= DEVICE_SEGMENTS_KEPT) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		d->n_segments--;
		store_close_file(s, g);
		store_segment_free(s, g);
	}
}

void store_segment_detach(struct segment *g)
{
	follower_free(g->follower);
	g->follower = NULL;
	g->session = NULL;
}

/* ---- back from disk ---- */

static void take_up(struct segment *g, const struct segment_entry *e)
{
	if (e->kind != ENTRY_BATCH) {
		return;
	}
	if (g->first_arrival == 0) {
		g->first_arrival = e->envelope.arrival;
	}
	g->last_arrival = e->envelope.arrival;
	g->received_ms = e->envelope.received_ms;
	if (e->head.first_ms < g->first_ms) {
		g->first_ms = e->head.first_ms;
	}
	if (e->head.last_ms > g->last_ms) {
		g->last_ms = e->head.last_ms;
	}
	for (size_t i = 0; i < e->head.n_streams; i++) {
		g->records += e->head.streams[i].count;
	}
}

int store_segment_load(struct store *s, struct device *d,
		       const struct segment_name *name, struct segment **out)
{
	struct segment_name last = *name;
	struct segment_reader r;
	struct segment_entry e;
	struct segment *g;
	char dir[STORE_PATH];
	int rc;

	*out = NULL;
	store_device_dir(s, d, dir);
	last.part = SEGMENT_PARTS_MAX;
	rc = segment_reader_open(&r, s->sys, dir, &last);
	if (rc != 0) {
		return rc;
	}
	last.part = 0;
	g = store_segment_new(s, d, &last);
	if (g == NULL) {
		segment_reader_close(&r);
		return UV_ENOMEM;
	}
	g->start_hash = segment_reader_hash(&r);
	g->name.part = r.name.part;
	g->bytes = r.entries.offset;
	while ((rc = segment_reader_next(&r, &e)) == 1) {
		take_up(g, &e);
		g->ended = e.kind == ENTRY_HEAD_SIGNED;
	}
	if (r.fd >= 0) {
		/* Its last part, which may have no entry yet: what stands in the
		 * one before is not read beyond where this one begins. */
		g->name.part = r.name.part;
		g->bytes = r.entries.offset;
	}
	if (rc < 0 && (rc > ERR_FULL || r.limit != INT64_MAX)) {
		/* The system's: what follows may be there all the same.  Or a later
		 * part follows the damage: nothing can be written before it. */
		segment_reader_close(&r);
		d->segments = g->next;
		d->n_segments--;
		store_segment_free(s, g);
		return rc;
	}
	g->index = g->durable_index = segment_reader_index(&r);
	g->hash = g->durable_hash = segment_reader_hash(&r);
	if (rc < 0) {
		/* What is behind a damaged place was cut at start-up, unless there
		 * was no room to set it aside, or it is new.  What is whole before it
		 * counts, and the segment goes on in another file: behind what can't
		 * be read nobody would look. */
		g->name.part = r.name.part + 1;
		g->bytes = 0;
		g->ended = false;
	}
	g->durable_bytes = g->bytes;
	segment_reader_close(&r);
	*out = g;
	return 0;
}

int store_segment_set_aside(struct store *s, const struct device *d,
			    const struct segment_name *name)
{
	struct segment_name part = *name;
	char dir[STORE_PATH], path[STORE_PATH], aside[STORE_PATH + 16];
	int rc = 0;

	store_device_dir(s, d, dir);
	for (part.part = 0; part.part <= SEGMENT_PARTS_MAX && rc == 0;
	     part.part++) {
		segment_path(path, dir, &part);
		snprintf(aside, sizeof aside, "%s.damaged", path);
		rc = sys_rename(s->sys, path, aside);
		rc = rc == UV_ENOENT ? 0 : rc;
	}
	return rc != 0 ? rc : sys_sync_dir(s->sys, dir);
}

static int copy_header(struct segment *g, struct slice header)
{
	char *copy;

	if (g->header.p != NULL) {
		return 0;
	}
	copy = malloc(header.n + 1);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	memcpy(copy, header.p, header.n);
	g->header = slice(copy, header.n);
	return 0;
}

/* Reads the segment's files until `after`; given to the caller: the reader. */
static int read_until(struct store *s, struct segment *g, int64_t after,
		      struct segment_reader *r)
{
	struct segment_entry e;
	char dir[STORE_PATH];
	int rc;

	store_device_dir(s, g->device, dir);
	rc = segment_reader_open(r, s->sys, dir, &g->name);
	if (rc != 0) {
		return rc;
	}
	rc = 1;
	while (rc == 1 && segment_reader_index(r) < after) {
		rc = segment_reader_next(r, &e);
	}
	if (rc == 0 || segment_reader_index(r) != after) {
		rc = rc < 0 ? rc : ERR_NOT_OURS;
	}
	if (rc < 0) {
		segment_reader_close(r);
		return rc;
	}
	return 0;
}

int store_segment_attach(struct store *s, struct segment *g,
			 struct slice header, int64_t after)
{
	struct segment_reader r;
	struct follower *fresh;
	struct hash32 start;
	int rc = follower_new(&fresh, header);

	if (rc != 0) {
		return rc;
	}
	start = follower_hash(fresh);
	if (g->index == -1 && g->bytes == 0) {
		g->start_hash = g->hash = g->durable_hash = start;
	}
	rc = hash32_eq(&start, &g->start_hash) ? copy_header(g, header)
					       : ERR_CONFLICT;
	if (rc != 0 || g->follower != NULL) {
		follower_free(fresh);
		return rc;
	}
	if (after == -1) {
		g->follower = fresh;
		return 0;
	}
	follower_free(fresh);
	rc = read_until(s, g, after, &r);
	if (rc == 0) {
		g->follower = r.follower;
		r.follower = NULL;
		segment_reader_close(&r);
	}
	return rc;
}

/* ---- writing ---- */

/* Closes a clean file of the device that comes next in the table, so that looking
 * for one costs little.  When all are dirty one more is opened: the next commit
 * cleans them. */
static void make_room_for_file(struct store *s)
{
	for (size_t i = 0; i < s->room_devices && s->n_open >= STORE_FILES_MAX;
	     i++) {
		const struct device *d =
			s->devices[s->hand++ & (s->room_devices - 1)];
		struct segment *g = d == NULL ? NULL : d->segments;

		for (; g != NULL; g = g->next) {
			if (!g->dirty && !g->committing) {
				store_close_file(s, g);
			}
		}
	}
}

/* Appends magic and head of a new file. */
static int start_file(struct store *s, struct segment *g)
{
	struct file_head h = {
		.device = g->device->id,
		.part = g->name.part,
		.after = g->index,
		.hash = g->hash,
		.created_ms = sys_wall_ns(s->sys) / NS_PER_MS,
		.name = slice_str(g->device->name),
		.header = g->header,
	};
	struct buf payload, b;
	struct slice part;
	int rc;

	memcpy(h.store_id, s->id, sizeof h.store_id);
	buf_init(&payload, 16 * 1024);
	buf_init(&b, 32 * 1024);
	rc = file_head_add(&payload, &h);
	if (rc == 0) {
		rc = buf_add(&b, segment_magic, FILE_MAGIC);
	}
	part = buf_slice(&payload);
	if (rc == 0) {
		rc = entry_add(&b, FILE_MAGIC, ENTRY_FILE, &part, 1);
	}
	if (rc == 0) {
		rc = sys_pwrite_all(s->sys, g->fd, b.p, b.n, 0);
	}
	if (rc == 0) {
		g->bytes = g->first_offset = b.n;
		g->file_made = true;
	}
	buf_fini(&b);
	buf_fini(&payload);
	return rc;
}

static int make_device_dir(struct store *s, struct device *d,
			   const char *dir)
{
	int rc = d->dir_made ? 0 : sys_mkdir(s->sys, dir, 0700);

	if (rc == 0 || rc == UV_EEXIST) {
		d->dir_made = true;
		return 0;
	}
	return rc;
}

static int open_file(struct store *s, struct segment *g)
{
	char dir[STORE_PATH], path[STORE_PATH];
	int rc;

	if (g->fd >= 0 && g->bytes > 0) {
		return 0;
	}
	make_room_for_file(s);
	store_device_dir(s, g->device, dir);
	rc = make_device_dir(s, g->device, dir);
	if (rc == 0 && g->fd < 0) {
		segment_path(path, dir, &g->name);
		rc = sys_open(s->sys, path,
			      O_RDWR | O_CREAT | (g->bytes == 0 ? O_TRUNC : 0),
			      0600);
		if (rc >= 0) {
			g->fd = rc;
			s->n_open++;
			rc = 0;
		}
	}
	if (rc == 0 && g->bytes == 0) {
		rc = start_file(s, g);
	}
	return rc;
}

int store_segment_continue(struct store *s, struct segment *g)
{
	/* What an earlier attempt wrote is written anew, not synced again. */
	store_close_file(s, g);
	g->bytes = 0;
	g->ended = false;
	return open_file(s, g);
}

void store_segment_give_up_file(struct store *s, struct segment *g)
{
	uint64_t keep = g->durable_bytes > g->first_offset ? g->durable_bytes
							   : g->first_offset;

	/* The next file's head says as much; but should that be damaged one day, this one's end
	 * would count.  What another may have of it by now is a copy, if it did not end so. */
	if (g->fd >= 0 && g->bytes > keep && !(share_is_on(s) && g->ended)) {
		sys_ftruncate(s->sys, g->fd, keep);
	}
	store_close_file(s, g);
	g->index = g->durable_index;
	g->hash = g->durable_hash;
	g->name.part++;
	g->bytes = g->durable_bytes = g->first_offset = 0;
	g->repair = REPAIR_NEW_FILE;
}

/* Takes away what a failed write may have left.  Should this fail too, the next
 * entry overwrites it, and a start finds what is beyond that and sets it aside. */
static void cut_back(struct store *s, const struct segment *g)
{
	if (g->fd >= 0) {
		sys_ftruncate(s->sys, g->fd, g->bytes);
	}
}

/* Writes one entry at the end of the segment's file. */
static int write_entry(struct store *s, struct segment *g,
		       enum entry_kind kind, const struct slice *parts,
		       size_t n)
{
	struct buf b;
	int rc = open_file(s, g);

	if (rc != 0) {
		return rc;
	}
	buf_init(&b, ENTRY_HEAD + ENTRY_PAYLOAD_MAX + ENTRY_TAIL);
	rc = store_mark_segment(s, g);
	if (rc == 0) {
		rc = entry_add(&b, g->bytes, kind, parts, n);
	}
	if (rc == 0) {
		rc = sys_pwrite_all(s->sys, g->fd, b.p, b.n, g->bytes);
	}
	if (rc == 0) {
		g->last_offset = g->bytes;
		g->bytes += b.n;
		s->dirty_bytes += b.n;
		s->total_bytes += b.n;
	} else {
		cut_back(s, g);
	}
	buf_fini(&b);
	return rc;
}

/* Fills in what is taken of each stream; ERR_ABOVE for a hole. */
static int decide(const struct device *d, const struct batch_head *h,
		  struct envelope *e, struct stream_id *above)
{
	for (size_t i = 0; i < h->n_streams; i++) {
		const struct batch_stream *b = &h->streams[i];
		const struct stream *st = device_find_stream(d, &b->id);
		uint64_t w = st == NULL ? 0 : st->received;

		if (b->start > w) {
			*above = b->id;
			return ERR_ABOVE;
		}
		if (b->start < w) {
			e->cuts[e->n_cuts++] = (struct envelope_cut){
				(uint8_t)i, b->end < w ? b->end : w};
		}
	}
	return 0;
}

/* Makes sure that nothing can fail once the batch is written. */
static int prepare(struct store *s, struct device *d,
		   const struct batch_head *h)
{
	for (size_t i = 0; i < h->n_streams; i++) {
		struct stream *st = device_stream(d, &h->streams[i].id);

		if (st == NULL) {
			return d->n_streams >= DEVICE_STREAMS_MAX ? ERR_LIMIT
								  : UV_ENOMEM;
		}
		if (store_mark_stream(s, d, st) != 0) {
			return UV_ENOMEM;
		}
	}
	return 0;
}

static void advance(struct store *s, struct segment *g,
		    const struct batch_head *h, const struct envelope *e)
{
	struct segment_entry as_read = {.kind = ENTRY_BATCH, .envelope = *e,
					.head = *h};

	s->arrival = e->arrival;
	for (size_t i = 0; i < h->n_streams; i++) {
		const struct batch_stream *b = &h->streams[i];
		struct stream *st = device_find_stream(g->device, &b->id);

		st->touched = e->arrival;
		if (b->end > st->received) {
			st->received = b->end;
			st->h_received = b->h;
		}
		s->total_records += b->count;
	}
	s->total_batches++;
	g->index = h->index;
	g->hash = h->hash;
	g->catalogue_dirty = true;
	take_up(g, &as_read);
}

int store_append(struct store *s, struct segment *g, struct slice batch,
		 const struct batch_head *head, struct stream_id *above)
{
	struct envelope e = {
		.arrival = s->arrival + 1,
		.durable = s->durable_arrival,
		.received_ms = sys_wall_ns(s->sys) / NS_PER_MS,
	};
	struct slice parts[2];
	struct buf b;
	int rc = decide(g->device, head, &e, above);

	if (rc == 0) {
		rc = prepare(s, g->device, head);
	}
	if (rc != 0) {
		return rc;
	}
	buf_init(&b, 4096);
	rc = envelope_add(&b, &e);
	if (rc == 0) {
		parts[0] = buf_slice(&b);
		parts[1] = batch;
		rc = write_entry(s, g, ENTRY_BATCH, parts, 2);
	}
	buf_fini(&b);
	if (rc != 0) {
		return rc;
	}
	rc = follower_commit(g->follower, head);
	if (rc != 0) {
		/* No memory for the follower's streams. */
		g->bytes -= ENTRY_HEAD + parts[0].n + batch.n + ENTRY_TAIL;
		cut_back(s, g);
		return rc;
	}
	advance(s, g, head, &e);
	return 0;
}

int store_touch(struct store *s, struct segment *g,
		const struct batch_head *head)
{
	int rc = prepare(s, g->device, head);

	return rc != 0 ? rc : store_mark_segment(s, g);
}

int store_head(struct store *s, struct device *d, struct segment *g,
	       const struct head *h, struct slice bytes)
{
	int rc;

	if (g != NULL && g->header.p != NULL && g->bytes > 0) {
		g->ended |= h->state != HEAD_OPEN;
		rc = write_entry(s, g, ENTRY_HEAD_SIGNED, &bytes, 1);
	} else {
		rc = store_log(s, ENTRY_LOG_HEAD, bytes);
		rc = rc == 0 ? store_mark_due(s, d) : rc;
	}
	if (rc == 0) {
		rc = device_set_head(d, h, bytes);
	}
	if (rc == 0 && g != NULL && h->state != HEAD_OPEN) {
		g->closed = true;
		g->catalogue_dirty = true;
		rc = store_mark_segment(s, g);
	}
	return rc;
}
