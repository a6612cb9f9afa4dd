/* rows: takes copies of what changed in the store's memory and writes them to the
 * catalogue in a sys_work, at most once a second: the catalogue may lag behind,
 * never lead. */
#include <stdlib.h>

#include "collector/collector.h"
#include "collector/deliver.h"
#include "common/err.h"
#include "common/log.h"

enum {
	ROWS_EVERY_MS = 1000,
	/* So many alerts that wait are written at once, and no more are given out before
	 * that. */
	ROWS_MANY = 10000,
	ROWS_MANY_BYTES = 8 * 1024 * 1024,
	ROWS_MOST_BYTES = 64 * 1024 * 1024, /* of a catalogue that can't be written */
};

struct row_device {
	struct hash32 id;
	char name[LIMIT_DEVICE_NAME + 1];
	int64_t seen_ms;
	struct buf heads[LANE_NR];
};

struct row_alert {
	struct row_alert *next;
	bool opened; /* a stream's description, not an alert */
	struct catalogue_alert a;
	char json[];
};

/* Latest first. */
struct row_list {
	struct row_alert *first;
	size_t n, bytes;
};

struct rows {
	struct collector *c;
	struct sys_timer *timer;
	struct sys_work work;
	bool waiting, busy;
	/* Being written. */
	struct row_device *devices;
	size_t n_devices;
	struct catalogue_segment *segments;
	size_t n_segments;
	struct catalogue_stream *streams;
	size_t n_streams;
	struct row_list writing;
	struct row_list alerts; /* next work's */
	uint64_t left_out; /* of them, since the catalogue was written last */
	unsigned failures; /* of works, in a row */
	uint64_t done_arrival; /* streams touched later are new to it */
	uint64_t taken_arrival;
	int rc;
};

static void clear(struct rows *r)
{
	for (size_t i = 0; i < r->n_devices; i++) {
		for (int lane = 0; lane < LANE_NR; lane++) {
			buf_fini(&r->devices[i].heads[lane]);
		}
	}
	free(r->devices);
	free(r->segments);
	free(r->streams);
	r->devices = NULL;
	r->segments = NULL;
	r->streams = NULL;
	r->n_devices = r->n_segments = r->n_streams = 0;
	while (r->writing.first != NULL) {
		struct row_alert *a = r->writing.first;

		r->writing.first = a->next;
		free(a);
	}
	r->writing = (struct row_list){NULL, 0, 0};
}

/* ---- taking ---- */

struct counted {
	size_t devices, segments, streams;
};

static struct counted count(const struct rows *r)
{
	const struct store *s = &r->c->store;
	struct counted n = {0};

	for (size_t i = 0; i < s->room_devices; i++) {
		const struct device *d = s->devices[i];

		if (d == NULL) {
			continue;
		}
		n.devices += d->catalogue_dirty;
		for (struct segment *g = d->segments; g != NULL; g = g->next) {
			n.segments += g->catalogue_dirty;
		}
		for (size_t k = 0; k < d->n_streams; k++) {
			n.streams += d->streams[k].touched > r->done_arrival;
		}
	}
	return n;
}

static void take_segment(struct rows *r, struct segment *g)
{
	g->catalogue_dirty = g->dirty || g->committing;
	if (g->durable_bytes == 0) {
		return; /* Not on disk yet. */
	}
	r->segments[r->n_segments++] = (struct catalogue_segment){
		.device = g->device->id,
		.lane = g->name.lane,
		.number = g->name.number,
		.id = g->name.id,
		.part = g->name.part,
		.bytes = g->durable_bytes,
		.index = g->durable_index,
		.hash = g->durable_hash,
		.first_ms = g->first_ms,
		.last_ms = g->last_ms,
		.received_ms = g->received_ms,
		.first_arrival = g->first_arrival,
		.last_arrival = g->last_arrival,
		.records = g->records,
		.closed = g->closed && !g->catalogue_dirty,
	};
}

static void take_device(struct rows *r, struct device *d)
{
	struct row_device *row;

	for (struct segment *g = d->segments; g != NULL; g = g->next) {
		if (g->catalogue_dirty) {
			take_segment(r, g);
		}
	}
	for (size_t k = 0; k < d->n_streams; k++) {
		const struct stream *st = &d->streams[k];

		if (st->touched > r->done_arrival) {
			r->streams[r->n_streams++] = (struct catalogue_stream){
				d->id, st->id, st->durable, st->h_durable};
		}
	}
	if (!d->catalogue_dirty) {
		return;
	}
	d->catalogue_dirty = false;
	row = &r->devices[r->n_devices++];
	row->id = d->id;
	memcpy(row->name, d->name, sizeof row->name);
	row->seen_ms = d->seen_ms;
	for (int lane = 0; lane < LANE_NR; lane++) {
		const struct signed_head *h = &d->heads[lane];

		buf_init(&row->heads[lane], 4096);
		if (h->bytes != NULL) {
			/* Without memory the row keeps the head before. */
			buf_add(&row->heads[lane], h->bytes, h->n);
		}
	}
}

static bool take(struct rows *r)
{
	struct store *s = &r->c->store;
	struct counted n = count(r);

	if (n.devices + n.segments + n.streams == 0 && r->alerts.n == 0) {
		return false;
	}
	r->devices = calloc(n.devices + 1, sizeof *r->devices);
	r->segments = calloc(n.segments + 1, sizeof *r->segments);
	r->streams = calloc(n.streams + 1, sizeof *r->streams);
	if (r->devices == NULL || r->segments == NULL || r->streams == NULL) {
		clear(r);
		return false;
	}
	for (size_t i = 0; i < s->room_devices; i++) {
		if (s->devices[i] != NULL) {
			take_device(r, s->devices[i]);
		}
	}
	/* Streams that are not durable yet come again with the next work. */
	r->taken_arrival = s->durable_arrival;
	r->writing = r->alerts;
	r->alerts = (struct row_list){NULL, 0, 0};
	deliver_listing(r->c->deliver);
	return true;
}

/* ---- writing ---- */

static int write_devices(struct rows *r, struct catalogue *k)
{
	int rc = 0;

	for (size_t i = 0; i < r->n_devices && rc == 0; i++) {
		const struct row_device *d = &r->devices[i];

		rc = k->ops->device(k, &d->id, d->name, d->seen_ms);
		for (int lane = 0; lane < LANE_NR && rc == 0; lane++) {
			if (d->heads[lane].n > 0) {
				rc = k->ops->head(k, &d->id, (enum lane)lane,
						  buf_slice(&d->heads[lane]));
			}
		}
	}
	return rc;
}

static int write_all(struct rows *r)
{
	struct catalogue *k = r->c->catalogue;
	int rc = k->ops->begin(k);

	if (rc != 0) {
		return rc;
	}
	rc = write_devices(r, k);
	for (size_t i = 0; i < r->n_segments && rc == 0; i++) {
		rc = k->ops->segment(k, &r->segments[i]);
	}
	for (size_t i = 0; i < r->n_streams && rc == 0; i++) {
		rc = k->ops->stream(k, &r->streams[i]);
	}
	for (struct row_alert *a = r->writing.first; a != NULL && rc == 0;
	     a = a->next) {
		rc = a->opened ? k->ops->opened(k, &a->a.device, &a->a.stream,
						a->a.json)
			       : k->ops->alert(k, &a->a);
	}
	return rc != 0 ? rc : k->ops->commit(k);
}

static void on_run(struct sys_work *w)
{
	struct rows *r = w->arg;

	r->rc = write_all(r);
}

/* Nothing else brings alerts to the catalogue: they wait for the next work. */
static void put_back(struct rows *r)
{
	struct row_alert **end = &r->alerts.first;

	while (*end != NULL) {
		end = &(*end)->next;
	}
	*end = r->writing.first;
	r->alerts.n += r->writing.n;
	r->alerts.bytes += r->writing.bytes;
	r->writing = (struct row_list){NULL, 0, 0};
	rows_kick(r);
}

static void written(struct rows *r)
{
	if (r->rc != 0) {
		/* The next start finds it older than the files and completes its
		 * segments.  The first failure and then every doubling is told. */
		if ((r->failures & (r->failures + 1)) == 0) {
			log_warn("the catalogue could not be written; searching finds "
				 "what it knows and the files hold",
				 "error=\"%s\"", err_str(r->rc));
		}
		r->failures++;
		if (r->writing.n > 0) {
			put_back(r);
		}
	} else {
		r->failures = 0;
		r->left_out = 0;
	}
	r->done_arrival = r->taken_arrival;
	clear(r);
	if (r->rc == 0) {
		deliver_listed(r->c->deliver);
	}
}

static void on_done(struct sys_work *w)
{
	struct rows *r = w->arg;

	r->busy = false;
	written(r);
	if (r->c->stopping) {
		collector_wake(r->c);
	} else {
		deliver_kick(r->c->deliver); /* It may have waited for us. */
	}
}

static void write_after(struct rows *r, uint64_t ms)
{
	if (!r->c->stopping) {
		r->waiting = true;
		sys_timer_set(r->c->sys, r->timer, ms);
	}
}

static void on_timer(void *arg)
{
	struct rows *r = arg;

	r->waiting = false;
	if (r->busy) {
		rows_kick(r);
		return;
	}
	if (!take(r)) {
		if (r->alerts.n > 0) {
			rows_kick(r); /* No memory. */
		}
		return;
	}
	r->work = (struct sys_work){.run = on_run, .done = on_done, .arg = r};
	r->busy = sys_work_submit(r->c->sys, &r->work) == 0;
	if (!r->busy) {
		r->rc = UV_ENOMEM;
		written(r);
		deliver_kick(r->c->deliver);
	}
}

void rows_kick(struct rows *r)
{
	if (r != NULL && !r->waiting) {
		write_after(r, ROWS_EVERY_MS);
	}
}

bool rows_hold(struct rows *r)
{
	if (r == NULL || r->failures > 0 ||
	    (r->alerts.n < ROWS_MANY && r->alerts.bytes < ROWS_MANY_BYTES)) {
		return false;
	}
	if (!r->busy) {
		write_after(r, 0);
	}
	return true;
}

bool rows_owe(const struct rows *r)
{
	return r != NULL && r->failures == 0 && r->alerts.n + r->writing.n > 0;
}

void rows_flush(struct rows *r)
{
	if (r != NULL && !r->busy && take(r)) {
		r->rc = write_all(r);
		written(r);
	}
}

bool rows_busy(const struct rows *r)
{
	return r != NULL && r->busy;
}

static void leave_out(struct rows *r, const struct catalogue_alert *a)
{
	if (r->left_out++ == 0) {
		log_warn("more alerts wait for the catalogue than there is room for: they are "
			 "stored, and hooks have them, but searching for alerts won't find them",
			 "time_ms=%lld", (long long)a->time_ms);
	}
}

static void add(struct rows *r, const struct catalogue_alert *a, bool opened)
{
	struct row_alert *row = NULL;
	size_t n = sizeof *row + a->json.n + 1;

	if (r == NULL) {
		return;
	}
	if (r->alerts.bytes + n <= ROWS_MOST_BYTES) {
		row = malloc(n);
	}
	if (row == NULL) {
		leave_out(r, a);
		return;
	}
	row->a = *a;
	row->opened = opened;
	if (a->json.n > 0) {
		memcpy(row->json, a->json.p, a->json.n);
	}
	row->a.json = slice(row->json, a->json.n);
	row->next = r->alerts.first;
	r->alerts.first = row;
	r->alerts.n++;
	r->alerts.bytes += n;
	rows_kick(r);
}

void rows_alert(struct rows *r, const struct catalogue_alert *a)
{
	add(r, a, false);
}

void rows_opened(struct rows *r, const struct catalogue_alert *a)
{
	add(r, a, true);
}

int rows_new(struct rows **out, struct collector *c)
{
	struct rows *r;
	int rc;

	*out = NULL;
	if (c->catalogue == NULL) {
		return 0;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		return UV_ENOMEM;
	}
	r->c = c;
	rc = sys_timer_new(c->sys, &r->timer, on_timer, r);
	if (rc != 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void rows_free(struct rows *r)
{
	if (r == NULL) {
		return;
	}
	clear(r);
	r->writing = r->alerts;
	clear(r);
	sys_timer_free(r->c->sys, r->timer);
	free(r);
}
