/* Whose turn it is: descriptors, and the places of files that were skipped.
 *
 * Whoever may make files in a folder that is read may make as many as there are
 * descriptors, and keep each of them busy.  So a descriptor is given up, in this order,
 * by
 *
 *	an empty file
 *	a file whose name is gone and that was read and acknowledged to its end
 *	a file that was read to its end      (of each, the one written longest ago)
 *	a file of the folder that has most, for one that has fewer
 *	a file that had its turn, for another of a folder that has no more, by lot
 *
 * What is closed by its name is opened by its name again: at the next scan that finds
 * room and something to read. */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

enum { NS_PER_MS = 1000000 };

/* ---- folders ---- */

struct folder *folder_of(struct tail *t, const char *path)
{
	size_t n = (size_t)(names_base(path) - path);
	uint64_t hash = tail_bytes_hash(path, n);
	struct folder **chain = &t->folders[hash % TAIL_FOLDERS], *d = *chain;

	while (d != NULL && (d->hash != hash || strlen(d->path) != n ||
			     memcmp(d->path, path, n) != 0)) {
		d = d->next;
	}
	if (d == NULL) {
		d = calloc(1, sizeof *d + n + 1);
		if (d == NULL) {
			return NULL;
		}
		memcpy(d->path, path, n);
		d->hash = hash;
		d->next = *chain;
		*chain = d;
	}
	return d;
}

static size_t skipped_in(const struct folder *d)
{
	return d->n_files - d->n_open;
}

static void sum_up(struct tail *t, bool all)
{
	for (size_t i = 0; i < TAIL_FOLDERS; i++) {
		struct folder **at = &t->folders[i];

		while (*at != NULL) {
			struct folder *d = *at;

			d->waited = d->waiting;
			d->waiting = 0;
			if ((d->n_files == 0 && d->waited == 0) || all) {
				*at = d->next;
				free(d);
			} else {
				d->told &= skipped_in(d) > t->folder_skipped / 2;
				at = &d->next;
			}
		}
	}
}

void folders_free(struct tail *t)
{
	sum_up(t, true);
}

static size_t by_open(const struct folder *d)
{
	return d->n_open;
}

static struct folder *most(const struct tail *t, size_t (*count)(const struct folder *))
{
	struct folder *best = NULL;

	for (size_t i = 0; i < TAIL_FOLDERS; i++) {
		for (struct folder *d = t->folders[i]; d != NULL; d = d->next) {
			if (best == NULL || count(d) > count(best)) {
				best = d;
			}
		}
	}
	return best;
}

/* ---- descriptors that nobody misses ---- */

/* Everything in it was handed on, and nothing hangs in the air. */
static bool drained(const struct file *f)
{
	return f->state == FILE_READING && !f->ready && !f->full &&
	       f->partial == 0 && f->s->position == f->size &&
	       f->s->lines.record_start == f->s->position;
}

/* Nothing is known of it that a later look would not find. */
static bool untouched(const struct file *f)
{
	return f->s == NULL && f->resume == NULL && f->in_glob && !f->fork &&
	       !(f->at_start &&
		 f->tail->options->files[f->source].from == SOURCES_FROM_END);
}

static bool empty(const struct file *f)
{
	return f->state == FILE_NEW && file_disk_size(f) == 0 && !f->ready &&
	       untouched(f);
}

/* 0: not at all. */
static int idleness(const struct file *f)
{
	if (f->fd < 0) {
		return 0;
	}
	if (empty(f)) {
		return f->gone ? 3 : 4;
	}
	if (!drained(f)) {
		return 0;
	}
	/* A file without a name can't be opened again. */
	return !f->gone ? 1
	       : !f->s->has_id || f->s->st.acked >= f->s->position ? 2
								   : 0;
}

static struct file *idle_victim(const struct tail *t)
{
	struct file *victim = NULL;
	int most_idle = 0;

	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];
		int idle = idleness(f);

		if (idle > most_idle ||
		    (idle > 0 && idle == most_idle &&
		     f->idle_since_ns < victim->idle_since_ns)) {
			victim = f;
			most_idle = idle;
		}
	}
	return victim;
}

bool room_may_be(const struct tail *t)
{
	return t->n_open < t->max_open || idle_victim(t) != NULL;
}

/* A quarter is left to files that have something to read. */
bool room_too_dear(const struct tail *t, const struct sys_stat *st)
{
	return st->size == 0 && t->n_open >= t->max_open - t->max_open / 4;
}

/* ---- descriptors that are taken away ---- */

static bool may_be_parked(const struct file *f)
{
	switch (f->state) {
	case FILE_NEW: case FILE_PROVING: case FILE_UNPACKING:
		return untouched(f);
	case FILE_READING:
		return f->in_glob && f->s->lines.record_start == f->s->position;
	default:
		return false; /* Soon it reads. */
	}
}

/* Rather one that can be opened again: the rest of one without a name would be lost; then in
 * the folder that has most; then the one that was read for longest. */
static bool rather(const struct file *a, const struct file *b)
{
	if (b == NULL || a->gone != b->gone) {
		return b == NULL || b->gone;
	}
	return a->folder->n_open != b->folder->n_open
		       ? a->folder->n_open > b->folder->n_open
		       : a->turn_ns < b->turn_ns;
}

/* What a folder has beyond another's share, or (turn) what was read for long enough of
 * those that have no less. */
static struct file *crowd_victim(const struct tail *t, const struct folder *for_one,
				 bool turn)
{
	int64_t before = sys_mono_ns(t->sys) - (int64_t)TAIL_TURN_MS * NS_PER_MS;
	size_t least = turn ? for_one->n_open : for_one->n_open + 2;
	struct file *victim = NULL;

	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		if (f->fd >= 0 && f->folder->n_open >= least && rather(f, victim) &&
		    (!turn || (f->turn_ns <= before && !f->gone)) &&
		    may_be_parked(f)) {
			victim = f;
		}
	}
	return victim;
}

/* Of those that wait in a folder, about as many as half of the descriptors are drawn
 * for each turn: by lot, since in the order of listing the first ones would always be
 * first. */
static bool drawn(const struct tail *t, const struct folder *d, const char *path)
{
	uint64_t turn = (uint64_t)(sys_mono_ns(t->sys) / NS_PER_MS / TAIL_TURN_MS);
	uint64_t lots = 1 + d->waited / (t->max_open / 2 + 1), lot[3];

	memcpy(lot, t->secret, sizeof lot[0]);
	lot[1] = turn;
	lot[2] = tail_path_hash(path);
	return tail_bytes_hash((const char *)lot, sizeof lot) % lots == 0;
}

static void take_from(struct file *f)
{
	if (f->s != NULL) {
		file_park(f, f->gone && drained(f) ? TAIL_ROTATED : TAIL_EVICTED);
	}
	file_free(f);
}

/* Whoever has to give way to one of the folder; the first one of it that finds nobody
 * speaks for the others of its scan, but for turns. */
static struct file *victim_for(struct tail *t, struct folder *d, const char *path)
{
	struct file *victim = NULL;

	if (d->refused != t->n_scans) {
		victim = idle_victim(t);
		victim = victim != NULL ? victim : crowd_victim(t, d, false);
	}
	if (victim == NULL) {
		d->refused = t->n_scans;
		victim = drawn(t, d, path) ? crowd_victim(t, d, true) : NULL;
	}
	return victim;
}

bool room_make(struct tail *t, struct folder *d, const char *path)
{
	while (t->n_open >= t->max_open) {
		struct file *victim = victim_for(t, d, path);

		if (victim == NULL) {
			d->waiting++;
			t->starved = true;
			return false;
		}
		take_from(victim);
	}
	return true;
}

void room_out_of_descriptors(struct tail *t)
{
	size_t few = t->n_open > TAIL_FEWEST_OPEN + TAIL_SPARE_FDS
			     ? t->n_open - TAIL_SPARE_FDS
			     : TAIL_FEWEST_OPEN;

	t->max_open = few < t->max_open ? few : t->max_open;
	while (t->n_open >= t->max_open) {
		struct file *victim = idle_victim(t);

		if (victim == NULL) {
			break;
		}
		take_from(victim);
	}
	t->starved = t->dry = true;
}

/* ---- places of skipped files ---- */

static struct file *oldest_skipped(const struct tail *t, const struct folder *d,
				   const struct file *but)
{
	struct file *oldest = NULL;

	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		/* (INT64_MIN: the next scan is to look at it again.) */
		if (f->folder == d && f->state == FILE_SKIPPED && f != but &&
		    f->mtime_ns != INT64_MIN &&
		    (oldest == NULL || f->mtime_ns < oldest->mtime_ns)) {
			oldest = f;
		}
	}
	return oldest;
}

static void tell_passed_over(struct tail *t, struct folder *d)
{
	static const char detail[] =
		"more compressed and copied log files than are remembered; of them the "
		"older ones are not looked at";
	char quoted[512];

	if (d->told) {
		return;
	}
	d->told = true;
	log_warn(detail, "folder=%s",
		 log_quote(quoted, sizeof quoted, slice_str(d->path)));
	if (t->cb.blind != NULL) {
		t->cb.blind(t->arg, slice_str(d->path), slice_str(detail));
	}
}

bool room_passed_over(struct tail *t, const char *path, const struct sys_stat *st)
{
	const char *base = names_base(path);
	struct folder *d;

	if ((t->n_skipped < t->folder_skipped && t->n_skipped < t->max_skipped) ||
	    (content_kind_of_name(path) == CONTENT_PLAIN &&
	     base[names_unrotated(base)] == '\0')) {
		return false;
	}
	d = folder_of(t, path);
	if (d == NULL || (skipped_in(d) < t->folder_skipped &&
			  t->n_skipped < t->max_skipped)) {
		return false;
	}
	if (!d->oldest_known) {
		const struct file *oldest = oldest_skipped(t, d, NULL);

		d->oldest_ns = oldest != NULL ? oldest->mtime_ns : INT64_MIN;
		d->oldest_known = true;
	}
	if (st->mtime_ns > d->oldest_ns) {
		return false;
	}
	tell_passed_over(t, d);
	return true;
}

void room_skipped(struct file *f)
{
	struct tail *t = f->tail;

	t->n_skipped++;
	f->folder->oldest_known = false;
	while (skipped_in(f->folder) > t->folder_skipped ||
	       t->n_skipped > t->max_skipped) {
		struct folder *d = skipped_in(f->folder) > t->folder_skipped
					   ? f->folder
					   : most(t, skipped_in);
		struct file *oldest = oldest_skipped(t, d, f);

		if (oldest == NULL) {
			return; /* They are all to be looked at again. */
		}
		file_free(oldest);
	}
}

/* ---- scans ---- */

void room_scan_begins(struct tail *t)
{
	t->n_scans++;
	t->starved = t->dry = false;
}

/* Says once that files wait for long; the folder that has most is named. */
static void tell_starved(struct tail *t)
{
	static const char detail[] = "more log files have something to read than may be "
				     "open at once (sources.max_open); they take turns";
	const struct folder *d = most(t, by_open);
	char quoted[512];

	if (t->blind_told || d == NULL) {
		return;
	}
	t->blind_told = true;
	log_warn(detail, "open=%zu most_in=%s most=%zu", t->n_open,
		 log_quote(quoted, sizeof quoted, slice_str(d->path)), d->n_open);
	if (t->cb.blind != NULL) {
		t->cb.blind(t->arg, slice_str(d->path), slice_str(detail));
	}
}

void room_scan_ends(struct tail *t)
{
	int64_t now = sys_mono_ns(t->sys);

	sum_up(t, false);
	if (!t->starved) {
		t->starved_since_ns = 0;
		t->blind_told = false;
	} else if (t->starved_since_ns == 0) {
		t->starved_since_ns = now;
	} else if (now - t->starved_since_ns >= (int64_t)TAIL_BLIND_MS * NS_PER_MS) {
		tell_starved(t);
	}
}
