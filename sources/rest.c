/* The rests of streams whose file is gone: among the rotation siblings of its name
 * (NAME.*, NAME-*, and those of the name it rotated from).  A renamed file has its inode;
 * a copy has at least as many bytes as the stream.
 *
 * A folder is listed once for all streams whose rest is missing there (a round).  What may
 * be somebody's rest is opened some files at a time, whenever no file waits to be
 * identified; when all were judged, the streams that still have none are told as gaps,
 * unless nothing of them can be missing.  While files are renamed there, one that was
 * listed may be another when it is opened, and one may not be listed at all: a round in
 * which the folder has changed finds what it finds, and says nothing of the others. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/siblings.h"

struct rest_entry {
	struct sibling s;
	char *family;
};

/* Under way while `due` is there. */
struct rest {
	struct known **due; /* whose rest it is about; sorted by path */
	size_t n_due;
	struct rest_entry *entries;
	size_t n, room, next;
	bool failed; /* not every file could be looked into */
	char *dir;   /* NULL: out of memory */
	int64_t dir_mtime_ns; /* before it was listed; 0: too recent to tell by, or unknown */
};

static bool pending(const struct known *k, const struct tail *t)
{
	return !k->present && !known_done(k) && k->st.path != NULL &&
	       scan_source_of(t, k->st.path) >= 0;
}

static bool due(const struct known *k, const struct tail *t)
{
	return k->wait_polls == 0 && k->searches < TAIL_SEARCHES &&
	       !k->replaced && pending(k, t);
}

/* ---- not found ---- */

/* It had been rotated away for a while and was read to its end, and had not grown for as
 * long, when it was last seen: whoever deletes it then takes nothing from us. */
static bool nothing_missing(const struct known *k)
{
	const struct stream_state *st = &k->st;

	return st->away_ns != 0 && st->seen_ns - st->away_ns >= TAIL_QUIET_NS &&
	       st->seen_ns - st->mtime_ns >= TAIL_QUIET_NS &&
	       st->acked >= st->size && st->acked >= st->top.position;
}

size_t rest_count(const struct tail *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];

		n += !k->st.gap_told && k->searches < TAIL_SEARCHES && pending(k, t) &&
		     !nothing_missing(k);
	}
	return n;
}

static bool has_settled(struct tail *t, const struct rest *r)
{
	return r->dir_mtime_ns != 0 &&
	       siblings_folder_time(t, r->dir) == r->dir_mtime_ns;
}

static void not_found(struct tail *t, struct known *k, bool settled)
{
	bool compressed = k->unread_copy;

	k->searching = false;
	if (!settled && k->unsettled < UNSETTLED_MAX) {
		k->unsettled++;
		k->wait_polls = 1;
		return;
	}
	/* A stream that was to begin inside its file, and never did: what the collector has of
	 * it ends at 0, and whose place it was to go on from tells of what is missing. */
	if (nothing_missing(k) || (known_blank(k) && k->st.start > 0)) {
		k->st.finished = true;
		k->st.position = k->st.acked;
		return;
	}
	k->searches++;
	k->wait_polls = 1u << (k->searches < 10 ? k->searches : 10);
	if (k->st.gap_told) {
		return;
	}
	k->st.gap_told = true;
	t->stats.gaps++;
	log_warn("the rest of a log file was not found, the collector is told",
		 "path=%s from=%llu compressed_copy=%s", k->st.path,
		 (unsigned long long)known_full(k), compressed ? "yes" : "no");
	if (t->cb.gap != NULL) {
		t->cb.gap(t->arg, &k->st, known_full(k),
			  compressed ? "rotated and compressed before it was "
				       "read to its end"
			  : k->live  ? "truncated or rewritten in place: what "
				       "was not read before is lost"
				     : "the file was not found again");
	}
}

/* ---- a round ---- */

static void rest_end(struct rest *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->entries[i].s.path);
		free(r->entries[i].family);
	}
	free(r->entries);
	free(r->due);
	free(r->dir);
	*r = (struct rest){0};
}

void rest_free(struct tail *t)
{
	if (t->rest != NULL) {
		rest_end(t->rest);
		free(t->rest);
		t->rest = NULL;
	}
}

static int add_entry(struct rest *r, const char *path, const char *family,
		     const struct sibling *s)
{
	struct rest_entry e = {.s = *s};

	if (r->n == r->room) {
		size_t room = 2 * r->room + 16;
		struct rest_entry *more =
			realloc(r->entries, room * sizeof more[0]);

		if (more == NULL) {
			return UV_ENOMEM;
		}
		r->entries = more;
		r->room = room;
	}
	e.s.path = strdup(path);
	e.family = strdup(family);
	if (e.s.path == NULL || e.family == NULL) {
		free(e.s.path);
		free(e.family);
		return UV_ENOMEM;
	}
	r->entries[r->n++] = e;
	return 0;
}

struct listing {
	struct tail *tail;
	const char *dir; /* with its slash */
	int error;
};

/* Whether one of the streams of this path wants to look into the file: all that do are
 * marked. */
static bool wanted(const struct listing *l, size_t first, size_t end, const char *path,
		   const struct sys_stat *st, struct sibling *out)
{
	struct rest *r = l->tail->rest;
	bool any = false;

	for (size_t i = first; i < end; i++) {
		struct known *k = r->due[i];
		struct siblings s = {.tail = l->tail, .path = k->st.path, .k = k,
				     .since_ns = INT64_MAX};
		struct sibling one;

		if (known_blank(k)) {
			/* It can't be proved to be anything: what is not older and
			 * not known comes under a stream of its own. */
			s.since_ns = k->good_mtime_ns;
		}
		k->unread_copy |= !content_can(content_kind_of_name(path));
		if (siblings_worth(&s, path, st, &one)) {
			one.same_inode |= any && out->same_inode;
			one.unseen |= any && out->unseen;
			*out = one;
			k->searching = any = true;
		}
	}
	return any;
}

static size_t end_of_path(const struct rest *r, size_t first)
{
	size_t end = first + 1;

	while (end < r->n_due &&
	       strcmp(r->due[end]->st.path, r->due[first]->st.path) == 0) {
		end++;
	}
	return end;
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct listing *l = arg;
	struct rest *r = l->tail->rest;
	char path[PATH_MAX];
	struct sys_stat st;
	bool looked = false, taken = false;
	int rc = 0;

	if (is_dir || snprintf(path, sizeof path, "%s%s", l->dir, name) >=
			      (int)sizeof path) {
		return 0;
	}
	for (size_t i = 0, end; i < r->n_due && rc == 0 && !taken; i = end) {
		const char *family = r->due[i]->st.path;
		struct sibling s;

		end = end_of_path(r, i);
		if (!names_related(name, family)) {
			continue;
		}
		if (!looked && scan_source_of(l->tail, path) >= 0) {
			return 0; /* What a glob matches, the scan finds. */
		}
		rc = looked ? 0 : sys_stat(l->tail->sys, path, &st);
		looked = true;
		/* A file has one family: it is judged by every stream there is. */
		taken = rc == 0 && wanted(l, i, end, path, &st, &s);
		if (taken) {
			rc = add_entry(r, path, family, &s);
		}
	}
	l->error = rc != 0 && rc != UV_ENOENT ? rc : l->error;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct known *const *)a)->st.path,
		      (*(struct known *const *)b)->st.path);
}

static int by_worth(const void *a, const void *b)
{
	const struct rest_entry *x = a, *y = b;

	return siblings_rather(&x->s, &y->s)   ? -1
	       : siblings_rather(&y->s, &x->s) ? 1
					       : 0;
}

/* Those of the folder of `first` whose turn it is. */
static int collect(struct tail *t, const struct known *first)
{
	size_t dir_n = (size_t)(names_base(first->st.path) - first->st.path);
	struct rest *r = t->rest;

	r->due = calloc(t->n_known, sizeof r->due[0]);
	if (r->due == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (k->st.path == NULL ||
		    strncmp(k->st.path, first->st.path, dir_n) != 0 ||
		    names_base(k->st.path) != k->st.path + dir_n || !due(k, t)) {
			continue;
		}
		if (file_wake_copies(t, &k->st.id)) {
			k->wait_polls = 1;
			continue;
		}
		k->searching = k->unread_copy = k->search_failed = false;
		r->due[r->n_due++] = k;
	}
	qsort(r->due, r->n_due, sizeof r->due[0], by_path);
	return 0;
}

/* Those for whom there is nothing to look into. */
static void settle_idle(struct tail *t, int error)
{
	struct rest *r = t->rest;
	bool settled = has_settled(t, r);

	for (size_t i = 0; i < r->n_due; i++) {
		struct known *k = r->due[i];

		if (k->searching) {
			k->search_failed |= error != 0;
		} else if (error != 0) {
			k->wait_polls = 1; /* Not known to be gone: ask again. */
		} else {
			not_found(t, k, settled);
		}
	}
	/* They may be forgotten before the round is over. */
	free(r->due);
	r->due = NULL;
	r->n_due = 0;
}

static void begin(struct tail *t, struct known *first)
{
	struct rest *r = t->rest;
	struct listing l = {.tail = t};
	char dir[PATH_MAX], listed[PATH_MAX];
	size_t dir_n = (size_t)(names_base(first->st.path) - first->st.path), most;
	int rc;

	if (dir_n >= sizeof dir) {
		return; /* No such path can be opened either. */
	}
	memcpy(dir, first->st.path, dir_n);
	dir[dir_n] = '\0';
	memcpy(listed, dir, dir_n + 1);
	listed[dir_n > 1 ? dir_n - 1 : dir_n] = '\0';
	l.dir = dir;
	l.error = collect(t, first);
	if (r->n_due == 0) {
		first->wait_polls = 1;
		rest_end(r);
		return;
	}
	r->dir = strdup(listed);
	r->dir_mtime_ns = siblings_folder_time(t, r->dir);
	rc = sys_list(t->sys, listed, on_entry, &l);
	if (rc != 0 && rc != UV_ENOENT && rc != UV_ENOTDIR) {
		l.error = rc;
	}
	if (l.error != 0) {
		tail_trouble(t, listed, l.error,
			     "cannot look for rotated log files, trying again");
	}
	if (r->n > 1) {
		qsort(r->entries, r->n, sizeof r->entries[0], by_worth);
	}
	most = SIBLINGS + 2 * r->n_due;
	while (r->n > most) {
		r->n--;
		free(r->entries[r->n].s.path);
		free(r->entries[r->n].family);
	}
	log_debug("looked for the rests of log files", "folder=%s streams=%zu found=%zu",
		  dir, r->n_due, r->n);
	settle_idle(t, l.error);
	if (r->n == 0) {
		rest_end(r);
	}
}

/* Some more of them. */
static void open_some(struct tail *t)
{
	struct rest *r = t->rest;

	for (int opened = 0; opened < SIBLINGS && r->next < r->n;) {
		struct rest_entry *e = &r->entries[r->next++];
		int rc = siblings_open(t, e->family, &e->s);

		opened += rc > 0;
		/* One that moved on is there by another name. */
		r->failed |= rc < 0;
		if (rc < 0 && rc != UV_ENOENT) {
			r->next = r->n;
		}
	}
}

/* Every sibling was judged: who still has no file, has none. */
static void finish(struct tail *t)
{
	bool failed = t->rest->failed, settled = has_settled(t, t->rest);

	rest_end(t->rest);
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (!k->searching) {
			continue;
		}
		k->searching = pending(k, t);
		if (k->searching && (failed || k->search_failed)) {
			k->searching = false;
			k->wait_polls = 1;
		} else if (k->searching) {
			not_found(t, k, settled);
		}
	}
}

bool rest_step(struct tail *t)
{
	struct rest *r = t->rest;

	if (r == NULL) {
		r = t->rest = calloc(1, sizeof *r);
	}
	if (r == NULL) {
		return false; /* The next poll tries again. */
	}
	if (r->next < r->n) {
		open_some(t);
		return true;
	}
	if (r->n > 0) {
		finish(t);
		return true;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		if (due(t->known[i], t)) {
			begin(t, t->known[i]);
			return true;
		}
	}
	return false;
}
