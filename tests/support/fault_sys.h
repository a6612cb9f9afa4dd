/* fault_sys: the real struct sys with one call that fails: the n-th, with a chosen
 * error (set real to one with a loop for timers, work and watches).  Only what a unit
 * test needs; one at a time. */
#ifndef TESTS_SUPPORT_FAULT_SYS_H
#define TESTS_SUPPORT_FAULT_SYS_H

#include <stdbool.h>

#include "common/err.h"
#include "common/sys.h"
#include "common/sys_uv.h"

struct fault_sys {
	struct sys sys; /* first */
	struct sys_ops ops;
	struct sys *real;
	int countdown; /* file calls left before the one that fails; -1: none */
	int error;
	bool fired;
};

static inline bool fault_sys_now(struct sys *s)
{
	struct fault_sys *f = (struct fault_sys *)s;

	if (f->fired || f->countdown < 0 || f->countdown-- > 0) {
		return false;
	}
	f->fired = true;
	return true;
}

#define FAULT_REAL(s) (((struct fault_sys *)(s))->real)
#define FAULT_OR(s, call)                                                   \
	(fault_sys_now(s) ? ((struct fault_sys *)(s))->error                \
			  : FAULT_REAL(s)->ops->call)

static inline int fault_open(struct sys *s, const char *path, int flags,
			     unsigned mode)
{
	return FAULT_OR(s, open(FAULT_REAL(s), path, flags, mode));
}

static inline int fault_close(struct sys *s, int fd)
{
	return FAULT_REAL(s)->ops->close(FAULT_REAL(s), fd);
}

static inline int64_t fault_pread(struct sys *s, int fd, void *buf, size_t n,
				  uint64_t offset)
{
	return FAULT_OR(s, pread(FAULT_REAL(s), fd, buf, n, offset));
}

static inline int64_t fault_pwrite(struct sys *s, int fd, const void *buf,
				   size_t n, uint64_t offset)
{
	return FAULT_OR(s, pwrite(FAULT_REAL(s), fd, buf, n, offset));
}

static inline int fault_fdatasync(struct sys *s, int fd)
{
	return FAULT_OR(s, fdatasync(FAULT_REAL(s), fd));
}

static inline int fault_ftruncate(struct sys *s, int fd, uint64_t size)
{
	return FAULT_OR(s, ftruncate(FAULT_REAL(s), fd, size));
}

static inline int fault_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	return FAULT_OR(s, fstat(FAULT_REAL(s), fd, out));
}

static inline int fault_stat(struct sys *s, const char *path,
			     struct sys_stat *out)
{
	return FAULT_OR(s, stat(FAULT_REAL(s), path, out));
}

static inline int fault_rename(struct sys *s, const char *from,
			       const char *to)
{
	return FAULT_OR(s, rename(FAULT_REAL(s), from, to));
}

static inline int fault_unlink(struct sys *s, const char *path)
{
	return FAULT_OR(s, unlink(FAULT_REAL(s), path));
}

static inline int fault_mkdir(struct sys *s, const char *path, unsigned mode)
{
	return FAULT_OR(s, mkdir(FAULT_REAL(s), path, mode));
}

static inline int fault_sync_dir(struct sys *s, const char *path)
{
	return FAULT_OR(s, sync_dir(FAULT_REAL(s), path));
}

static inline int fault_list(struct sys *s, const char *dir, sys_list_cb cb,
			     void *arg)
{
	return FAULT_OR(s, list(FAULT_REAL(s), dir, cb, arg));
}

static inline int64_t fault_wall(struct sys *s)
{
	return sys_wall_ns(FAULT_REAL(s));
}

static inline int64_t fault_mono(struct sys *s)
{
	return sys_mono_ns(FAULT_REAL(s));
}

static inline int fault_random(struct sys *s, void *out, size_t n)
{
	return FAULT_OR(s, random(FAULT_REAL(s), out, n));
}

static inline int fault_timer_new(struct sys *s, struct sys_timer **out,
				  sys_timer_cb cb, void *arg)
{
	return FAULT_OR(s, timer_new(FAULT_REAL(s), out, cb, arg));
}

static inline void fault_timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	sys_timer_set(FAULT_REAL(s), t, ms);
}

static inline void fault_timer_stop(struct sys *s, struct sys_timer *t)
{
	sys_timer_stop(FAULT_REAL(s), t);
}

static inline void fault_timer_free(struct sys *s, struct sys_timer *t)
{
	sys_timer_free(FAULT_REAL(s), t);
}

static inline int fault_work(struct sys *s, struct sys_work *w)
{
	return FAULT_OR(s, work_submit(FAULT_REAL(s), w));
}

static inline int fault_watch_new(struct sys *s, struct sys_watch **out,
				  const char *dir, sys_watch_cb cb, void *arg)
{
	return FAULT_OR(s, watch_new(FAULT_REAL(s), out, dir, cb, arg));
}

static inline void fault_watch_free(struct sys *s, struct sys_watch *w)
{
	sys_watch_free(FAULT_REAL(s), w);
}

/* countdown: 0 fails the first call; -1 none. */
static inline void fault_sys_init(struct fault_sys *f, int countdown,
				  int error)
{
	*f = (struct fault_sys){.real = sys_plain(),
				.countdown = countdown,
				.error = error};
	f->ops = *f->real->ops;
	f->ops.wall_ns = fault_wall;
	f->ops.mono_ns = fault_mono;
	f->ops.random = fault_random;
	f->ops.timer_new = fault_timer_new;
	f->ops.timer_set = fault_timer_set;
	f->ops.timer_stop = fault_timer_stop;
	f->ops.timer_free = fault_timer_free;
	f->ops.work_submit = fault_work;
	f->ops.watch_new = fault_watch_new;
	f->ops.watch_free = fault_watch_free;
	f->ops.open = fault_open;
	f->ops.close = fault_close;
	f->ops.pread = fault_pread;
	f->ops.pwrite = fault_pwrite;
	f->ops.fdatasync = fault_fdatasync;
	f->ops.ftruncate = fault_ftruncate;
	f->ops.fstat = fault_fstat;
	f->ops.stat = fault_stat;
	f->ops.rename = fault_rename;
	f->ops.unlink = fault_unlink;
	f->ops.mkdir = fault_mkdir;
	f->ops.sync_dir = fault_sync_dir;
	f->ops.list = fault_list;
	f->sys.ops = &f->ops;
}

#endif
