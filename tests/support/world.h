/* world: a struct sys for tests of sources/: files in memory, virtual time, and
 * a call that fails on demand.
 *
 * Single-threaded.  Names are absolute paths; directories exist by having
 * something in them.  Nothing here is the product: errors abort the test.
 */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/sys.h"

enum { WORLD_FILES = 512, WORLD_FDS = 256, WORLD_TIMERS = 16,
       WORLD_WATCHES = 16 };

struct world_inode {
	char *data;
	size_t n, room;
	uint64_t ino;
	uint32_t nlink;
	unsigned fds;
	int64_t mtime_ns;
	unsigned mode;
};

struct world_name {
	char path[128];
	struct world_inode *inode;
};

struct sys_timer {
	sys_timer_cb cb;
	void *arg;
	int64_t due_ns; /* INT64_MAX: not set */
	uint64_t order;
	bool used;
};

struct sys_watch {
	char dir[128];
	sys_watch_cb cb;
	void *arg;
	bool used;
};

struct world {
	struct sys sys; /* first */
	int64_t now_ns;
	int64_t wall_ahead_ns; /* of now_ns */
	uint64_t random;
	struct world_name names[WORLD_FILES];
	size_t n_names;
	struct world_inode *fds[WORLD_FDS];
	struct sys_timer timers[WORLD_TIMERS];
	struct sys_watch watches[WORLD_WATCHES];
	uint64_t next_ino, order;
	int64_t dirs_mtime_ns; /* of every directory */
	bool watching;    /* watches work, else UV_ENOSPC */
	size_t short_read; /* 0: whole reads */
	uint64_t calls;   /* of those that can fail */
	uint64_t lists;   /* folders listed */
	uint64_t fail_at; /* the call that fails, 0: none */
	unsigned open_fds;
};

static inline struct world *world_of(struct sys *s)
{
	return (struct world *)s;
}

static inline uint64_t world_rand(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static inline bool world_fails(struct world *w)
{
	return ++w->calls == w->fail_at;
}

/* ---- files ---- */

static inline int64_t world_wall_ns(const struct world *w)
{
	return w->now_ns + w->wall_ahead_ns;
}

static inline struct world_name *world_name(struct world *w, const char *path)
{
	for (size_t i = 0; i < w->n_names; i++) {
		if (strcmp(w->names[i].path, path) == 0) {
			return &w->names[i];
		}
	}
	return NULL;
}

/* One that has to be there. */
static inline struct world_name *world_name_of(struct world *w,
					       const char *path)
{
	struct world_name *name = world_name(w, path);

	if (name == NULL) {
		abort();
	}
	return name;
}

static inline void world_drop(struct world_inode *in)
{
	if (in->nlink == 0 && in->fds == 0) {
		free(in->data);
		free(in);
	}
}

static inline void world_tell(struct world *w, const char *path)
{
	const char *base = strrchr(path, '/') + 1;

	for (int i = 0; i < WORLD_WATCHES && w->watching; i++) {
		struct sys_watch *sw = &w->watches[i];

		if (sw->used &&
		    strlen(sw->dir) == (size_t)(base - path) - 1 &&
		    strncmp(sw->dir, path, strlen(sw->dir)) == 0) {
			sw->cb(sw->arg, base);
		}
	}
}

static inline void world_unlink(struct world *w, const char *path)
{
	struct world_name *name = world_name_of(w, path);
	struct world_inode *in = name->inode;

	*name = w->names[--w->n_names];
	w->dirs_mtime_ns = world_wall_ns(w);
	in->nlink--;
	world_drop(in);
	world_tell(w, path);
}

/* An empty file; ino 0: a fresh number. */
static inline struct world_inode *world_create(struct world *w,
					       const char *path, uint64_t ino)
{
	struct world_inode *in = calloc(1, sizeof *in);

	if (in == NULL) {
		abort();
	}
	assert(world_name(w, path) == NULL && w->n_names < WORLD_FILES);
	in->ino = ino != 0 ? ino : w->next_ino++;
	in->nlink = 1;
	in->mtime_ns = world_wall_ns(w);
	in->mode = S_IFREG | 0644;
	snprintf(w->names[w->n_names].path, sizeof w->names[0].path, "%s",
		 path);
	w->names[w->n_names++].inode = in;
	w->dirs_mtime_ns = world_wall_ns(w);
	world_tell(w, path);
	return in;
}

/* A second name for the same file. */
static inline void world_link(struct world *w, const char *from,
			      const char *to)
{
	struct world_inode *in = world_name_of(w, from)->inode;

	assert(world_name(w, to) == NULL && w->n_names < WORLD_FILES);
	in->nlink++;
	w->dirs_mtime_ns = world_wall_ns(w);
	snprintf(w->names[w->n_names].path, sizeof w->names[0].path, "%s", to);
	w->names[w->n_names++].inode = in;
	world_tell(w, to);
}

static inline void world_write(struct world *w, const char *path,
			       const void *data, size_t n)
{
	struct world_name *name = world_name(w, path);
	struct world_inode *in =
		name != NULL ? name->inode : world_create(w, path, 0);

	if (in->n + n > in->room) {
		in->room = 2 * (in->n + n);
		in->data = realloc(in->data, in->room);
	}
	if (n > 0) {
		memcpy(in->data + in->n, data, n);
	}
	in->n += n;
	in->mtime_ns = world_wall_ns(w);
	world_tell(w, path);
}

static inline void world_append(struct world *w, const char *path,
				const char *text)
{
	world_write(w, path, text, strlen(text));
}

static inline void world_truncate(struct world *w, const char *path)
{
	struct world_inode *in = world_name_of(w, path)->inode;

	in->n = 0;
	in->mtime_ns = world_wall_ns(w);
	world_tell(w, path);
}

static inline void world_rename(struct world *w, const char *from,
				const char *to)
{
	if (world_name(w, to) != NULL) {
		world_unlink(w, to);
	}
	snprintf(world_name_of(w, from)->path, sizeof w->names[0].path, "%s", to);
	w->dirs_mtime_ns = world_wall_ns(w);
	world_tell(w, from);
	world_tell(w, to);
}

static inline void world_copy(struct world *w, const char *from,
			      const char *to)
{
	struct world_inode *in = world_name_of(w, from)->inode;

	if (world_name(w, to) != NULL) {
		world_unlink(w, to);
	}
	world_create(w, to, 0);
	world_write(w, to, in->data != NULL ? in->data : "", in->n);
}

/* ---- struct sys ---- */

static inline int64_t world_op_wall(struct sys *s)
{
	return world_wall_ns(world_of(s));
}

static inline int64_t world_op_now(struct sys *s)
{
	return world_of(s)->now_ns;
}

static inline int world_op_random(struct sys *s, void *out, size_t n)
{
	unsigned char *p = out;

	if (world_fails(world_of(s))) {
		return UV_EIO;
	}
	for (size_t i = 0; i < n; i++) {
		p[i] = (unsigned char)(world_rand(world_of(s)) >> 24);
	}
	return 0;
}

static inline int world_op_timer_new(struct sys *s, struct sys_timer **out,
				     sys_timer_cb cb, void *arg)
{
	struct world *w = world_of(s);

	if (world_fails(w)) {
		return UV_ENOMEM;
	}
	for (int i = 0; i < WORLD_TIMERS; i++) {
		if (!w->timers[i].used) {
			w->timers[i] = (struct sys_timer){cb, arg, INT64_MAX, 0,
							  true};
			*out = &w->timers[i];
			return 0;
		}
	}
	return UV_ENOMEM;
}

static inline void world_op_timer_set(struct sys *s, struct sys_timer *t,
				      uint64_t ms)
{
	t->due_ns = world_of(s)->now_ns + (int64_t)ms * 1000000;
	t->order = ++world_of(s)->order;
}

static inline void world_op_timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->due_ns = INT64_MAX;
}

static inline void world_op_timer_free(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->used = false;
	t->due_ns = INT64_MAX;
}

static inline int world_op_watch_new(struct sys *s, struct sys_watch **out,
				     const char *dir, sys_watch_cb cb,
				     void *arg)
{
	struct world *w = world_of(s);

	if (world_fails(w) || !w->watching) {
		return UV_ENOSPC;
	}
	for (int i = 0; i < WORLD_WATCHES; i++) {
		struct sys_watch *sw = &w->watches[i];

		if (!sw->used) {
			snprintf(sw->dir, sizeof sw->dir, "%s", dir);
			sw->cb = cb;
			sw->arg = arg;
			sw->used = true;
			*out = sw;
			return 0;
		}
	}
	return UV_ENOSPC;
}

static inline void world_op_watch_free(struct sys *s, struct sys_watch *sw)
{
	(void)s;
	sw->used = false;
}

static inline int world_op_open(struct sys *s, const char *path, int flags,
				unsigned mode)
{
	struct world *w = world_of(s);
	struct world_name *name = world_name(w, path);

	(void)flags;
	(void)mode;
	if (world_fails(w)) {
		return UV_EIO;
	}
	if (name == NULL) {
		return UV_ENOENT;
	}
	if ((name->inode->mode & 0444) == 0) {
		return UV_EACCES;
	}
	for (int fd = 3; fd < WORLD_FDS; fd++) {
		if (w->fds[fd] == NULL) {
			w->fds[fd] = name->inode;
			name->inode->fds++;
			w->open_fds++;
			return fd;
		}
	}
	return UV_EMFILE;
}

static inline int world_op_close(struct sys *s, int fd)
{
	struct world *w = world_of(s);

	assert(w->fds[fd] != NULL);
	w->fds[fd]->fds--;
	world_drop(w->fds[fd]);
	w->fds[fd] = NULL;
	w->open_fds--;
	return 0;
}

static inline int64_t world_op_pread(struct sys *s, int fd, void *buf,
				     size_t n, uint64_t offset)
{
	struct world *w = world_of(s);
	struct world_inode *in = w->fds[fd];

	assert(in != NULL);
	if (world_fails(w)) {
		return UV_EIO;
	}
	if (offset >= in->n) {
		return 0;
	}
	if (n > in->n - offset) {
		n = in->n - (size_t)offset;
	}
	if (w->short_read > 0 && n > w->short_read) {
		n = w->short_read;
	}
	memcpy(buf, in->data + offset, n);
	return (int64_t)n;
}

static inline void world_fill(const struct world_inode *in,
			      struct sys_stat *out)
{
	*out = (struct sys_stat){.dev = 1, .ino = in->ino, .size = in->n,
				 .mtime_ns = in->mtime_ns, .mode = in->mode,
				 .nlink = in->nlink};
}

static inline int world_op_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	struct world *w = world_of(s);

	assert(w->fds[fd] != NULL);
	if (world_fails(w)) {
		return UV_EIO;
	}
	world_fill(w->fds[fd], out);
	return 0;
}

/* Bytes of path that name a directory above it, or 0 when dir is none. */
static inline size_t world_below(const char *dir, const char *path)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(dir, path, n) == 0 && path[n] == '/' ? n + 1 : 0;
}

static inline int world_op_stat(struct sys *s, const char *path,
				struct sys_stat *out)
{
	struct world *w = world_of(s);
	struct world_name *name = world_name(w, path);

	if (world_fails(w)) {
		return UV_EIO;
	}
	if (name != NULL) {
		world_fill(name->inode, out);
		return 0;
	}
	for (size_t i = 0; i < w->n_names; i++) {
		if (world_below(path, w->names[i].path) > 0) {
			*out = (struct sys_stat){.dev = 1, .ino = 999,
						 .mode = S_IFDIR | 0755,
						 .mtime_ns = w->dirs_mtime_ns,
						 .nlink = 2};
			return 0;
		}
	}
	return UV_ENOENT;
}

static inline int world_op_list(struct sys *s, const char *dir,
				sys_list_cb cb, void *arg)
{
	struct world *w = world_of(s);
	size_t n = w->n_names;
	char(*entries)[128] = calloc(n + 1, sizeof *entries);
	bool *dirs = calloc(n + 1, sizeof *dirs);
	size_t used = 0;
	int rc = 0;

	w->lists++;
	if (world_fails(w)) {
		free(entries);
		free(dirs);
		return UV_EIO;
	}
	for (size_t i = 0; i < n; i++) {
		size_t skip = world_below(dir, w->names[i].path);
		const char *rest = w->names[i].path + skip;
		size_t len = strcspn(rest, "/");
		size_t j = 0;

		if (skip == 0) {
			continue;
		}
		while (j < used && (strncmp(entries[j], rest, len) != 0 ||
				    entries[j][len] != '\0')) {
			j++;
		}
		if (j == used) {
			memcpy(entries[used], rest, len);
			dirs[used++] = rest[len] == '/';
		}
	}
	for (size_t i = 0; i < used && rc == 0; i++) {
		rc = cb(arg, entries[i], dirs[i]);
	}
	free(entries);
	free(dirs);
	return rc != 0 ? rc : used == 0 ? UV_ENOENT : 0;
}

static const struct sys_ops world_ops = {
	.wall_ns = world_op_wall,
	.mono_ns = world_op_now,
	.random = world_op_random,
	.timer_new = world_op_timer_new,
	.timer_set = world_op_timer_set,
	.timer_stop = world_op_timer_stop,
	.timer_free = world_op_timer_free,
	.watch_new = world_op_watch_new,
	.watch_free = world_op_watch_free,
	.open = world_op_open,
	.close = world_op_close,
	.pread = world_op_pread,
	.fstat = world_op_fstat,
	.stat = world_op_stat,
	.list = world_op_list,
};

static inline void world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->sys.ops = &world_ops;
	w->now_ns = 1000000000000000000;
	w->random = seed * 2654435761u + 88172645463325252u;
	w->next_ino = 100;
	w->watching = true;
	for (int i = 0; i < WORLD_TIMERS; i++) {
		w->timers[i].due_ns = INT64_MAX;
	}
}

static inline void world_fini(struct world *w)
{
	while (w->n_names > 0) {
		world_unlink(w, w->names[0].path);
	}
	assert(w->open_fds == 0);
	for (int i = 0; i < WORLD_TIMERS; i++) {
		assert(!w->timers[i].used);
	}
	for (int i = 0; i < WORLD_WATCHES; i++) {
		assert(!w->watches[i].used);
	}
}

static inline struct sys_timer *world_next(struct world *w)
{
	struct sys_timer *best = NULL;

	for (int i = 0; i < WORLD_TIMERS; i++) {
		struct sys_timer *t = &w->timers[i];

		if (t->used && t->due_ns != INT64_MAX &&
		    (best == NULL || t->due_ns < best->due_ns ||
		     (t->due_ns == best->due_ns && t->order < best->order))) {
			best = t;
		}
	}
	return best;
}

/* One timer that is due within ms; false: there is none. */
static inline bool world_turn(struct world *w, int64_t until_ns)
{
	struct sys_timer *t = world_next(w);

	if (t == NULL || t->due_ns > until_ns) {
		return false;
	}
	if (t->due_ns > w->now_ns) {
		w->now_ns = t->due_ns;
	}
	t->due_ns = INT64_MAX;
	t->cb(t->arg);
	return true;
}

/* Lets ms pass.  A loop that never rests fails. */
static inline void world_run(struct world *w, int64_t ms)
{
	int64_t until = w->now_ns + ms * 1000000;
	int64_t last = w->now_ns;
	unsigned spins = 0;

	while (world_turn(w, until)) {
		spins = w->now_ns == last ? spins + 1 : 0;
		last = w->now_ns;
		assert(spins < 200000 && "the loop spins");
	}
	w->now_ns = until;
}

#endif
