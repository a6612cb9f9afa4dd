#include "collector/scan_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/scan_log.h"
#include "collector/share.h"
#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

/* ---- reading one segment ---- */

static int add_items(struct scan *sc, const struct segment_entry *e)
{
	for (size_t i = 0; i < e->head.n_streams; i++) {
		const struct batch_stream *b = &e->head.streams[i];

		if (sc->n_items == sc->room_items) {
			size_t room = sc->room_items == 0 ? 256
							  : sc->room_items * 2;
			struct scan_item *v = realloc(sc->items, room * sizeof *v);

			if (v == NULL) {
				return UV_ENOMEM;
			}
			sc->items = v;
			sc->room_items = room;
		}
		sc->items[sc->n_items++] = (struct scan_item){
			.arrival = e->envelope.arrival,
			.offset = e->offset,
			.next = e->next,
			.found = (uint32_t)sc->n_found,
			.part = e->part,
			.stream = b->id,
			.from = envelope_take_from(&e->envelope, i, b->start),
			.end = b->end,
			.h = b->h,
		};
	}
	return 0;
}

static int take_head(struct device *d, struct slice bytes)
{
	struct head h;

	if (d->spki.p == NULL || head_verify(&h, bytes, d->spki) != 0) {
		return 0; /* `nightjar store verify` tells. */
	}
	return device_set_head(d, &h, bytes);
}

static int read_segment(struct scan *sc, const struct segment_name *name)
{
	struct store *s = sc->store;
	struct segment_reader r;
	struct segment_entry e;
	struct scan_found *f = &sc->found[sc->n_found];
	int rc = segment_reader_open(&r, s->sys, sc->dir, name);

	*f = (struct scan_found){.trouble = rc, .last_part = true};
	if (rc != 0) {
		f->part = r.name.part;
		f->last_part = r.name.part >= r.last_part;
		return rc == UV_ENOMEM ? rc : 0;
	}
	if (sc->device->name[0] == '\0') {
		snprintf(sc->device->name, sizeof sc->device->name, "%s",
			 r.device_name);
	}
	while ((rc = segment_reader_next(&r, &e)) == 1) {
		int added = 0;

		sc->report->steps++;
		if (e.kind == ENTRY_HEAD_SIGNED) {
			added = take_head(sc->device, e.signed_head);
		} else {
			added = add_items(sc, &e);
			if (e.envelope.durable > sc->committed) {
				sc->committed = e.envelope.durable;
			}
			if (e.envelope.arrival > s->arrival) {
				s->arrival = e.envelope.arrival;
			}
		}
		if (added != 0) {
			segment_reader_close(&r);
			return added;
		}
	}
	f->trouble = rc;
	f->part = r.name.part;
	f->offset = r.fd >= 0 ? r.entries.offset : 0;
	f->last_part = r.name.part == r.last_part;
	segment_reader_close(&r);
	return rc == UV_ENOMEM ? rc : 0;
}

/* ---- what W is ---- */

static int by_arrival(const void *a, const void *b)
{
	const struct scan_item *x = a, *y = b;

	if (x->arrival != y->arrival) {
		return x->arrival < y->arrival ? -1 : 1;
	}
	if (x->found != y->found) {
		return x->found < y->found ? -1 : 1;
	}
	return x->offset == y->offset ? 0 : x->offset < y->offset ? -1 : 1;
}

/* A batch that nothing leads up to: its predecessor, in another file, was lost in
 * a crash before either was acknowledged. */
static bool hangs_in_the_air(const struct scan *sc, const struct scan_item *v,
			     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct stream *st =
			device_find_stream(sc->device, &v[i].stream);

		if (v[i].from > (st == NULL ? 0 : st->received)) {
			return true;
		}
	}
	return false;
}

static int apply(struct scan *sc, const struct scan_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct stream *st = device_stream(sc->device, &v[i].stream);

		if (st == NULL) {
			return UV_ENOMEM;
		}
		if (v[i].end > st->received) {
			st->received = v[i].end;
			st->h_received = v[i].h;
		}
		if (v[i].arrival > st->touched) {
			st->touched = v[i].arrival;
		}
	}
	return 0;
}

static int replay(struct scan *sc, const struct segment_list *l)
{
	size_t n;

	if (sc->n_items > 1) {
		qsort(sc->items, sc->n_items, sizeof *sc->items, by_arrival);
	}
	for (size_t i = 0; i < sc->n_items; i += n) {
		const struct scan_item *v = &sc->items[i];
		struct scan_found *f = &sc->found[v->found];
		struct segment_name at = l->v[v->found];
		char path[STORE_PATH];
		int rc;

		for (n = 1; i + n < sc->n_items &&
			    v[n].found == v->found &&
			    v[n].arrival == v->arrival &&
			    v[n].offset == v->offset;
		     n++) {
		}
		if (f->cut) {
			continue;
		}
		if (v->arrival > sc->committed && v->part == f->part &&
		    f->last_part && hangs_in_the_air(sc, v, n)) {
			at.part = v->part;
			segment_path(path, sc->dir, &at);
			scan_set_aside(sc, path, v->offset, "dropped",
				  "an end that was never acknowledged "
				  "continues nothing: taken out");
			f->cut = true;
			sc->report->dropped++;
			continue;
		}
		rc = apply(sc, v, n);
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

/* ---- one device ---- */

static bool vouched_for(struct scan *sc, const struct segment_name *name)
{
	struct catalogue_segment row;
	struct sys_stat st;
	char path[STORE_PATH];

	if (!sc->trust || sc->catalogue == NULL ||
	    sc->catalogue->ops->find_segment(sc->catalogue, &sc->device->id,
					     &name->id, &row) != 1) {
		return false;
	}
	segment_path(path, sc->dir, name);
	if (row.last_arrival > sc->store->given_out ||
	    device_owes(sc->device, row.last_arrival)) {
		return false; /* What reads on there needs it in memory. */
	}
	if (!row.closed || row.part != name->part ||
	    sys_stat(sc->store->sys, path, &st) != 0 || st.size != row.bytes) {
		return false;
	}
	if (row.last_arrival > sc->store->arrival) {
		sc->store->arrival = row.last_arrival;
	}
	if (row.last_arrival > sc->committed) {
		sc->committed = row.last_arrival;
	}
	return true;
}

/* Until where the last part of this segment is surely on the disk. */
static uint64_t sure_until(const struct scan *sc, size_t found, uint32_t part)
{
	uint64_t sure = 0;

	for (size_t i = 0; i < sc->n_items; i++) {
		const struct scan_item *v = &sc->items[i];

		if (v->found == found && v->part == part &&
		    v->arrival <= sc->committed && v->next > sure) {
			sure = v->next;
		}
	}
	return sure;
}

/* Writes what stands in the file from `from` on once more, in its place. */
static int write_again(struct scan *sc, int fd, uint64_t from)
{
	struct sys *sys = sc->store->sys;
	char chunk[16 * 1024];

	for (;;) {
		int64_t got = sys_pread(sys, fd, chunk, sizeof chunk, from);
		int rc = got <= 0 ? (int)got
				  : sys_pwrite_all(sys, fd, chunk, (size_t)got,
						   from);

		if (got <= 0 || rc != 0) {
			return rc;
		}
		from += (uint64_t)got;
		sc->report->steps++;
	}
}

static int sync_part(struct scan *sc, const struct segment_name *name,
		     size_t found)
{
	char path[STORE_PATH];
	int fd, rc;

	segment_path(path, sc->dir, name);
	fd = sys_open(sc->store->sys, path, O_RDWR, 0);
	if (fd < 0) {
		return fd == UV_ENOENT ? 0 : fd;
	}
	rc = write_again(sc, fd,
			 sure_until(sc, found, name->part));
	if (rc == 0) {
		rc = sys_fdatasync(sc->store->sys, fd);
	}
	sys_close(sc->store->sys, fd);
	return rc;
}

/* What the process before this one may not have synced is written again before it is:
 * had a sync of it failed, then its pages count as clean and are on no disk.  Of every
 * part: when the last one's head is torn, what the one before holds counts. */
static int sync_file(struct scan *sc, const struct segment_name *name,
		     size_t found)
{
	struct segment_name part = *name;
	int rc = 0;

	for (part.part = 0; part.part <= name->part && rc == 0; part.part++) {
		rc = sync_part(sc, &part, found);
	}
	return rc;
}

/* After cutting: what each file holds now is synced, and known in memory. */
static int take_up(struct scan *sc, const struct segment_list *l)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		struct segment *g;

		if (sc->found[i].trouble == 1 ||
		    scan_is_systems(sc->found[i].trouble)) {
			continue; /* Vouched for, or not to be read. */
		}
		rc = sync_file(sc, &l->v[i], i);
		if (rc == 0 && store_segment_load(sc->store, sc->device,
						  &l->v[i], &g) == 0) {
			g->catalogue_dirty = true;
		}
	}
	return rc != 0 ? rc : sys_sync_dir(sc->store->sys, sc->dir);
}

static int read_device(struct scan *sc, struct segment_list *l)
{
	int rc = 0;

	sc->n_items = sc->n_found = 0;
	sc->committed = 0;
	for (size_t i = 0; i < sc->device->n_streams; i++) {
		const struct stream *st = &sc->device->streams[i];

		if (st->touched > sc->committed) {
			sc->committed = st->touched;
		}
	}
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		sc->report->segments++;
		if (vouched_for(sc, &l->v[i])) {
			sc->found[i] = (struct scan_found){.trouble = 1};
			sc->report->trusted++;
		} else {
			sc->n_found = i;
			rc = read_segment(sc, &l->v[i]);
		}
	}
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		if (sc->found[i].trouble < 0) {
			scan_resolve(sc, &sc->found[i], &l->v[i]);
		}
	}
	if (rc == 0) {
		rc = replay(sc, l);
	}
	if (rc == 0) {
		rc = take_up(sc, l);
	}
	for (size_t i = 0; i < sc->device->n_streams && rc == 0; i++) {
		struct stream *st = &sc->device->streams[i];

		st->durable = st->received;
		st->h_durable = st->h_received;
	}
	return rc;
}

/* What is owed is as good as nothing when it is damaged: all that the cursor does not
 * cover is given out. */
static int read_owed(struct scan *sc)
{
	struct device *d = sc->device;
	int rc = share_owed_read(sc->store->sys, sc->dir, &d->owed_from,
				 &d->owed_until);

	if (rc != 0) {
		d->owed_from = d->owed_until = 0;
	}
	if (rc != 0 && rc != UV_ENOENT) {
		log_error("what another collector had not given out can't be read",
			  "path=%s error=\"%s\"", sc->dir, err_str(rc));
	}
	return scan_is_systems(rc) && rc != UV_ENOENT ? rc : 0;
}

static int scan_device(struct scan *sc)
{
	struct segment_list l;
	int rc = 0;

	sc->device->dir_made = true;
	store_device_dir(sc->store, sc->device, sc->dir);
	if (share_is_on(sc->store)) {
		rc = read_owed(sc);
	}
	rc = rc == 0 ? segment_list_read(&l, sc->store->sys, sc->dir) : rc;
	if (rc != 0) {
		return rc;
	}
	sc->found = calloc(l.n + 1, sizeof *sc->found);
	rc = sc->found == NULL ? UV_ENOMEM : read_device(sc, &l);
	free(sc->found);
	sc->found = NULL;
	segment_list_fini(&l);
	return rc;
}

int store_scan_device(struct store *s, struct device *d,
		      struct scan_report *report)
{
	struct scan sc = {.store = s, .report = report, .device = d};
	int rc = scan_device(&sc);

	free(sc.items);
	return rc;
}

/* In a shared store only what bears our name. */
static int find_device(struct store *s, const char *name, bool is_dir,
		       struct device **out)
{
	struct device d = {0};
	int rc;

	*out = NULL;
	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	memcpy(d.owner, s->member, sizeof d.owner);
	rc = share_is_on(s) ? share_owns(s, &d) : 1;
	if (rc <= 0) {
		return rc;
	}
	*out = store_device(s, &d.id);
	return *out == NULL ? UV_ENOMEM : 0;
}

static int on_device(void *arg, const char *name, bool is_dir)
{
	struct scan *sc = arg;
	int rc = find_device(sc->store, name, is_dir, &sc->device);

	if (rc != 0 || sc->device == NULL) {
		return rc;
	}
	rc = scan_device(sc);
	if (rc == UV_ENOENT && share_is_on(sc->store) &&
	    share_owns(sc->store, sc->device) == 0) {
		/* Taken from us at this moment. */
		store_lose_device(sc->store, sc->device);
		return 0;
	}
	sc->device->ours = rc == 0 && share_is_on(sc->store);
	return rc;
}

/* So that other members' logs are asked about it. */
static int on_name(void *arg, const char *name, bool is_dir)
{
	struct device *d;

	return find_device(arg, name, is_dir, &d);
}

/* ---- the catalogue ---- */

struct ahead {
	struct scan *sc;
	bool ahead;
};

static int on_row(void *arg, const struct catalogue_segment *row)
{
	struct ahead *a = arg;
	struct segment_name name = {row->lane, row->number, row->id, row->part};
	struct device d = {0};
	struct sys_stat st;
	char dir[STORE_PATH], path[STORE_PATH];

	hash32_hex(d.hex, &row->device);
	memcpy(d.owner, a->sc->store->member, sizeof d.owner);
	if (share_is_on(a->sc->store) && share_owns(a->sc->store, &d) == 0) {
		return 0; /* Another member's by now. */
	}
	store_device_dir(a->sc->store, &d, dir);
	segment_path(path, dir, &name);
	a->ahead = sys_stat(a->sc->store->sys, path, &st) != 0 ||
		   st.size < row->bytes;
	return a->ahead;
}

static void check_catalogue(struct scan *sc)
{
	struct ahead a = {.sc = sc};
	int rc;

	if (sc->catalogue == NULL) {
		return;
	}
	rc = sc->catalogue->ops->each_segment(sc->catalogue, on_row, &a);
	if (rc < 0 || a.ahead) {
		log_warn("the catalogue claims more than the files hold: "
			 "rebuilding it");
		sc->catalogue->ops->clear(sc->catalogue);
		sc->report->rebuilt = true;
		sc->trust = false;
	}
}

int store_scan(struct store *s, struct catalogue *catalogue,
	       struct scan_report *report, char why[static 512])
{
	struct scan sc = {.store = s, .catalogue = catalogue,
			  .report = report};
	char devices[STORE_PATH];
	int rc;

	*report = (struct scan_report){0};
	rc = scan_log_read(s, &sc.trust);
	if (rc == 0) {
		check_catalogue(&sc);
		snprintf(devices, sizeof devices, "%.*s/devices",
			 STORE_PATH - 32, s->dir);
		if (share_is_on(s)) {
			rc = sys_list(s->sys, devices, on_name, s);
			rc = rc == 0 ? scan_log_read_others(s, report) : rc;
		}
		rc = rc == 0 ? sys_list(s->sys, devices, on_device, &sc) : rc;
		free(sc.items);
	}
	if (rc == 0) {
		rc = sys_sync_dir(s->sys, devices);
	}
	if (rc != 0) {
		snprintf(why, 512,
			 "%.400s: the store can't be read back (%s); check the "
			 "disk and the directory's owner",
			 s->dir, err_str(rc));
		return rc;
	}
	s->durable_arrival = s->arrival;
	for (size_t i = 0; i < s->room_devices; i++) {
		if (s->devices[i] != NULL) {
			s->devices[i]->catalogue_dirty = true;
		}
	}
	return 0;
}
