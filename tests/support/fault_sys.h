/* fault_sys: the real struct sys with one file call that fails: the n-th, with a
 * chosen error.  Only what a unit test needs; one at a time. */
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
