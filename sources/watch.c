/* The scan, a step at a time:
 *
 *	LIST --all patterns--> LOOK --a file that is to be hashed--> HASH --> LOOK
 *	                         '--no more--> MISSING --every file not seen--> END
 */
#include "sources/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/log.h"
#include "common/limits.h"
#include "sources/kept.h"
#include "sources/names.h"

enum {
	SLICE_BYTES = 1024 * 1024, /* hashed in one go */
	SLICE_FILES = 256,         /* looked at in one go */
	READ_BYTES = 64 * 1024,
	FOLDERS_MAX = 256,
	SETTLE_MS = 200,           /* after a notification */
	STATE_BYTES = 32 * 1024 * 1024,
	HOST_BYTES = 256,
};

enum phase { LIST, LOOK, HASH, MISSING, END };

struct folder {
	char *path;
	struct sys_watch *watch;
};

/* A worker's, from the submission until done. */
struct scan {
	struct sys_work work;
	bool busy;
	bool all;             /* hash what looks the same as well */
	enum phase phase;
	struct watch_table found; /* in LIST: paths alone */
	struct watch_table old;   /* what was known when it began */
	struct strlist folders;
	size_t at;
	int fd;               /* HASH */
	uint64_t offset;
	mbedtls_sha256_context sha;
	bool too_many;
	int rc;
	char *buf;
};

struct watch {
	struct source source; /* first */
	struct sys *sys;
	const struct sources_options *options;
	struct strlist patterns;     /* of now */
	struct strlist old_patterns; /* that the known files were found by */
	char host[HOST_BYTES];
	struct kept kept;
	bool opened, started, stopped, freeing;
	struct sys_timer *timer;
	struct watch_table known;
	bool has_base;   /* known was saved, or scanned once */
	bool blocked;    /* a change waits for room */
	bool again;      /* a notification came during a scan */
	bool dirty;      /* known differs from what is saved */
	bool full_told;
	uint64_t acked;
	int64_t hashed_ns; /* when all were hashed */
	struct folder folders[FOLDERS_MAX];
	size_t n_folders;
	struct scan scan;
	struct buf text;
	uint64_t scans, changes;
};

/* ---- the scan, on a worker ---- */

static struct watch *of_scan(struct scan *s)
{
	return s->work.arg;
}

static int on_match(void *arg, const char *path)
{
	struct scan *s = arg;
	struct watched w = {.path = NULL};
	char copy[WATCH_PATH_MAX];
	int rc;

	if (strlen(path) >= sizeof copy ||
	    names_in_list(&of_scan(s)->options->watch.exclude, path)) {
		return 0;
	}
	memcpy(copy, path, strlen(path) + 1);
	w.path = copy;
	rc = watch_table_put(&s->found, &w);
	if (rc == ERR_FULL) {
		s->too_many = true;
		return 0;
	}
	return rc;
}

static void on_dir(void *arg, const char *dir)
{
	struct scan *s = arg;

	if (s->folders.n < FOLDERS_MAX && !names_in_list(&s->folders, dir)) {
		strlist_add(&s->folders, slice_str(dir)); /* Or it is polled. */
	}
}

static void do_list(struct scan *s)
{
	struct watch *w = of_scan(s);

	if (s->at == w->patterns.n) {
		s->phase = LOOK;
		s->at = 0;
		return;
	}
	/* A folder that can't be listed is no reason to believe that its files are
	 * gone: MISSING looks at each. */
	if (names_glob(w->sys, w->patterns.v[s->at], on_dir, on_match, s) == UV_ENOMEM) {
		s->rc = UV_ENOMEM;
	}
	s->at++;
}

static bool same_stat(const struct sys_stat *a, const struct sys_stat *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid;
}

/* It is not there: a pattern without wildcards always matches. */
static void drop(struct scan *s)
{
	watch_table_remove(&s->found, s->at);
}

static void do_look(struct scan *s)
{
	struct watch *w = of_scan(s);
	struct watched *f;
	size_t old;
	int rc;

	if (s->at == s->found.n) {
		s->phase = MISSING;
		s->at = 0;
		return;
	}
	f = &s->found.v[s->at];
	rc = sys_stat(w->sys, f->path, &f->st);
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
		  : f->st.size > w->options->watch.hash_max ? WATCH_TOO_LARGE
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
	s->fd = sys_open(w->sys, f->path, O_RDONLY | O_NONBLOCK, 0);
	if (s->fd < 0) {
		s->at++; /* WATCH_UNREADABLE */
		return;
	}
	s->phase = HASH;
	s->offset = 0;
	mbedtls_sha256_init(&s->sha);
	if (mbedtls_sha256_starts(&s->sha, 0) != 0) {
		s->rc = ERR_CRYPTO;
	}
}

static void end_hash(struct scan *s, enum watch_hash hash)
{
	struct watch *w = of_scan(s);
	struct watched *f = &s->found.v[s->at];

	if (hash == WATCH_HASHED &&
	    (mbedtls_sha256_finish(&s->sha, f->sha256) != 0 ||
	     sys_fstat(w->sys, s->fd, &f->st) != 0)) {
		hash = WATCH_UNREADABLE;
	}
	f->hash = hash;
	mbedtls_sha256_free(&s->sha);
	sys_close(w->sys, s->fd);
	s->fd = -1;
	s->phase = LOOK;
	s->at++;
}

/* One read; returns the bytes. */
static size_t do_hash(struct scan *s)
{
	struct watch *w = of_scan(s);
	int64_t n = sys_pread(w->sys, s->fd, s->buf, READ_BYTES, s->offset);

	if (n < 0 || (n > 0 && mbedtls_sha256_update(&s->sha, (unsigned char *)s->buf,
						     (size_t)n) != 0)) {
		end_hash(s, WATCH_UNREADABLE);
	} else if (n == 0) {
		end_hash(s, WATCH_HASHED);
	} else if (s->offset + (uint64_t)n > w->options->watch.hash_max) {
		end_hash(s, WATCH_TOO_LARGE); /* It grows under our eyes. */
	} else {
		s->offset += (uint64_t)n;
		return (size_t)n;
	}
	/* Of files like these nothing stays here. */
	explicit_bzero(s->buf, READ_BYTES);
	return 0;
}

/* One of those that were known and not found: is it really gone? */
static void do_missing(struct scan *s)
{
	struct watch *w = of_scan(s);
	const struct watched *f;
	struct sys_stat st;
	size_t at;
	int rc;

	if (s->at == s->old.n) {
		s->phase = END;
		return;
	}
	f = &s->old.v[s->at++];
	if (watch_table_find(&s->found, f->path, &at) ||
	    !names_in_list(&w->patterns, f->path) ||
	    names_in_list(&w->options->watch.exclude, f->path)) {
		return;
	}
	rc = sys_stat(w->sys, f->path, &st);
	if (rc != UV_ENOENT && rc != UV_ENOTDIR &&
	    watch_table_put(&s->found, f) == UV_ENOMEM) {
		s->rc = UV_ENOMEM;
	}
}

static void run_scan(struct sys_work *work)
{
	struct scan *s = &((struct watch *)work->arg)->scan;
	size_t bytes = 0;

	for (unsigned i = 0; i < SLICE_FILES && bytes < SLICE_BYTES && s->rc == 0 &&
			     s->phase != END; i++) {
		switch (s->phase) {
		case LIST:
			do_list(s);
			break;
		case LOOK:
			do_look(s);
			break;
		case HASH:
			bytes += do_hash(s);
			break;
		case MISSING:
			do_missing(s);
			break;
		case END:
			break;
		}
	}
}

/* ---- what it found, on the loop ---- */

/* Hands the change on; false: there is no room. */
static bool tell(struct watch *w, enum watch_change change, const struct watched *was,
		 const struct watched *is)
{
	size_t room;
	char *p = kept_room(&w->kept, &room);

	if (watch_text(change, was, is, sys_wall_ns(w->sys), slice_str(w->host),
		       &w->text) != 0 ||
	    w->text.n > room) {
		return false;
	}
	memcpy(p, w->text.p, w->text.n);
	kept_took(&w->kept, w->text.n);
	w->changes++;
	return true;
}

/* Between a file as it was known and as it is.  false: not now. */
static bool take_change(struct watch *w, const char *path, const struct watched *was,
			const struct watched *is)
{
	enum watch_change change = watch_compare(was, is);
	size_t at;

	if (change == WATCH_SAME) {
		/* Readable now, and not before, or the other way. */
		return was == NULL || is == NULL || was->hash == is->hash ||
		       watch_table_put(&w->known, is) == 0;
	}
	/* What nobody watched before is no news, nor is what nobody watches now. */
	if (w->has_base && names_in_list(&w->patterns, path) &&
	    !names_in_list(&w->options->watch.exclude, path) &&
	    (was != NULL || names_in_list(&w->old_patterns, path)) &&
	    !tell(w, change, was, is)) {
		return false;
	}
	w->dirty = true;
	if (is != NULL) {
		return watch_table_put(&w->known, is) == 0;
	}
	if (watch_table_find(&w->known, path, &at)) {
		watch_table_remove(&w->known, at);
	}
	return true;
}

/* Both tables are in order, and known changes under our hands. */
static bool take_changes(struct watch *w)
{
	const struct watch_table *found = &w->scan.found;
	size_t k = 0, f = 0;

	while (k < w->known.n || f < found->n) {
		const struct watched *was = k < w->known.n ? &w->known.v[k] : NULL;
		const struct watched *is = f < found->n ? &found->v[f] : NULL;
		int order = was == NULL ? 1 : is == NULL ? -1 : strcmp(was->path, is->path);

		const char *path = order <= 0 ? w->known.v[k].path : found->v[f].path;

		if (!take_change(w, path, order <= 0 ? was : NULL,
				 order >= 0 ? is : NULL)) {
			return false;
		}
		k += order >= 0;
		f += order >= 0;
	}
	return true;
}

static void on_notice(void *arg, const char *name)
{
	struct watch *w = arg;

	(void)name;
	w->again = true;
	if (!w->scan.busy && !w->stopped && !w->blocked) {
		sys_timer_set(w->sys, w->timer, SETTLE_MS);
	}
}

static void drop_folder(struct watch *w, size_t i)
{
	sys_watch_free(w->sys, w->folders[i].watch);
	free(w->folders[i].path);
	w->folders[i] = w->folders[--w->n_folders];
}

static void add_folder(struct watch *w, const char *path)
{
	struct folder *d;

	for (size_t i = 0; i < w->n_folders; i++) {
		if (strcmp(w->folders[i].path, path) == 0) {
			return;
		}
	}
	if (w->n_folders == FOLDERS_MAX) {
		return; /* It is polled. */
	}
	d = &w->folders[w->n_folders];
	d->path = strdup(path);
	if (d->path == NULL) {
		return;
	}
	if (sys_watch_new(w->sys, &d->watch, path, on_notice, w) != 0) {
		free(d->path);
		return;
	}
	w->n_folders++;
}

/* A folder that was made anew under its name has another inode: each scan that finds a
 * change renews them all, which costs little. */
static void watch_folders(struct watch *w, bool renew)
{
	for (size_t i = w->n_folders; i > 0; i--) {
		if (renew || !names_in_list(&w->scan.folders, w->folders[i - 1].path)) {
			drop_folder(w, i - 1);
		}
	}
	for (size_t i = 0; i < w->scan.folders.n; i++) {
		add_folder(w, w->scan.folders.v[i]);
	}
}

static void clear_scan(struct scan *s)
{
	watch_table_fini(&s->found);
	watch_table_fini(&s->old);
	strlist_fini(&s->folders);
	s->phase = LIST;
	s->at = 0;
	s->rc = 0;
	s->too_many = false;
}

static int take_patterns(struct watch *w)
{
	int rc = 0;

	strlist_fini(&w->old_patterns);
	for (size_t i = 0; i < w->patterns.n && rc == 0; i++) {
		rc = strlist_add(&w->old_patterns, slice_str(w->patterns.v[i]));
	}
	return rc;
}

static void end_scan(struct watch *w)
{
	struct scan *s = &w->scan;
	uint64_t before = w->changes;

	w->scans++;
	if (s->rc != 0) {
		log_warn("cannot look at the watched files now", "error=\"%s\"",
			 err_str(s->rc));
	} else if (take_changes(w)) {
		if (!w->has_base) {
			log_info("the watched files are taken as they are",
				 "files=%zu", w->known.n);
		}
		w->has_base = take_patterns(w) == 0;
		if (s->all) {
			w->hashed_ns = sys_mono_ns(w->sys);
		}
	} else {
		w->blocked = true;
	}
	if (s->too_many && !w->full_told) {
		log_warn("more files match sources.watch than are watched; the others are "
			 "not", "watched=%d", WATCH_FILES_MAX);
		w->full_told = true;
	}
	watch_folders(w, w->changes != before);
	clear_scan(s);
	/* What came while it ran may have been missed by it. */
	sys_timer_set(w->sys, w->timer,
		      w->again ? SETTLE_MS : w->options->watch.poll_ms);
}

static void release(struct watch *w);

static void abandon(struct watch *w)
{
	if (w->scan.fd >= 0) {
		mbedtls_sha256_free(&w->scan.sha);
		sys_close(w->sys, w->scan.fd);
		w->scan.fd = -1;
	}
	clear_scan(&w->scan);
	if (w->freeing) {
		release(w);
	}
}

static void on_scanned(struct sys_work *work)
{
	struct watch *w = work->arg;

	w->scan.busy = false;
	if (w->stopped) {
		abandon(w);
	} else if (w->scan.rc == 0 && w->scan.phase != END) {
		w->scan.busy = sys_work_submit(w->sys, work) == 0;
		if (!w->scan.busy) {
			w->scan.rc = UV_ENOMEM;
			end_scan(w);
		}
	} else {
		if (w->scan.fd >= 0) {
			mbedtls_sha256_free(&w->scan.sha);
			sys_close(w->sys, w->scan.fd);
			w->scan.fd = -1;
		}
		end_scan(w);
	}
}

static int copy_known(struct watch *w)
{
	int rc = 0;

	for (size_t i = 0; i < w->known.n && rc == 0; i++) {
		rc = watch_table_put(&w->scan.old, &w->known.v[i]);
	}
	return rc;
}

static void begin_scan(void *arg)
{
	struct watch *w = arg;
	struct scan *s = &w->scan;
	int64_t hash_ns = (int64_t)w->options->watch.hash_ms * 1000000;

	if (s->busy || w->stopped || w->blocked) {
		return;
	}
	w->again = false;
	s->all = w->hashed_ns == 0 || sys_mono_ns(w->sys) - w->hashed_ns >= hash_ns;
	s->rc = copy_known(w);
	s->work.run = run_scan;
	s->work.done = on_scanned;
	s->work.arg = w;
	s->busy = s->rc == 0 && sys_work_submit(w->sys, &s->work) == 0;
	if (!s->busy) {
		clear_scan(s);
		sys_timer_set(w->sys, w->timer, w->options->watch.poll_ms);
	}
}

/* ---- as a source ---- */

static struct watch *of(struct source *s)
{
	return (struct watch *)s;
}

static int op_start(struct source *s)
{
	struct watch *w = of(s);

	kept_open(&w->kept);
	w->opened = w->started = true;
	sys_timer_set(w->sys, w->timer, 0);
	return 0;
}

static void op_resume(struct source *s)
{
	struct watch *w = of(s);

	kept_resume(&w->kept);
	if (w->blocked && w->kept.n == 0) {
		w->blocked = false;
		sys_timer_set(w->sys, w->timer, 0);
	}
}

static void op_stop(struct source *s)
{
	struct watch *w = of(s);

	w->stopped = true;
	sys_timer_stop(w->sys, w->timer);
	while (w->n_folders > 0) {
		drop_folder(w, w->n_folders - 1);
	}
	if (w->opened) {
		w->opened = false;
		kept_close(&w->kept);
	}
}

static void release(struct watch *w)
{
	watch_table_fini(&w->known);
	strlist_fini(&w->patterns);
	strlist_fini(&w->old_patterns);
	if (w->kept.buf != NULL) {
		kept_fini(&w->kept);
	}
	buf_fini(&w->text);
	free(w->scan.buf);
	sys_timer_free(w->sys, w->timer);
	free(w);
}

static void op_free(struct source *s)
{
	struct watch *w = of(s);

	w->stopped = w->freeing = true;
	while (w->n_folders > 0) {
		drop_folder(w, w->n_folders - 1);
	}
	if (!w->scan.busy) {
		abandon(w);
	}
}

static void op_status(const struct source *s, struct json *j)
{
	const struct watch *w = (const struct watch *)s;

	json_u64(j, "files", w->known.n);
	json_u64(j, "folders_notifying", w->n_folders);
	json_u64(j, "scans", w->scans);
	json_u64(j, "changes", w->changes);
}

static int op_watermark(struct source *s, const struct stream_id *id, uint64_t position,
			uint64_t h)
{
	struct watch *w = of(s);

	(void)h;
	if (!stream_id_eq(id, &w->kept.stream.st.id)) {
		return UV_ENOENT;
	}
	w->acked = position > w->acked ? position : w->acked;
	return 0;
}

/* What is known may be forgotten to have been told only once it is safe: acknowledged,
 * or (at a clean stop) delivered or spooled with everything else. */
static int op_save(struct source *s, struct buf *out, bool last)
{
	struct watch *w = of(s);
	bool safe = w->kept.n == 0 && w->acked >= w->kept.stream.position;
	int rc;

	if (!w->dirty || !w->has_base || (!safe && !(last && w->kept.n == 0))) {
		return 0;
	}
	rc = watch_table_encode(&w->known, &w->old_patterns, out);
	w->dirty = rc != 0;
	return rc != 0 ? rc : 1;
}

static int op_load(struct source *s, struct slice saved)
{
	struct watch *w = of(s);
	int rc = watch_table_decode(&w->known, &w->old_patterns, saved);

	w->has_base = rc == 0;
	return rc;
}

static const struct source_ops watch_ops = {
	.name = "watch",
	.start = op_start,
	.resume = op_resume,
	.stop = op_stop,
	.free = op_free,
	.status = op_status,
	.watermark = op_watermark,
	.save = op_save,
	.load = op_load,
};

static int add_patterns(struct watch *w, const struct strlist *l)
{
	int rc = 0;

	for (size_t i = 0; l != NULL && i < l->n && rc == 0; i++) {
		if (w->patterns.n < WATCH_PATTERNS_MAX && names_glob_valid(l->v[i])) {
			rc = strlist_add(&w->patterns, slice_str(l->v[i]));
		}
	}
	return rc;
}

int watch_new(struct source **out, const struct watch_params *params)
{
	static char label[] = "watched files", program[] = "", zone[] = "UTC";
	static const struct sources_about about = {.label = label, .program = program,
						   .zone = zone};
	struct watch *w = calloc(1, sizeof *w);
	int rc;

	*out = NULL;
	if (w == NULL) {
		return UV_ENOMEM;
	}
	w->source.ops = &watch_ops;
	w->sys = params->sys;
	w->options = params->options;
	w->scan.fd = -1;
	snprintf(w->host, sizeof w->host, "%s", params->host);
	buf_init(&w->text, 64 * 1024);
	w->scan.buf = malloc(READ_BYTES);
	rc = w->scan.buf == NULL ? UV_ENOMEM : 0;
	rc = rc != 0 ? rc : add_patterns(w, &params->options->watch.paths);
	rc = rc != 0 ? rc : add_patterns(w, params->more);
	rc = rc != 0 ? rc : sys_timer_new(w->sys, &w->timer, begin_scan, w);
	rc = rc != 0 ? rc
		     : kept_init(&w->kept, w->sys, params->options, params->secret, &about,
				 "watch:", params->cb, params->arg);
	if (rc != 0) {
		release(w);
		return rc;
	}
	*out = &w->source;
	return 0;
}
