#include "collector/take_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/deliver.h"
#include "collector/scan_log.h"
#include "collector/share.h"
#include "common/err.h"

enum { TAKE_TRIES = 16 }; /* others may be quicker that often */

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
static int owed_since_claim(struct store *s, const struct take_item *it,
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
static int owed_from(struct store *s, const struct take_item *it, const char *dir,
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
static int claim(struct store *s, struct take_item *it)
{
	char dir[STORE_PATH];
	int rc;

	share_folder(s, it->scratch, it->from, dir);
	rc = owed_from(s, it, dir, &it->owed_from);
	return rc == 0 ? share_claim_write(s->sys, dir, s->member, it->owed_from)
		       : rc;
}

/* It has been taken, and back, since the claim: what was owed then is owed still. */
static int owed_now(struct store *s, struct take_item *it, const char *dir)
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

/* Another has begun to, and gets on with it: what it has done would have to be done again. */
static bool is_being_taken(struct store *s, const struct take_item *it,
			   struct beats *beats)
{
	char taker[OWNER_ROOM];
	const char *dot = strchr(it->from, '.');

	snprintf(taker, sizeof taker, "%.*s", (int)strcspn(it->from, "."),
		 it->from);
	return dot != NULL && strcmp(taker, s->member) != 0 &&
	       beat_goes_on(beats, s, taker, &it->scratch->id);
}

static void taking_name(const struct store *s, char out[static OWNER_ROOM])
{
	snprintf(out, OWNER_ROOM, "%.31s.taking", s->member);
}

int take_fence(struct store *s, struct take_item *it, struct beats *beats)
{
	char taking[OWNER_ROOM];

	taking_name(s, taking);
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
		if (is_being_taken(s, it, beats)) {
			return ERR_AGAIN;
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
		       const char *dir, const struct segment_name *name,
		       struct scan_report *report)
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

			report->steps++;
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

static int copy_bytes(struct sys *sys, const char *from, const char *to,
		      struct scan_report *report)
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
		report->steps++;
	} while (got > 0 && rc == 0);
	rc = rc == 0 ? sys_fdatasync(sys, out) : rc;
	sys_close(sys, out);
	sys_close(sys, in);
	return rc;
}

/* What the one before has open is a file without a name from here on. */
static int copy_file(struct store *s, const char *dir,
		     const struct segment_name *name,
		     struct scan_report *report)
{
	char path[STORE_PATH], copy[STORE_PATH + 8];
	int rc;

	segment_path(path, dir, name);
	snprintf(copy, sizeof copy, "%s.copy", path);
	rc = copy_bytes(s->sys, path, copy, report);
	if (rc == 0) {
		rc = sys_rename(s->sys, copy, path);
	} else {
		sys_unlink(s->sys, copy);
	}
	return rc;
}

static int copy_files(struct store *s, const struct device *d,
		      struct scan_report *report)
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
		if (!is_settled(s, d, dir, &l.v[i], report)) {
			rc = copy_file(s, dir, &l.v[i], report);
		}
	}
	segment_list_fini(&l);
	return rc == 0 ? sys_sync_dir(s->sys, dir) : rc;
}

/* ---- both ---- */

int take_settle(struct store *s, struct take_item *it,
		struct scan_report *report)
{
	struct device *d = it->scratch;
	char dir[STORE_PATH], taking[OWNER_ROOM];
	bool foreign = it->from[0] != '\0' && strcmp(it->from, s->member) != 0;
	int rc = 0;

	taking_name(s, taking);
	if (foreign) {
		snprintf(d->owner, sizeof d->owner, "%s", taking);
		store_device_dir(s, d, dir);
		rc = owed_now(s, it, dir);
		rc = rc == 0 ? copy_files(s, d, report) : rc;
	}
	rc = rc == 0 ? store_scan_device(s, d, report) : rc;
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
