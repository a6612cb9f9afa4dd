#include "common/sys_uv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/links.h"

/* File calls go to the kernel directly: uv_fs_* without a callback does the
 * same call with more ceremony, and these must work on any thread. */

/* No timer runs twice in one turn of the loop, so that no chain of short ones keeps it
 * from its descriptors.  libuv before 1.45 runs what is due until nothing is, also what
 * its callbacks have just set: therefore "at once" is an idle handle, and no callback
 * moves the loop's notion of now. */
struct sys_timer {
	uv_timer_t uv;
	uv_idle_t at_once;
	int open; /* handles of both */
	sys_timer_cb cb;
	void *arg;
};

struct sys_watch {
	uv_fs_event_t uv;
	sys_watch_cb cb;
	void *arg;
};

struct work_priv {
	uv_work_t uv;
};
_Static_assert(sizeof(struct work_priv) <= sizeof(((struct sys_work *)0)->priv),
	       "sys_work.priv holds libuv's request");

static uv_loop_t *loop_of(struct sys *s)
{
	return ((struct sys_uv *)s)->loop;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* Can't fail for these two clocks. */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t op_wall_ns(struct sys *s)
{
	(void)s;
	return clock_ns(CLOCK_REALTIME);
}

static int64_t op_mono_ns(struct sys *s)
{
	(void)s;
	return clock_ns(CLOCK_MONOTONIC);
}

static int op_random(struct sys *s, void *out, size_t n)
{
	char *p = out;

	(void)s;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR) {
			return -errno;
		}
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

static void on_timer(uv_timer_t *uv)
{
	struct sys_timer *t = uv->data;

	t->cb(t->arg);
}

static void on_at_once(uv_idle_t *uv)
{
	struct sys_timer *t = uv->data;

	uv_idle_stop(uv);
	t->cb(t->arg);
}

static int op_timer_new(struct sys *s, struct sys_timer **out, sys_timer_cb cb,
			void *arg)
{
	struct sys_timer *t;

	*out = NULL;
	if (loop_of(s) == NULL) {
		return UV_ENOSYS;
	}
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		return UV_ENOMEM;
	}
	uv_timer_init(loop_of(s), &t->uv); /* Always 0, as the next. */
	uv_idle_init(loop_of(s), &t->at_once);
	t->open = 2;
	t->uv.data = t->at_once.data = t;
	t->cb = cb;
	t->arg = arg;
	*out = t;
	return 0;
}

static void op_timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	uv_timer_stop(&t->uv);
	uv_idle_stop(&t->at_once);
}

static void op_timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	uint64_t now_ms = uv_hrtime() / 1000000, loop_ms = uv_now(loop_of(s));

	op_timer_stop(s, t);
	if (ms == 0) {
		uv_idle_start(&t->at_once, on_at_once);
		return;
	}
	/* The loop's notion of now may be old after a long callback. */
	if (now_ms > loop_ms) {
		ms += now_ms - loop_ms;
	}
	uv_timer_start(&t->uv, on_timer, ms, 0);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct sys_timer *t = h->data;

	if (--t->open == 0) {
		free(t);
	}
}

static void op_timer_free(struct sys *s, struct sys_timer *t)
{
	(void)s;
	uv_close((uv_handle_t *)&t->uv, on_timer_closed);
	uv_close((uv_handle_t *)&t->at_once, on_timer_closed);
}

static void on_work(uv_work_t *uv)
{
	struct sys_work *w = uv->data;

	w->run(w);
}

static void on_work_done(uv_work_t *uv, int status)
{
	struct sys_work *w = uv->data;

	(void)status; /* Nobody cancels. */
	w->done(w);
}

static int op_work_submit(struct sys *s, struct sys_work *w)
{
	struct work_priv *priv = (struct work_priv *)(void *)w->priv;

	if (loop_of(s) == NULL) {
		return UV_ENOSYS;
	}
	memset(priv, 0, sizeof *priv);
	priv->uv.data = w;
	return uv_queue_work(loop_of(s), &priv->uv, on_work, on_work_done);
}

static void on_watch(uv_fs_event_t *uv, const char *name, int events,
		     int status)
{
	struct sys_watch *w = uv->data;

	(void)events;
	w->cb(w->arg, status < 0 ? NULL : name);
}

static int op_watch_new(struct sys *s, struct sys_watch **out, const char *dir,
			sys_watch_cb cb, void *arg)
{
	struct sys_watch *w;
	int rc;

	*out = NULL;
	if (loop_of(s) == NULL) {
		return UV_ENOSYS;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		return UV_ENOMEM;
	}
	w->cb = cb;
	w->arg = arg;
	w->uv.data = w;
	rc = uv_fs_event_init(loop_of(s), &w->uv);
	if (rc != 0) {
		free(w);
		return rc;
	}
	rc = uv_fs_event_start(&w->uv, on_watch, dir, 0);
	if (rc != 0) {
		sys_watch_free(s, w);
		return rc;
	}
	*out = w;
	return 0;
}

static void on_watch_closed(uv_handle_t *h)
{
	free(h->data);
}

static void op_watch_free(struct sys *s, struct sys_watch *w)
{
	(void)s;
	uv_close((uv_handle_t *)&w->uv, on_watch_closed);
}

static int op_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	int fd;

	(void)s;
	do {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, (mode_t)mode);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int op_open_log(struct sys *s, const char *path, int flags)
{
	int fd;

	(void)s;
	do {
		fd = links_open(path, flags);
	} while (fd == UV_EINTR);
	return fd;
}

static int op_fs_type(struct sys *s, const char *path, uint64_t *out)
{
	struct statfs st;

	(void)s;
	if (statfs(path, &st) != 0) {
		return -errno;
	}
	/* A signed word on some machines: the magic numbers have 32 bits. */
	*out = (uint32_t)st.f_type;
	return 0;
}

static int op_close(struct sys *s, int fd)
{
	(void)s;
	/* EINTR closes on Linux: never again. */
	return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int64_t op_pread(struct sys *s, int fd, void *buf, size_t n,
			uint64_t offset)
{
	ssize_t got;

	(void)s;
	do {
		got = pread(fd, buf, n, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int64_t op_pwrite(struct sys *s, int fd, const void *buf, size_t n,
			 uint64_t offset)
{
	ssize_t put;

	(void)s;
	do {
		put = pwrite(fd, buf, n, (off_t)offset);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

static int op_fdatasync(struct sys *s, int fd)
{
	(void)s;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int op_ftruncate(struct sys *s, int fd, uint64_t size)
{
	(void)s;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static void fill_stat(const struct stat *st, struct sys_stat *out)
{
	*out = (struct sys_stat){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
			    st->st_mtim.tv_nsec,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = (uint32_t)st->st_nlink,
	};
}

static int op_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	struct stat st;

	(void)s;
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	fill_stat(&st, out);
	return 0;
}

static int op_stat(struct sys *s, const char *path, struct sys_stat *out)
{
	struct stat st;

	(void)s;
	if (stat(path, &st) < 0) {
		return -errno;
	}
	fill_stat(&st, out);
	return 0;
}

static int op_rename(struct sys *s, const char *from, const char *to)
{
	(void)s;
	return rename(from, to) < 0 ? -errno : 0;
}

static int op_unlink(struct sys *s, const char *path)
{
	(void)s;
	return unlink(path) < 0 ? -errno : 0;
}

static int op_mkdir(struct sys *s, const char *path, unsigned mode)
{
	(void)s;
	return mkdir(path, (mode_t)mode) < 0 ? -errno : 0;
}

static int op_sync_dir(struct sys *s, const char *path)
{
	int fd = op_open(s, path, O_RDONLY | O_DIRECTORY, 0);
	int rc;

	if (fd < 0) {
		return fd;
	}
	rc = fsync(fd) < 0 ? -errno : 0;
	op_close(s, fd);
	return rc;
}

static bool entry_is_dir(DIR *d, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK) {
		return e->d_type == DT_DIR;
	}
	return fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int op_list(struct sys *s, const char *dir, sys_list_cb cb, void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	(void)s;
	if (d == NULL) {
		return -errno;
	}
	while (rc == 0) {
		errno = 0;
		e = readdir(d);
		if (e == NULL) {
			rc = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0) {
			rc = cb(arg, e->d_name, entry_is_dir(d, e));
		}
	}
	closedir(d);
	return rc;
}

static const struct sys_ops uv_ops = {
	.wall_ns = op_wall_ns,
	.mono_ns = op_mono_ns,
	.random = op_random,
	.timer_new = op_timer_new,
	.timer_set = op_timer_set,
	.timer_stop = op_timer_stop,
	.timer_free = op_timer_free,
	.work_submit = op_work_submit,
	.watch_new = op_watch_new,
	.watch_free = op_watch_free,
	.open = op_open,
	.close = op_close,
	.pread = op_pread,
	.pwrite = op_pwrite,
	.fdatasync = op_fdatasync,
	.ftruncate = op_ftruncate,
	.fstat = op_fstat,
	.stat = op_stat,
	.rename = op_rename,
	.unlink = op_unlink,
	.mkdir = op_mkdir,
	.sync_dir = op_sync_dir,
	.list = op_list,
	.open_log = op_open_log,
	.fs_type = op_fs_type,
};

void sys_uv_init(struct sys_uv *s, uv_loop_t *loop)
{
	s->sys.ops = &uv_ops;
	s->loop = loop;
}

struct sys *sys_plain(void)
{
	static struct sys_uv plain = {.sys = {&uv_ops}, .loop = NULL};

	return &plain.sys;
}
