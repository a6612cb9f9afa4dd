#include "collector/take.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/deliver.h"
#include "collector/scan.h"
#include "collector/scan_log.h"
#include "collector/share.h"
#include "common/err.h"
#include "common/log.h"

enum {
	TAKE_ITEMS = 64, /* in one job: the logs are read once for all of them */
	TAKE_TRIES = 16, /* others may be quicker that often */
};

struct item {
	struct device *device;  /* the store's: not the job's to look at */
	struct device *scratch; /* the job's */
	char from[OWNER_ROOM];  /* "": nobody's */
	uint64_t owed_from;
	int rc;
};

struct take {
	struct collector *c;
	struct sys_work work;
	bool busy;
	struct device **queue;
	size_t n, room;
	struct item items[TAKE_ITEMS];
	size_t n_items;
	struct store scratch; /* what the job finds */
	struct scan_report report;
	uint64_t taken, lost;
};

/* ---- the folder ---- */

/* A folder that is made complete and then gets its name: of two that do so one succeeds. */
static int birth(struct store *s, const struct device *d)
{
	char devices[STORE_PATH], made[STORE_PATH], ours[STORE_PATH],
		named[STORE_PATH];
	int rc;

	snprintf(devices, sizeof devices, "%.*s/devices", STORE_PATH - 128,
		 s->dir);
	snprintf(made, sizeof made, "%.*s/birth.%s", STORE_PATH - 64, devices,
		 s->member);
	snprintf(ours, sizeof ours, "%.*s/%s", STORE_PATH - 48, made,
		 s->member);
	share_folder(s, d, "", named);
	rc = sys_mkdir(s->sys, made, 0700);
	if (rc == 0 || rc == UV_EEXIST) {
		rc = sys_mkdir(s->sys, ours, 0700);
	}
	rc = rc == UV_EEXIST ? 0 : rc;
	rc = rc == 0 ? sys_sync_dir(s->sys, made) : rc;
	rc = rc == 0 ? sys_rename(s->sys, made, named) : rc;
	return rc == 0 ? sys_sync_dir(s->sys, devices) : rc;
}

static int rename_owner(struct store *s, const struct device *d,
			const char *from, const char *to)
{
	char old[STORE_PATH], new[STORE_PATH], parent[STORE_PATH];
	int rc;

	share_folder(s, d, from, old);
	share_folder(s, d, to, new);
	share_folder(s, d, "", parent);
	rc = strcmp(from, to) == 0 ? 0 : sys_rename(s->sys, old, new);
	return rc == 0 ? sys_sync_dir(s->sys, parent) : rc;
}

/* ---- what is owed ---- */

struct lowest {
	struct store *s;
	const char *only; /* NULL: of all members */
	uint64_t arrival;
};

static int on_cursor(void *arg, const char *name, const char *dir)
{
	struct lowest *l = arg;
	uint64_t arrival = UINT64_MAX;
	int rc = 0;

	if (l->only == NULL || strcmp(name, l->only) == 0) {
		rc = deliver_given_out(l->s->sys, dir, &arrival);
		l->arrival = arrival < l->arrival ? arrival : l->arrival;
	}
	return rc;
}

/* Left half-way: up to where its taker had found that was given out. */
static int owed_since_claim(struct store *s, const struct item *it,
			    const char *dir, uint64_t *from)
{
	char taker[OWNER_ROOM];
	uint64_t claimed = UINT64_MAX, owed = UINT64_MAX, until;
	int rc, claim_rc;

	snprintf(taker, sizeof taker, "%.*s", (int)strcspn(it->from, "."),
		 it->from);
	claim_rc = share_claim_read(s->sys, dir, taker, &claimed);
	if (scan_is_systems(claim_rc) && claim_rc != UV_ENOENT) {
		return claim_rc;
	}
	rc = share_owed_read(s->sys, dir, &owed, &until);
	if (rc != 0 && (scan_is_systems(rc) && rc != UV_ENOENT)) {
		return rc;
	}
	*from = rc == 0 && (claim_rc != 0 || owed < claimed) ? owed : claimed;
	return rc == 0 || claim_rc == 0 ? 0 : UV_ENOENT;
}

/* Up to where the one before has given out for certain, of what is in dir; read while it
 * has the device still, since what it finds is another's it passes over, and its cursor
 * goes on. */
static int owed_from(struct store *s, const struct item *it, const char *dir,
		     uint64_t *from)
{
	struct lowest l = {s, it->from, UINT64_MAX};
	bool half_way = strchr(it->from, '.') != NULL;
	uint64_t until;
	int rc = half_way ? owed_since_claim(s, it, dir, from)
			  : share_owed_read(s->sys, dir, from, &until);

	if (rc == 0 || (scan_is_systems(rc) && rc != UV_ENOENT)) {
		return rc; /* Still owed since a time before. */
	}
	if (half_way || rc != UV_ENOENT) {
		l.only = NULL; /* By whom it was had is not known. */
	}
	rc = share_members(s, on_cursor, &l);
	*from = l.arrival == UINT64_MAX ? 0 : l.arrival;
	return rc;
}

/* Written down in the folder itself before it is taken, for who finds it half-way. */
static int claim(struct store *s, struct item *it)
{
	char dir[STORE_PATH];
	int rc;

	share_folder(s, it->scratch, it->from, dir);
	rc = owed_from(s, it, dir, &it->owed_from);
	return rc == 0 ? share_claim_write(s->sys, dir, s->member, it->owed_from)
		       : rc;
}

/* It has been taken, and back, since the claim: what was owed then is owed still. */
static int owed_now(struct store *s, struct item *it, const char *dir)
{
	uint64_t from, until;
	int rc = share_owed_read(s->sys, dir, &from, &until);

	if (rc == 0 && from < it->owed_from) {
		it->owed_from = from;
	}
	if (scan_is_systems(rc) && rc != UV_ENOENT) {
		return rc;
	}
	return share_owed_write(s->sys, dir, it->owed_from, UINT64_MAX);
}

/* ---- taking it ---- */

/* From here on nobody else has the device; it->from tells who had it. */
static int fence(struct store *s, struct item *it, const char *taking)
{
	for (int i = 0; i < TAKE_TRIES; i++) {
		int rc = share_find_owner(s, it->scratch, it->from);

		if (rc == UV_ENOENT) {
			rc = birth(s, it->scratch);
			it->from[0] = '\0';
			if (rc != UV_EEXIST && rc != UV_ENOTEMPTY) {
				return rc;
			}
			continue;
		}
		if (rc != 0 || strcmp(it->from, s->member) == 0) {
			return rc;
		}
		rc = it->from[0] == '\0' ? UV_ENOENT : claim(s, it);
		rc = rc == 0 ? rename_owner(s, it->scratch, it->from, taking)
			     : rc;
		if (rc != UV_ENOENT) {
			return rc;
		}
	}
	return ERR_AGAIN; /* It goes to and fro. */
}

/* ---- files that may still be written ---- */

/* The device has said that nothing more will come: nobody writes to it any more. */
static bool is_settled(struct store *s, const struct device *d,
		       const char *dir, const struct segment_name *name)
{
	struct segment_reader *r = malloc(sizeof *r);
	struct segment_entry *e = malloc(sizeof *e);
	bool closed = false;
	int rc = r == NULL || e == NULL
			 ? UV_ENOMEM
			 : segment_reader_open(r, s->sys, dir, name);

	if (rc == 0) {
		while ((rc = segment_reader_next(r, e)) == 1) {
			struct head h;

			closed = e->kind == ENTRY_HEAD_SIGNED &&
				 head_verify(&h, e->signed_head, d->spki) == 0 &&
				 h.state != HEAD_OPEN;
		}
		segment_reader_close(r);
	}
	free(e);
	free(r);
	return rc == 0 && closed;
}

static int copy_bytes(struct sys *sys, const char *from, const char *to)
{
	char chunk[16 * 1024];
	uint64_t put = 0;
	int64_t got = 0;
	int in = sys_open(sys, from, O_RDONLY, 0), out, rc = 0;

	if (in < 0) {
		return in;
	}
	out = sys_open(sys, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out < 0) {
		sys_close(sys, in);
		return out;
	}
	do {
		got = sys_pread(sys, in, chunk, sizeof chunk, put);
		rc = got <= 0 ? (int)got
			      : sys_pwrite_all(sys, out, chunk, (size_t)got,
					       put);
		put += got > 0 ? (uint64_t)got : 0;
	} while (got > 0 && rc == 0);
	rc = rc == 0 ? sys_fdatasync(sys, out) : rc;
	sys_close(sys, out);
	sys_close(sys, in);
	return rc;
}

/* What the one before has open is a file without a name from here on. */
static int copy_file(struct store *s, const char *dir,
		     const struct segment_name *name)
{
	char path[STORE_PATH], copy[STORE_PATH + 8];
	int rc;

	segment_path(path, dir, name);
	snprintf(copy, sizeof copy, "%s.copy", path);
	rc = copy_bytes(s->sys, path, copy);
	if (rc == 0) {
		rc = sys_rename(s->sys, copy, path);
	} else {
		sys_unlink(s->sys, copy);
	}
	return rc;
}

static int copy_files(struct store *s, const struct device *d)
{
	struct segment_list l;
	char dir[STORE_PATH];
	int rc;

	store_device_dir(s, d, dir);
	rc = segment_list_read(&l, s->sys, dir);
	if (rc != 0) {
		return rc;
	}
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		if (!is_settled(s, d, dir, &l.v[i])) {
			rc = copy_file(s, dir, &l.v[i]);
		}
	}
	segment_list_fini(&l);
	return rc == 0 ? sys_sync_dir(s->sys, dir) : rc;
}

/* ---- the job ---- */

static void scratch_init(struct store *scratch, const struct store *s)
{
	*scratch = (struct store){.sys = s->sys, .only_known = true,
				  .log_fd = -1};
	memcpy(scratch->dir, s->dir, sizeof scratch->dir);
	memcpy(scratch->own, s->own, sizeof scratch->own);
	memcpy(scratch->member, s->member, sizeof scratch->member);
	memcpy(scratch->id, s->id, sizeof scratch->id);
	memcpy(scratch->hash_key, s->hash_key, sizeof scratch->hash_key);
	buf_init(&scratch->log_pending, 1024 * 1024);
}

static int settle(struct take *t, struct item *it, const char *taking)
{
	struct store *s = &t->scratch;
	struct device *d = it->scratch;
	char dir[STORE_PATH];
	bool foreign = it->from[0] != '\0' && strcmp(it->from, s->member) != 0;
	int rc = 0;

	if (foreign) {
		snprintf(d->owner, sizeof d->owner, "%.39s", taking);
		store_device_dir(s, d, dir);
		rc = owed_now(s, it, dir);
		rc = rc == 0 ? copy_files(s, d) : rc;
	}
	rc = rc == 0 ? store_scan_device(s, d, &t->report) : rc;
	if (foreign && rc == 0) {
		d->owed_from = it->owed_from < s->arrival ? it->owed_from
							  : s->arrival;
		d->owed_until = s->arrival;
		rc = share_owed_write(s->sys, dir, d->owed_from, d->owed_until);
		/* What stays of it is never read. */
		share_claim_clear(s->sys, dir, s->member);
		rc = rc == 0 ? rename_owner(s, d, taking, s->member) : rc;
		snprintf(d->owner, sizeof d->owner, "%s", s->member);
	}
	return rc;
}

static void on_run(struct sys_work *w)
{
	struct take *t = w->arg;
	char taking[OWNER_ROOM + 8];
	int rc;

	snprintf(taking, sizeof taking, "%s.taking", t->scratch.member);
	for (size_t i = 0; i < t->n_items; i++) {
		struct item *it = &t->items[i];

		it->rc = it->rc == 0 ? fence(&t->scratch, it, taking) : it->rc;
	}
	rc = scan_log_read_others(&t->scratch);
	for (size_t i = 0; i < t->n_items; i++) {
		struct item *it = &t->items[i];

		it->rc = it->rc == 0 ? rc : it->rc;
		it->rc = it->rc == 0 ? settle(t, it, taking) : it->rc;
	}
}

/* ---- what the job has found becomes the store's ---- */

static int take_streams(struct device *d, const struct device *from)
{
	for (size_t i = 0; i < from->n_streams; i++) {
		const struct stream *f = &from->streams[i];
		struct stream *st = device_stream(d, &f->id);

		if (st == NULL) {
			return UV_ENOMEM;
		}
		if (f->durable >= st->durable) {
			st->received = st->durable = f->durable;
			st->h_received = st->h_durable = f->h_durable;
		}
		st->touched = f->touched > st->touched ? f->touched
						       : st->touched;
	}
	return 0;
}

static int take_heads(struct store *s, struct device *d,
		      const struct device *from)
{
	int rc = 0;

	for (int lane = 0; lane < LANE_NR && rc == 0; lane++) {
		const struct signed_head *h = &from->heads[lane];

		if (h->bytes != NULL) {
			rc = device_set_head(d, &h->head,
					     slice(h->bytes, h->n));
			rc = rc == 0 ? store_log(s, ENTRY_LOG_HEAD,
						 slice(h->bytes, h->n))
				     : rc;
		}
	}
	return rc;
}

static int merge(struct take *t, struct item *it)
{
	struct store *s = &t->c->store;
	struct device *d = it->device, *from = it->scratch;
	int rc = take_streams(d, from);

	if (rc == 0) {
		rc = take_heads(s, d, from);
	}
	if (rc != 0) {
		return rc;
	}
	d->segments = from->segments;
	d->n_segments = from->n_segments;
	from->segments = NULL;
	from->n_segments = 0;
	for (struct segment *g = d->segments; g != NULL; g = g->next) {
		g->device = d;
	}
	if (t->scratch.arrival > s->arrival) {
		s->arrival = t->scratch.arrival;
	}
	d->owed_from = from->owed_from;
	d->owed_until = from->owed_until;
	d->ours = d->dir_made = d->catalogue_dirty = true;
	deliver_taken(t->c->deliver, d);
	return 0;
}

static void take_kick(struct take *t);

static void on_done(struct sys_work *w)
{
	struct take *t = w->arg;

	t->busy = false;
	for (size_t i = 0; i < t->n_items; i++) {
		struct item *it = &t->items[i];

		it->rc = it->rc == 0 ? merge(t, it) : it->rc;
		it->device->taking = false;
		it->device->take_rc = it->rc;
		if (it->rc == 0 && it->from[0] != '\0') {
			t->taken++;
			log_info("a device comes from another collector of this "
				 "store",
				 "device=%s from=%s", it->device->name,
				 it->from);
		} else if (it->rc != 0) {
			log_error("a device can't be taken over from another "
				  "collector of this store",
				  "device=%s from=%s error=\"%s\"",
				  it->device->name, it->from, err_str(it->rc));
		}
	}
	t->n_items = 0;
	store_fini(&t->scratch, true);
	if (t->c->stopping) {
		collector_wake(t->c);
		return;
	}
	collector_retry_hellos(t->c);
	take_kick(t);
}

/* The job's own, with what is needed to check its heads. */
static int scratch_device(struct take *t, struct item *it)
{
	struct slice spki = it->device->spki;
	char *copy = malloc(spki.n + 1);

	it->scratch = copy == NULL
			      ? NULL
			      : store_device(&t->scratch, &it->device->id);
	if (it->scratch == NULL) {
		free(copy);
		return UV_ENOMEM;
	}
	memcpy(copy, spki.p, spki.n);
	it->scratch->spki = slice(copy, spki.n);
	return 0;
}

static void take_kick(struct take *t)
{
	int rc;

	if (t->busy || t->n == 0 || t->c->stopping) {
		return;
	}
	scratch_init(&t->scratch, &t->c->store);
	t->n_items = t->n < TAKE_ITEMS ? t->n : TAKE_ITEMS;
	for (size_t i = 0; i < t->n_items; i++) {
		t->items[i] = (struct item){.device = t->queue[i]};
		t->items[i].rc = scratch_device(t, &t->items[i]);
	}
	t->n -= t->n_items;
	memmove(t->queue, t->queue + t->n_items, t->n * sizeof t->queue[0]);
	t->work = (struct sys_work){.run = on_run, .done = on_done, .arg = t};
	rc = sys_work_submit(t->c->sys, &t->work);
	t->busy = rc == 0;
	if (rc == 0) {
		return;
	}
	for (size_t i = 0; i < t->n_items; i++) {
		t->items[i].device->taking = false;
		t->items[i].device->take_rc = rc;
	}
	t->n_items = 0;
	store_fini(&t->scratch, true);
}

static int want(struct take *t, struct device *d)
{
	if (t->n == t->room) {
		size_t room = t->room * 2 + 64;
		void *v = realloc(t->queue, room * sizeof t->queue[0]);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		t->queue = v;
		t->room = room;
	}
	t->queue[t->n++] = d;
	d->taking = true;
	take_kick(t);
	return d->taking ? ERR_AGAIN : d->take_rc;
}

int take_device(struct take *t, struct device *d)
{
	int owns = d->ours ? share_owns(&t->c->store, d) : 0, rc;

	if (d->taking) {
		return ERR_AGAIN;
	}
	if (owns != 0) {
		return owns < 0 ? owns : 0;
	}
	if (d->take_rc != 0) {
		rc = d->take_rc;
		d->take_rc = 0;
		return rc;
	}
	if (d->ours) {
		if (t->c->commit.state != COMMIT_IDLE) {
			return ERR_AGAIN; /* Asked again after it. */
		}
		take_lose(t, d);
	}
	return want(t, d);
}

void take_lose(struct take *t, struct device *d)
{
	struct collector *c = t->c;

	log_info("another collector of this store has this device now",
		 "device=%s id=%.16s", d->name, d->hex);
	t->lost++;
	if (d->session != NULL) {
		session_end(d->session, MSG_ERROR_BUSY, 1000,
			    "another collector of this store has this device "
			    "now");
	}
	deliver_lost(c->deliver, d);
	store_lose_device(&c->store, d);
}

bool take_busy(const struct take *t)
{
	return t != NULL && t->busy;
}

int take_new(struct take **out, struct collector *c)
{
	*out = calloc(1, sizeof **out);
	if (*out == NULL) {
		return UV_ENOMEM;
	}
	(*out)->c = c;
	return 0;
}

void take_free(struct take *t)
{
	if (t != NULL) {
		if (t->busy) {
			/* Only after a simulated crash: not its files. */
			store_fini(&t->scratch, false);
		}
		free(t->queue);
		free(t);
	}
}
