#include "sources/watch_scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"
#include "sources/names.h"

enum {
	SLICE_BYTES = 1024 * 1024, /* hashed in one go */
	SLICE_FILES = 256,         /* looked at in one go */
};

int watch_scan_init(struct watch_scan *s, struct sys *sys,
		    const struct sources_watch *options, const struct strlist *patterns)
{
	*s = (struct watch_scan){.sys = sys, .options = options, .patterns = patterns,
				 .left_out = -1, .fd = -1};
	s->buf = malloc(WATCH_READ_BYTES);
	return s->buf == NULL ? UV_ENOMEM : 0;
}

void watch_scan_clear(struct watch_scan *s)
{
	if (s->fd >= 0) {
		mbedtls_sha256_free(&s->sha);
		sys_close(s->sys, s->fd);
		s->fd = -1;
	}
	watch_table_fini(&s->found);
	watch_table_fini(&s->old);
	strlist_fini(&s->folders);
	s->phase = WATCH_LIST;
	s->at = 0;
	s->fresh = s->in_share = s->in_folder = s->pool = 0;
	s->cut = false;
	s->left_out = -1;
	s->rc = 0;
}

void watch_scan_fini(struct watch_scan *s)
{
	watch_scan_clear(s);
	free(s->buf);
	s->buf = NULL;
}

/* ---- which files ---- */

static size_t share(const struct watch_scan *s)
{
	return (WATCH_FILES_MAX - WATCH_POOL) / (s->patterns->n > 0 ? s->patterns->n : 1);
}

/* Whether one more of this folder is within what belongs to the pattern; counted. */
static bool within_share(struct watch_scan *s)
{
	size_t of_folder = share(s) / 4 > WATCH_FOLDER_LEAST ? share(s) / 4
							     : WATCH_FOLDER_LEAST;

	if (s->in_folder >= of_folder || s->in_share >= share(s)) {
		return false;
	}
	s->in_folder++;
	s->in_share++;
	return true;
}

/* A file that was not known finds room: within its share in LIST, in the pool in MORE.
 * Room for all that is known is kept free. */
static bool admit(struct watch_scan *s, bool known)
{
	bool within = s->phase == WATCH_LIST && within_share(s);

	if (known || within) {
		s->pool += !within;
	} else if (s->phase == WATCH_LIST) {
		s->cut = true;
		return false;
	} else if (s->pool < WATCH_POOL) {
		s->pool++;
	} else {
		s->left_out = s->left_out < 0 ? (int)s->at : s->left_out;
		return false;
	}
	if (!known && s->fresh + s->old.n >= WATCH_FILES_MAX) {
		s->left_out = s->left_out < 0 ? (int)s->at : s->left_out;
		return false;
	}
	s->fresh += !known;
	return true;
}

static int on_match(void *arg, const char *path)
{
	struct watch_scan *s = arg;
	struct watched w = {.path = NULL};
	char copy[WATCH_PATH_MAX];
	size_t unused;

	if (strlen(path) >= sizeof copy || names_in_list(&s->options->exclude, path) ||
	    watch_table_find(&s->found, path, &unused) ||
	    !admit(s, watch_table_find(&s->old, path, &unused))) {
		return 0;
	}
	memcpy(copy, path, strlen(path) + 1);
	w.path = copy;
	return watch_table_put(&s->found, &w);
}

static void on_dir(void *arg, const char *dir)
{
	struct watch_scan *s = arg;

	s->in_folder = 0;
	if (s->folders.n < WATCH_FOLDERS_MAX && !names_in_list(&s->folders, dir)) {
		strlist_add(&s->folders, slice_str(dir)); /* Or it is polled. */
	}
}

/* One pattern, in LIST and, when there is more than the shares hold, again in MORE. */
static void do_list(struct watch_scan *s)
{
	if (s->at == s->patterns->n) {
		s->phase = s->phase == WATCH_LIST && s->cut ? WATCH_MORE : WATCH_LOOK;
		s->at = 0;
		return;
	}
	s->in_share = s->in_folder = 0;
	/* A folder that can't be listed is no reason to believe that its files are
	 * gone: MISSING looks at each. */
	if (names_glob(s->sys, s->patterns->v[s->at], on_dir, on_match, s) == UV_ENOMEM) {
		s->rc = UV_ENOMEM;
	}
	s->at++;
}

/* ---- what they are ---- */

static bool same_stat(const struct sys_stat *a, const struct sys_stat *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid;
}

/* It is not there: a pattern without wildcards always matches. */
static void drop(struct watch_scan *s)
{
	watch_table_remove(&s->found, s->at);
}

static void do_look(struct watch_scan *s)
{
	struct watched *f;
	size_t old;
	int rc;

	if (s->at == s->found.n) {
		s->phase = WATCH_MISSING;
		s->at = 0;
		return;
	}
	f = &s->found.v[s->at];
	rc = sys_stat(s->sys, f->path, &f->st);
	if (rc == UV_ENOENT || rc == UV_ENOTDIR || rc == UV_ELOOP) {
		drop(s);
		return;
	}
	if (rc != 0) {
		/* Nothing can be said: as it was. */
		if (watch_table_find(&s->old, f->path, &old)) {
			char *path = f->path;

			*f = s->old.v[old];
			f->path = path;
			s->at++;
		} else {
			drop(s);
		}
		return;
	}
	f->hash = !S_ISREG(f->st.mode)                              ? WATCH_NO_FILE
		  : f->st.size > s->options->hash_max ? WATCH_TOO_LARGE
							    : WATCH_UNREADABLE;
	if (f->hash != WATCH_UNREADABLE) {
		s->at++;
		return;
	}
	if (!s->all && watch_table_find(&s->old, f->path, &old) &&
	    same_stat(&f->st, &s->old.v[old].st)) {
		f->hash = s->old.v[old].hash;
		memcpy(f->sha256, s->old.v[old].sha256, sizeof f->sha256);
		s->at++;
		return;
	}
	s->fd = sys_open(s->sys, f->path, O_RDONLY | O_NONBLOCK, 0);
	if (s->fd < 0) {
		s->at++; /* WATCH_UNREADABLE */
		return;
	}
	s->phase = WATCH_HASH;
	s->offset = 0;
	mbedtls_sha256_init(&s->sha);
	if (mbedtls_sha256_starts(&s->sha, 0) != 0) {
		s->rc = ERR_CRYPTO;
	}
}

static void end_hash(struct watch_scan *s, enum watch_hash hash)
{
	struct watched *f = &s->found.v[s->at];

	if (hash == WATCH_HASHED &&
	    (mbedtls_sha256_finish(&s->sha, f->sha256) != 0 ||
	     sys_fstat(s->sys, s->fd, &f->st) != 0)) {
		hash = WATCH_UNREADABLE;
	}
	f->hash = hash;
	mbedtls_sha256_free(&s->sha);
	sys_close(s->sys, s->fd);
	s->fd = -1;
	s->phase = WATCH_LOOK;
	s->at++;
}

/* One read; returns the bytes. */
static size_t do_hash(struct watch_scan *s)
{
	int64_t n = sys_pread(s->sys, s->fd, s->buf, WATCH_READ_BYTES, s->offset);

	if (n < 0 || (n > 0 && mbedtls_sha256_update(&s->sha, (unsigned char *)s->buf,
						     (size_t)n) != 0)) {
		end_hash(s, WATCH_UNREADABLE);
	} else if (n == 0) {
		end_hash(s, WATCH_HASHED);
	} else if (s->offset + (uint64_t)n > s->options->hash_max) {
		end_hash(s, WATCH_TOO_LARGE); /* It grows under our eyes. */
	} else {
		s->offset += (uint64_t)n;
		return (size_t)n;
	}
	/* Of files like these nothing stays here. */
	explicit_bzero(s->buf, WATCH_READ_BYTES);
	return 0;
}

/* One of those that were known and not found: is it really gone? */
static void do_missing(struct watch_scan *s)
{
	const struct watched *f;
	struct sys_stat st;
	size_t at;
	int rc;

	if (s->at == s->old.n) {
		s->phase = WATCH_END;
		return;
	}
	f = &s->old.v[s->at++];
	if (watch_table_find(&s->found, f->path, &at) ||
	    !names_in_list(s->patterns, f->path) ||
	    names_in_list(&s->options->exclude, f->path)) {
		return;
	}
	rc = sys_stat(s->sys, f->path, &st);
	if (rc != UV_ENOENT && rc != UV_ENOTDIR) {
		s->rc = watch_table_put(&s->found, f); /* Room for it was kept. */
	}
}

void watch_scan_run(struct watch_scan *s)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < SLICE_FILES && bytes < SLICE_BYTES && s->rc == 0 &&
			     s->phase != WATCH_END; i++) {
		switch (s->phase) {
		case WATCH_LIST: case WATCH_MORE:
			do_list(s);
			break;
		case WATCH_LOOK:
			do_look(s);
			break;
		case WATCH_HASH:
			bytes += do_hash(s);
			break;
		case WATCH_MISSING:
			do_missing(s);
			break;
		case WATCH_END:
			break;
		}
	}
}
