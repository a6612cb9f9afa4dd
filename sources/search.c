/* Incarnations of a name that came and went between two looks: numbered siblings
 * that match no stream, and were written since the last one known.  (The rests of streams
 * that are known: rest.c) */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/siblings.h"

bool siblings_rather(const struct sibling *a, const struct sibling *b)
{
	return a->same_inode != b->same_inode ? a->same_inode
					      : a->mtime_ns > b->mtime_ns;
}

/* Keeps the best ones, in order. */
static int keep(struct siblings *s, const char *path, const struct sibling *new)
{
	size_t at = s->n;
	char *copy;

	while (at > 0 && siblings_rather(new, &s->found[at - 1])) {
		at--;
	}
	if (at == SIBLINGS) {
		return 0;
	}
	copy = strdup(path);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	if (s->n == SIBLINGS) {
		free(s->found[--s->n].path);
	}
	memmove(&s->found[at + 1], &s->found[at],
		(s->n - at) * sizeof s->found[0]);
	s->found[at] = *new;
	s->found[at].path = copy;
	s->n++;
	return 0;
}

static bool is_unseen(const struct siblings *s, int64_t mtime_ns)
{
	const struct tail *t = s->tail;

	return mtime_ns >= s->since_ns ||
	       (s->since_ns != INT64_MAX && mtime_ns >= t->set_back_ns &&
		mtime_ns <= sys_wall_ns(t->sys));
}

static bool read_already(const struct siblings *s, const struct sys_stat *st)
{
	const struct tail *t = s->tail;
	const struct known *other = known_by_inode(t, st->dev, st->ino);

	return file_find(t, st->dev, st->ino) != NULL ||
	       (other != NULL && other != s->k && known_done(other) &&
		other->st.size == st->size &&
		other->st.mtime_ns == st->mtime_ns);
}

/* What compresses keeps the time of last writing, of which seconds are left at worst;
 * the size says nothing. */
static bool packed_worth_a_look(const struct siblings *s, const char *path,
				const struct sys_stat *st, struct sibling *out)
{
	const struct known *k = s->k;
	int64_t coarse = st->mtime_ns + NS_PER_S;
	bool numbered = names_is_numbered(path, s->path);

	*out = (struct sibling){
		.mtime_ns = st->mtime_ns,
		.unseen = numbered && s->since_ns != INT64_MAX &&
			  is_unseen(s, coarse),
	};
	if (!content_can(content_kind_of_name(path))) {
		return false;
	}
	/* What is known from a time that has yet to come: the clock was put back, and times
	 * tell nothing. */
	return out->unseen ||
	       (k != NULL && (coarse > k->st.mtime_ns ||
			      k->st.mtime_ns > sys_wall_ns(s->tail->sys)));
}

bool siblings_worth(const struct siblings *s, const char *path,
		    const struct sys_stat *st, struct sibling *out)
{
	const struct known *k = s->k;

	if (st->size == 0 || read_already(s, st)) {
		return false;
	}
	if (content_kind_of_name(path) != CONTENT_PLAIN) {
		return packed_worth_a_look(s, path, st, out);
	}
	*out = (struct sibling){
		.mtime_ns = st->mtime_ns,
		.same_inode = k != NULL && k->st.ino != 0 &&
			      st->ino == k->st.ino && st->dev == k->st.dev,
		.unseen = is_unseen(s, st->mtime_ns) &&
			  names_is_numbered(path, s->path),
	};
	return out->unseen || (k != NULL && st->size >= known_full(k)) ||
	       (k != NULL && k->beyond && out->same_inode) ||
	       (s->tail->table_lost && names_is_numbered(path, s->path));
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct siblings *s = arg;
	struct sibling new;
	struct sys_stat st;
	char path[PATH_MAX];
	int rc;

	if (is_dir || !names_related(name, s->path) ||
	    snprintf(path, sizeof path, "%.*s%s", (int)s->dir_n, s->path,
		     name) >= (int)sizeof path ||
	    scan_source_of(s->tail, path) >= 0) {
		return 0; /* What a glob matches, the scan finds. */
	}
	rc = sys_stat(s->tail->sys, path, &st);
	if (rc == 0 && siblings_worth(s, path, &st, &new)) {
		rc = keep(s, path, &new);
	}
	s->error = rc != 0 && rc != UV_ENOENT ? rc : s->error;
	return 0;
}

int siblings_open(struct tail *t, const char *family, const struct sibling *s)
{
	struct file *f = NULL;
	int source = scan_source_of(t, family);
	int rc = source < 0 ? UV_EACCES
			    : scan_open(t, s->path, (uint32_t)source, false, &f);

	if (f == NULL) {
		return rc == UV_EACCES ? 0 : rc;
	}
	f->unseen = s->unseen;
	f->family = strdup(family);
	if (f->family == NULL) {
		file_free(f);
		return UV_ENOMEM;
	}
	return 1;
}

int64_t siblings_folder_time(struct tail *t, const char *dir)
{
	struct sys_stat st;

	if (dir == NULL || sys_stat(t->sys, dir, &st) != 0 ||
	    tail_is_recent(t, st.mtime_ns, TAIL_TICK_NS)) {
		return 0;
	}
	return st.mtime_ns;
}

/* s->error: not all siblings could be looked into. */
static void search(struct siblings *s)
{
	char dir[PATH_MAX];
	int64_t changed_ns;
	int rc;

	s->dir_n = (size_t)(names_base(s->path) - s->path);
	if (s->dir_n >= sizeof dir) {
		return;
	}
	memcpy(dir, s->path, s->dir_n);
	dir[s->dir_n > 1 ? s->dir_n - 1 : s->dir_n] = '\0';
	changed_ns = siblings_folder_time(s->tail, dir);
	rc = sys_list(s->tail->sys, dir, on_entry, s);
	if (rc != 0 && rc != UV_ENOENT && rc != UV_ENOTDIR) {
		s->error = rc;
	}
	log_debug("looked for rotated log files",
		  "path=%s since=%lld found=%zu", s->path,
		  (long long)s->since_ns, s->n);
	for (size_t i = 0; i < s->n; i++) {
		rc = siblings_open(s->tail, s->path, &s->found[i]);
		s->error = rc < 0 && rc != UV_ENOENT ? rc : s->error;
		free(s->found[i].path);
	}
	s->settled = changed_ns != 0 && siblings_folder_time(s->tail, dir) == changed_ns;
	if (s->error != 0) {
		tail_trouble(s->tail, dir, s->error,
			     "cannot look for rotated log files, trying again");
	}
}

static struct look *look_of(struct tail *t, const char *path)
{
	uint64_t hash = tail_path_hash(path);

	for (size_t i = 0; i < t->n_looks; i++) {
		if (t->looks[i].path_hash == hash &&
		    strcmp(t->looks[i].path, path) == 0) {
			return &t->looks[i];
		}
	}
	return NULL;
}

void search_again_for(struct tail *t, const struct file *f)
{
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (k->searching && names_related(f->path, k->st.path)) {
			k->unread_copy = true;
			k->search_failed |= file_is_fresh(f, TAIL_YOUNG_NS);
		}
	}
	if (f->unseen && f->family != NULL &&
	    file_is_fresh(f, TAIL_YOUNG_NS)) {
		search_later(t, f->family, f->mtime_ns);
	}
}

void search_later(struct tail *t, const char *path, int64_t since_ns)
{
	struct look *l;

	search_add(t, path, since_ns);
	l = look_of(t, path);
	if (l != NULL) {
		l->wait = true;
	}
}

void search_add(struct tail *t, const char *path, int64_t since_ns)
{
	struct look *looks, *l = look_of(t, path);

	if (l != NULL) {
		l->since_ns = since_ns < l->since_ns ? since_ns : l->since_ns;
		l->wait = false;
		l->found = false;
		l->unsettled = 0;
		return;
	}
	if (t->n_looks == t->room_looks) {
		size_t room = 2 * t->room_looks + 8;

		looks = realloc(t->looks, room * sizeof looks[0]);
		if (looks == NULL) {
			tail_trouble(t, path, UV_ENOMEM,
				     "cannot look for rotated log files");
			return;
		}
		t->looks = looks;
		t->room_looks = room;
	}
	t->looks[t->n_looks] = (struct look){
		.path = strdup(path),
		.path_hash = tail_path_hash(path),
		.since_ns = since_ns,
	};
	if (t->looks[t->n_looks].path != NULL) {
		t->n_looks++;
	}
}

void search_unseen_of(struct tail *t, const struct file *f)
{
	int64_t since = INT64_MIN;

	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *old = t->files[i];

		if (old != f && old->good_mtime_ns > since &&
		    (old->path_hash == f->path_hash ||
		     (old->family != NULL && strcmp(old->family, f->path) == 0))) {
			since = old->good_mtime_ns;
		}
	}
	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];

		if (k->good_mtime_ns > since && k->st.path != NULL &&
		    strcmp(k->st.path, f->path) == 0) {
			since = k->good_mtime_ns;
		}
	}
	if (since == INT64_MIN && t->looks_since_ns != 0) {
		/* Nobody has seen a file of this name: the first ones may have come and
		 * been rotated between two looks. */
		since = t->looks_since_ns - TAIL_TICK_NS;
	}
	if (since != INT64_MIN) {
		search_add(t, f->path, since);
	}
}

/* ---- a directory has changed ---- */

struct arrivals {
	struct tail *tail;
	const char *dir;
	unsigned orphans; /* so many may be looked at yet */
};

/* A rotated name that no glob matches: whose rotation it is wants to know. */
static int on_arrival(void *arg, const char *name, bool is_dir)
{
	struct arrivals *a = arg;
	struct tail *t = a->tail;
	char path[PATH_MAX];
	uint64_t hash;
	size_t n;

	if (is_dir) {
		return 0;
	}
	n = names_unrotated(name);
	if (name[n] == '\0' ||
	    snprintf(path, sizeof path, "%s/%.*s", a->dir[1] ? a->dir : "", (int)n,
		     name) >= (int)sizeof path) {
		return 0;
	}
	hash = tail_path_hash(path);
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *f = t->files[i];

		if (f->path_hash == hash && f->in_glob && !f->gone &&
		    strcmp(f->path, path) == 0) {
			search_add(t, path, f->good_mtime_ns);
			return 0;
		}
	}
	orphans_look(t, a->dir, name, &a->orphans);
	return 0;
}

void search_arrivals(struct tail *t, const char *dir)
{
	struct arrivals a = {t, dir, TAIL_ORPHANS_LOOKED};

	/* An error is told by whoever lists it for a glob, or at the next look. */
	sys_list(t->sys, dir, on_arrival, &a);
}

static int by_name_then_age(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;
	const char *p = x->st.path != NULL ? x->st.path : "";
	const char *q = y->st.path != NULL ? y->st.path : "";
	int order = strcmp(p, q);

	return order != 0 ? order
	       : x->good_mtime_ns > y->good_mtime_ns
		       ? -1
		       : x->good_mtime_ns < y->good_mtime_ns;
}

void search_add_known(struct tail *t)
{
	const char *done = "";

	qsort(t->known, t->n_known, sizeof t->known[0], by_name_then_age);
	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];

		/* The youngest of a name comes first. */
		if (k->st.path != NULL && strcmp(k->st.path, done) != 0) {
			done = k->st.path;
			if (scan_source_of(t, done) >= 0) {
				search_add(t, done, k->good_mtime_ns);
			}
		}
	}
}

void search_free(struct tail *t)
{
	orphans_free(t);
	while (t->n_looks > 0) {
		free(t->looks[--t->n_looks].path);
	}
	free(t->looks);
	rest_free(t);
}

static void look_done(struct tail *t, struct look *l)
{
	free(l->path);
	*l = t->looks[--t->n_looks];
}

/* Once more at the next poll, if it failed or something may have been missed. */
static void look_ends(struct tail *t, struct look *l, bool failed, bool settled)
{
	l->wait = failed || (!settled && l->unsettled < UNSETTLED_MAX);
	l->unsettled += !failed && !settled;
	if (!l->wait) {
		look_done(t, l);
	}
}

/* Many names of one folder, as at every start: it is listed once, and only the names of
 * which something is there are gone into one by one. */
struct sweep {
	struct tail *tail;
	const char *dir; /* with its slash */
	size_t dir_n;
	uint64_t *hashes; /* of the paths that are looked for; ascending */
	size_t n;
};

static int by_hash(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool of_sweep(const struct sweep *w, const struct look *l)
{
	return !l->wait && !l->found &&
	       strncmp(l->path, w->dir, w->dir_n) == 0 &&
	       names_base(l->path) == l->path + w->dir_n;
}

/* Whether the single search for l would take up this entry. */
static bool swept_up(const struct sweep *w, const struct look *l, const char *path)
{
	struct siblings s = {.tail = w->tail, .path = l->path,
			     .since_ns = l->since_ns};
	struct sibling unused;
	struct sys_stat st;
	int rc;

	if (scan_source_of(w->tail, path) >= 0) {
		return false;
	}
	rc = sys_stat(w->tail->sys, path, &st);
	return rc == 0 ? siblings_worth(&s, path, &st, &unused) : rc != UV_ENOENT;
}

static int on_swept(void *arg, const char *name, bool is_dir)
{
	struct sweep *w = arg;
	char path[PATH_MAX], of[PATH_MAX];
	size_t n = strlen(name), least = names_unrotated(name);

	if (is_dir || least == n || w->dir_n + n >= sizeof path) {
		return 0;
	}
	memcpy(path, w->dir, w->dir_n);
	memcpy(path + w->dir_n, name, n + 1);
	memcpy(of, path, w->dir_n + n);
	/* Not all that could be cut off needs to have been added by a rotation. */
	for (n--; n >= least && n > 0; n--) {
		uint64_t hash;
		struct look *l = NULL;

		of[w->dir_n + n] = '\0';
		hash = tail_path_hash(of);
		if (bsearch(&hash, w->hashes, w->n, sizeof hash, by_hash) != NULL) {
			l = look_of(w->tail, of);
		}
		if (l != NULL && !l->found) {
			l->found = swept_up(w, l, path);
		}
	}
	return 0;
}

/* Lists the folder of `first` for all that are looked for in it.  False: there is but one,
 * or it could not be done: each is looked for alone. */
static bool search_sweep(struct tail *t, const struct look *first)
{
	char dir[PATH_MAX], listed[PATH_MAX];
	struct sweep w = {.tail = t, .dir = dir};
	int64_t changed_ns;
	bool settled;
	int rc;

	w.dir_n = (size_t)(names_base(first->path) - first->path);
	if (w.dir_n >= sizeof dir) {
		return false;
	}
	memcpy(dir, first->path, w.dir_n);
	dir[w.dir_n] = '\0';
	w.hashes = calloc(t->n_looks, sizeof w.hashes[0]);
	for (size_t i = 0; w.hashes != NULL && i < t->n_looks; i++) {
		if (of_sweep(&w, &t->looks[i])) {
			w.hashes[w.n++] = t->looks[i].path_hash;
		}
	}
	if (w.n < 2) {
		free(w.hashes);
		return false;
	}
	qsort(w.hashes, w.n, sizeof w.hashes[0], by_hash);
	memcpy(listed, dir, w.dir_n + 1);
	listed[w.dir_n > 1 ? w.dir_n - 1 : w.dir_n] = '\0';
	changed_ns = siblings_folder_time(t, listed);
	rc = sys_list(t->sys, listed, on_swept, &w);
	settled = changed_ns != 0 && siblings_folder_time(t, listed) == changed_ns;
	free(w.hashes);
	for (size_t i = t->n_looks; i > 0 && rc == 0; i--) {
		if (of_sweep(&w, &t->looks[i - 1])) {
			look_ends(t, &t->looks[i - 1], false, settled);
		}
	}
	return rc == 0;
}

/* Takes up one look; false: there is none to take up. */
static bool search_unseen(struct tail *t)
{
	for (size_t i = 0; i < t->n_looks; i++) {
		struct look *l = &t->looks[i];
		struct siblings s = {.tail = t, .path = l->path,
				     .since_ns = l->since_ns};

		if (l->wait) {
			continue;
		}
		if (!l->found && search_sweep(t, l)) {
			return true;
		}
		search(&s);
		look_ends(t, l, s.error != 0, s.settled);
		return true;
	}
	return false;
}

/* A file that is not judged yet may repeat a stream of which nothing is known. */
static bool any_waits(const struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		if (t->files[i]->state == FILE_NEW && t->files[i]->waits) {
			return true;
		}
	}
	return false;
}

bool search_step(struct tail *t)
{
	if (!t->scanned || t->scan_failed || t->scan_wanted ||
	    identify_busy(t)) {
		return false;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (k->replaced && !any_waits(t)) {
			known_take(t, k);
			known_free(k);
			return true;
		}
	}
	return rest_step(t) || search_unseen(t) || orphans_open(t);
}

size_t search_count(const struct tail *t)
{
	return rest_count(t) + t->n_looks;
}

void search_poll(struct tail *t)
{
	for (size_t i = 0; i < t->n_known; i++) {
		if (t->known[i]->wait_polls > 0) {
			t->known[i]->wait_polls--;
		}
	}
	for (size_t i = 0; i < t->n_looks; i++) {
		t->looks[i].wait = false;
	}
}
