/* The rest of a stream whose file is gone: among the rotation siblings of its
 * name (NAME.*, NAME-*, and those of the name it rotated from).  A renamed file has its
 * inode; a copy has at least as many bytes as the stream, and is young. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

enum { SIBLINGS = 8 }; /* looked into in one search */

struct sibling {
	char *path;
	int64_t mtime_ns;
	bool same_inode;
};

struct siblings {
	struct tail *tail;
	const struct known *k;
	size_t dir_n; /* bytes of k's path before its base name */
	struct sibling found[SIBLINGS];
	size_t n;
	bool compressed; /* one that can't be read was there */
	int error;
};

static bool pending(const struct known *k, const struct tail *t)
{
	return !k->present && !known_done(k) && k->st.path != NULL &&
	       scan_source_of(t, k->st.path) >= 0;
}

static bool rather(const struct sibling *a, const struct sibling *b)
{
	return a->same_inode != b->same_inode ? a->same_inode
					      : a->mtime_ns > b->mtime_ns;
}

/* Keeps the best ones, in order. */
static int keep(struct siblings *s, const char *path, const struct sibling *new)
{
	size_t at = s->n;
	char *copy;

	while (at > 0 && rather(new, &s->found[at - 1])) {
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

static bool read_already(const struct tail *t, const struct known *k,
			 const struct sys_stat *st)
{
	const struct known *other = known_by_inode(t, st->dev, st->ino);

	return file_find(t, st->dev, st->ino) != NULL ||
	       (other != NULL && other != k && known_done(other) &&
		other->st.size == st->size &&
		other->st.mtime_ns == st->mtime_ns);
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct siblings *s = arg;
	const struct known *k = s->k;
	struct sibling new = {0};
	struct sys_stat st;
	char path[PATH_MAX];
	int rc;

	if (is_dir || !names_related(name, k->st.path) ||
	    snprintf(path, sizeof path, "%.*s%s", (int)s->dir_n, k->st.path,
		     name) >= (int)sizeof path) {
		return 0;
	}
	if (scan_source_of(s->tail, path) >= 0) {
		return 0; /* The scan finds these. */
	}
	if (names_compressed(path)) {
		s->compressed = true;
		return 0;
	}
	rc = sys_stat(s->tail->sys, path, &st);
	if (rc != 0) {
		s->error = rc == UV_ENOENT ? s->error : rc;
		return 0;
	}
	new.mtime_ns = st.mtime_ns;
	new.same_inode = k->st.ino != 0 && st.ino == k->st.ino &&
			 st.dev == k->st.dev;
	if (st.size < known_full(k) || st.size == 0 ||
	    read_already(s->tail, k, &st)) {
		return 0;
	}
	rc = keep(s, path, &new);
	s->error = rc != 0 ? rc : s->error;
	return 0;
}

static void not_found(struct tail *t, struct known *k, bool compressed)
{
	k->searching = false;
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

/* Returns how many siblings are looked into now. */
static size_t open_siblings(struct siblings *s)
{
	int source = scan_source_of(s->tail, s->k->st.path);
	size_t opened = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct file *f = NULL;
		int rc = scan_open(s->tail, s->found[i].path,
				   (uint32_t)source, false, &f);

		if (rc != 0 && rc != UV_ENOENT && rc != UV_EACCES) {
			s->error = rc;
		}
		if (f != NULL) {
			opened++;
		}
		free(s->found[i].path);
	}
	return opened;
}

static void search(struct tail *t, struct known *k)
{
	struct siblings s = {.tail = t, .k = k};
	char dir[PATH_MAX];
	size_t opened;
	int rc;

	s.dir_n = (size_t)(names_base(k->st.path) - k->st.path);
	if (s.dir_n >= sizeof dir) {
		not_found(t, k, false);
		return;
	}
	memcpy(dir, k->st.path, s.dir_n);
	dir[s.dir_n > 1 ? s.dir_n - 1 : s.dir_n] = '\0';
	rc = sys_list(t->sys, dir, on_entry, &s);
	if (rc != 0 && rc != UV_ENOENT && rc != UV_ENOTDIR) {
		s.error = rc;
	}
	opened = open_siblings(&s);
	if (opened > 0) {
		k->searching = true;
	} else if (s.error != 0) {
		/* Not known to be gone: ask again. */
		tail_trouble(t, dir, s.error,
			     "cannot look for rotated log files, trying again");
		k->wait_polls = 1;
	} else {
		not_found(t, k, s.compressed);
	}
}

bool search_step(struct tail *t)
{
	if (!t->scanned || t->scan_failed || t->scan_wanted ||
	    identify_busy(t)) {
		return false;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];

		if (k->searching) {
			/* Every sibling was judged, and none was it. */
			not_found(t, k, false);
			return true;
		}
		if (k->wait_polls == 0 && k->searches < TAIL_SEARCHES &&
		    pending(k, t)) {
			search(t, k);
			return true;
		}
	}
	return false;
}

void search_poll(struct tail *t)
{
	for (size_t i = 0; i < t->n_known; i++) {
		if (t->known[i]->wait_polls > 0) {
			t->known[i]->wait_polls--;
		}
	}
}
