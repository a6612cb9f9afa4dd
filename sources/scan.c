/* Which files are there: the globs walked, directories watched, names of open
 * files checked. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/fstype.h"
#include "sources/tail_impl.h"

#define CLOCK_STEP_NS 10000000 /* less is the time between two calls */

/* Handed through names_glob(). */
struct matching {
	struct tail *tail;
	uint32_t source;
};

/* ---- watches ---- */

static bool could_matter(const struct tail *t, const char *path)
{
	for (size_t i = 0; i < t->options->n_files; i++) {
		const struct sources_file *sf = &t->options->files[i];

		for (size_t j = 0; j < sf->paths.n; j++) {
			if (names_could_match(sf->paths.v[j], path)) {
				return true;
			}
		}
	}
	return false;
}

static void on_change(void *arg, const char *name)
{
	struct watch *w = arg;
	struct tail *t = w->tail;
	char path[PATH_MAX];
	uint64_t hash;
	bool ours = false;

	if (t->stopped) {
		return;
	}
	if (name == NULL ||
	    snprintf(path, sizeof path, "%s/%s", w->dir[1] ? w->dir : "",
		     name) >= (int)sizeof path) {
		tail_want_scan(t);
		return;
	}
	hash = tail_path_hash(path);
	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		if (f->path_hash == hash && f->fd >= 0) {
			f->ready = true;
			f->check_name |= !f->gone;
			ours |= !f->gone;
		}
	}
	if (ours) {
		tail_wake(t);
	} else if (could_matter(t, path)) {
		tail_want_scan(t);
	}
}

static void watch_free(struct tail *t, struct watch *w)
{
	sys_watch_free(t->sys, w->w);
	free(w->dir);
	free(w);
}

static struct watch *watch_find(struct tail *t, const char *dir)
{
	for (size_t i = 0; i < t->n_watches; i++) {
		if (strcmp(t->watches[i]->dir, dir) == 0) {
			return t->watches[i];
		}
	}
	return NULL;
}

static struct watch *watch_add(struct tail *t, const char *dir)
{
	struct watch *w;

	if (t->n_watches == TAIL_MAX_WATCHES) {
		return NULL;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	w->dir = strdup(dir);
	if (w->dir == NULL) {
		free(w);
		return NULL;
	}
	w->tail = t;
	t->watches[t->n_watches++] = w;
	return w;
}

/* A rotated file may have come that no glob matches: the time of the directory tells,
 * unless it is so recent that one more change would bear the same. */
static void look_at_entries(struct tail *t, struct watch *w, int64_t mtime_ns)
{
	if (mtime_ns == 0 || mtime_ns != w->mtime_ns) {
		w->mtime_ns = tail_is_recent(t, mtime_ns, TAIL_COARSE_NS) ? 0 : mtime_ns;
		search_arrivals(t, w->dir);
	}
}

/* Whether a watch would tell every change; what can't be asked is believed. */
static bool would_tell(struct tail *t, const char *dir)
{
	const char *name = NULL;
	char quoted[512];
	uint64_t type;

	if (t->options->notify != SOURCES_NOTIFY_AUTO) {
		return t->options->notify == SOURCES_NOTIFY_ALWAYS;
	}
	if (sys_fs_type(t->sys, dir, &type) == 0) {
		name = fstype_silent(type);
	}
	if (name != NULL) {
		log_info("a folder is on a file system that may change without a "
			 "notification; it is polled",
			 "path=%s type=%s poll_ms=%llu",
			 log_quote(quoted, sizeof quoted, slice_str(dir)), name,
			 (unsigned long long)t->poll_ms);
	}
	return name == NULL;
}

/* A directory that a glob looks into.  Without a watch it is polled. */
static void on_dir(void *arg, const char *dir)
{
	struct tail *t = ((struct matching *)arg)->tail;
	struct watch *w = watch_find(t, dir);
	struct sys_stat st;
	int rc;

	if (sys_stat(t->sys, dir, &st) != 0) {
		return;
	}
	if (w == NULL) {
		w = watch_add(t, dir);
		if (w == NULL) {
			return;
		}
	}
	w->seen = true;
	if (w->dev != st.dev || w->ino != st.ino) {
		/* Another directory under the old name, or the first one. */
		sys_watch_free(t->sys, w->w);
		w->w = NULL;
		w->polled = !would_tell(t, dir);
	}
	w->dev = st.dev;
	w->ino = st.ino;
	look_at_entries(t, w, st.mtime_ns);
	if (w->w == NULL && !w->polled) {
		rc = sys_watch_new(t->sys, &w->w, dir, on_change, w);
		if (rc != 0) {
			w->w = NULL;
			tail_trouble(t, dir, rc,
				     "cannot watch a directory, polling it "
				     "(fs.inotify.max_user_watches may be too "
				     "low)");
		}
	}
}

static void drop_unseen_watches(struct tail *t)
{
	for (size_t i = t->n_watches; i > 0; i--) {
		struct watch *w = t->watches[i - 1];

		if (!w->seen) {
			t->watches[i - 1] = t->watches[--t->n_watches];
			watch_free(t, w);
		} else {
			w->seen = false;
		}
	}
}

void scan_stop(struct tail *t)
{
	while (t->n_watches > 0) {
		watch_free(t, t->watches[--t->n_watches]);
	}
}

/* ---- files ---- */

int scan_source_of(const struct tail *t, const char *path)
{
	for (size_t i = 0; i < t->options->n_files; i++) {
		const struct sources_file *sf = &t->options->files[i];

		if (names_in_list(&sf->paths, path) &&
		    !names_in_list(&sf->exclude, path)) {
			return (int)i;
		}
	}
	return -1;
}

/* The descriptor, or why there is none, which was told. */
static int open_told(struct tail *t, struct folder *folder, const char *path)
{
	int fd;

	if (t->dry) {
		return UV_EMFILE; /* Said already; the others first. */
	}
	if (!room_make(t, folder, path)) {
		tail_trouble(t, "log files", UV_EMFILE,
			     "more log files than sources.max_open have something "
			     "to read; they take turns");
		return UV_EMFILE;
	}
	/* Not to hang on a FIFO that took the file's name meanwhile. */
	fd = sys_open_log(t->sys, path, O_RDONLY | O_NONBLOCK);
	if (fd == UV_EMFILE || fd == UV_ENFILE) {
		room_out_of_descriptors(t);
		tail_trouble(t, "log files", fd,
			     "no descriptors are left, keeping fewer log files "
			     "open; they take turns (raise LimitNOFILE)");
	} else if (fd == UV_EPERM) {
		tail_trouble(t, path, fd,
			     "a symbolic link is not followed, since neither root nor the "
			     "owner of what it leads to has made it (chown -h root, if it "
			     "is right)");
		fd = UV_EACCES;
	} else if (fd < 0 && fd != UV_ENOENT) {
		tail_trouble(t, path, fd,
			     "cannot open a log file, trying again "
			     "(does the agent's user or group have the right to "
			     "read it?)");
	}
	return fd;
}

int scan_open(struct tail *t, const char *path, uint32_t source, bool in_glob,
	      struct file **out)
{
	struct folder *folder = folder_of(t, path);
	struct sys_stat st;
	struct file *f;
	int fd, rc;

	*out = NULL;
	if (folder == NULL) {
		return UV_ENOMEM;
	}
	fd = open_told(t, folder, path);
	if (fd < 0) {
		return fd;
	}
	rc = sys_fstat(t->sys, fd, &st);
	if (rc != 0 || !S_ISREG(st.mode) ||
	    file_find(t, st.dev, st.ino) != NULL) {
		sys_close(t->sys, fd);
		return rc;
	}
	rc = file_add(t, path, fd, &st, &f);
	if (rc != 0) {
		tail_trouble(t, path, rc,
			     "cannot follow a log file, trying again");
		return rc;
	}
	tail_trouble_over(t, path);
	if (in_glob) {
		search_unseen_of(t, f);
	}
	f->source = source;
	f->in_glob = in_glob;
	f->seen = true;
	/* What comes into an empty file is new. */
	f->at_start = t->first_start && !t->scanned && st.size > 0;
	f->end_at = f->packed == CONTENT_PLAIN ? st.size : UINT64_MAX;
	f->first_seen = !t->scanned;
	tail_wake(t);
	*out = f;
	return 0;
}

/* The file is open already: under this name as well, or under this name now. */
static void seen_again(struct file *f, const char *path)
{
	struct tail *t = f->tail;
	struct sys_stat st;

	f->in_glob = true;
	/* Of two names for one file, that by which its copies are known. */
	if (strcmp(f->path, path) != 0 &&
	    (names_is_rotation(f->path, path) ||
	     (!f->seen && (sys_stat(t->sys, f->path, &st) != 0 ||
			   st.ino != f->ino || st.dev != f->dev)))) {
		char *copy = f->s != NULL ? strdup(path) : NULL;

		free(f->family);
		f->family = NULL;
		if (file_set_path(f, path) == 0 && copy != NULL) {
			free(f->s->st.path);
			f->s->st.path = copy;
		} else {
			free(copy);
		}
	}
	f->seen = true;
	f->gone = false;
	file_away(f, false);
}

static bool is_packed(const char *path)
{
	return content_kind_of_name(path) != CONTENT_PLAIN;
}

static int on_match(void *arg, const char *path)
{
	struct matching *m = arg;
	struct tail *t = m->tail;
	struct sys_stat st;
	struct file *f;
	struct known *k;
	int rc;

	if (names_in_list(&t->options->files[m->source].exclude, path)) {
		return 0;
	}
	rc = sys_stat(t->sys, path, &st);
	if (rc != 0) {
		if (rc != UV_ENOENT && rc != UV_ENOTDIR) {
			tail_trouble(t, path, rc,
				     "cannot look at a log file, trying again");
			t->scan_failed |= rc != UV_EACCES;
		}
		return 0;
	}
	if (!S_ISREG(st.mode)) {
		return 0;
	}
	f = file_find(t, st.dev, st.ino);
	if (f != NULL && f->state == FILE_SKIPPED &&
	    (file_disk_size(f) != st.size || f->mtime_ns != st.mtime_ns) &&
	    sys_mono_ns(t->sys) >= f->aside_until_ns) {
		file_free(f);
		f = NULL;
	}
	if (f != NULL) {
		seen_again(f, path);
		return 0;
	}
	k = known_by_inode(t, st.dev, st.ino);
	if (k != NULL) {
		/* Smaller than what was read of it: it is something else. */
		k->present = st.size >= known_furthest(k) || is_packed(path);
		k->seen_scan = t->n_scans;
		k->st.seen_ns = sys_wall_ns(t->sys);
		if ((k->live || known_done(k)) && k->st.size == st.size &&
		    k->st.mtime_ns == st.mtime_ns &&
		    (k->st.position == st.size || is_packed(path))) {
			return 0;
		}
	}
	if (room_too_dear(t, &st) || room_passed_over(t, path, &st) ||
	    (k == NULL && forget_refuses(t, path, &st))) {
		return 0;
	}
	rc = scan_open(t, path, m->source, true, &f);
	if (f != NULL && k == NULL) {
		forget_for_file(t, f);
	}
	t->scan_failed |= rc != 0 && rc != UV_ENOENT && rc != UV_EACCES;
	return 0;
}

/* The name of an open file that no glob found may be gone. */
void scan_check_name(struct file *f)
{
	struct sys_stat st;
	int rc = sys_stat(f->tail->sys, f->path, &st);
	bool was_gone = f->gone;

	if (rc == 0) {
		f->gone = st.ino != f->ino || st.dev != f->dev;
	} else if (rc == UV_ENOENT || rc == UV_ENOTDIR) {
		f->gone = true;
	}
	file_away(f, f->gone || !f->in_glob);
	if (f->gone && !was_gone && f->in_glob) {
		search_add(f->tail, f->path, f->good_mtime_ns);
	}
}

/* Whoever may write to a log may give its file any time: what was later than the look that
 * saw it, by more than there is between two looks, was made up. */
int64_t scan_good_mtime(const struct tail *t, const struct stream_state *st)
{
	int64_t looks_ns = 2 * (int64_t)t->poll_ms * 1000000;
	bool witnessed = st->seen_ns <= 0 || st->mtime_ns <= st->seen_ns ||
			 st->mtime_ns - st->seen_ns <= looks_ns;

	return witnessed ? st->mtime_ns : st->seen_ns;
}

/* What is known from a time that has yet to come: the clock was set back while nobody
 * looked, nobody can say when, and what was written since bears any time up to now. */
void scan_note_set_back(struct tail *t)
{
	int64_t last_ns = t->looks_since_ns;

	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];

		if (k->st.path != NULL) {
			last_ns = k->st.seen_ns > last_ns ? k->st.seen_ns : last_ns;
			last_ns = k->good_mtime_ns > last_ns ? k->good_mtime_ns : last_ns;
		}
	}
	if (last_ns > t->clock_wall_ns) {
		t->set_back_from_ns = last_ns;
		t->set_back_ns = t->begun_ns < t->clock_wall_ns ? t->begun_ns : INT64_MIN;
	}
}

/* What is written after the wall clock was set back bears times from before that. */
static void note_clock(struct tail *t)
{
	int64_t wall_ns = sys_wall_ns(t->sys), mono_ns = sys_mono_ns(t->sys);
	int64_t passed = mono_ns - t->clock_mono_ns;

	if (wall_ns - t->clock_wall_ns < passed - CLOCK_STEP_NS &&
	    wall_ns - passed < t->set_back_ns) {
		t->set_back_ns = wall_ns - passed;
		if (t->clock_wall_ns > t->set_back_from_ns) {
			t->set_back_from_ns = t->clock_wall_ns;
		}
	}
	if (wall_ns >= t->set_back_from_ns) {
		/* Times are in order again. */
		t->set_back_ns = INT64_MAX;
		t->set_back_from_ns = 0;
	}
	t->clock_wall_ns = wall_ns;
	t->clock_mono_ns = mono_ns;
}

void scan_run(struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		t->files[i]->seen = false;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		t->known[i]->present = false;
	}
	t->scan_failed = false;
	room_scan_begins(t);
	t->scan_wanted = false;
	t->last_scan_ns = sys_mono_ns(t->sys);
	note_clock(t);
	for (size_t i = 0; i < t->options->n_files; i++) {
		const struct sources_file *sf = &t->options->files[i];
		struct matching m = {t, (uint32_t)i};

		for (size_t j = 0; j < sf->paths.n; j++) {
			int rc = names_glob(t->sys, sf->paths.v[j], on_dir,
					    on_match, &m);

			if (rc != 0) {
				t->scan_failed |= rc != UV_EACCES;
				tail_trouble(t, sf->paths.v[j], rc,
					     "cannot list a directory of a "
					     "glob, trying again");
			}
		}
	}
	t->scanned = true;
	drop_unseen_watches(t);
	for (size_t i = t->n_files; i > 0; i--) {
		struct file *f = t->files[i - 1];

		if (!f->seen) {
			scan_check_name(f);
		}
		if (f->gone && f->state == FILE_SKIPPED) {
			file_free(f);
		}
	}
	room_scan_ends(t);
	forget_scan_ends(t);
}
