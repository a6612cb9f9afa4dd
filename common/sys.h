/* sys: the outside world as one table of functions.
 *
 * Wall time, monotonic time, randomness, timers, work on another thread and
 * every file call that can fail reach the agent and the collector through a
 * struct sys and in no other way, so that tests/sim can run both in one process
 * on a virtual clock with a disk that fails.  sys_uv.h has the real one, on
 * libuv; tests/sim has the other.  (Network links: wire/link.h.)
 *
 * Threads   clock, random and files: any thread.  Timers, watches and
 *           sys_work_submit(): the loop thread only.
 * Blocking  The file calls block, as the system's do.  On the loop thread they
 *           are for start-up and for the page cache; whatever syncs or may wait
 *           for a disk is called from inside a sys_work.
 * Errors    0 or a count, or a negative UV_E*.
 * Promise   A callback is never called from inside the call that asked for it.
 */
#ifndef COMMON_SYS_H
#define COMMON_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sys;
struct sys_timer; /* opaque, on the heap */
struct sys_watch; /* opaque, on the heap */

typedef void (*sys_timer_cb)(void *arg);
/* Something changed in the watched directory; name is the entry (borrowed for
 * the call), or NULL when the kernel did not say, or dropped events. */
typedef void (*sys_watch_cb)(void *arg, const char *name);

/* A piece of work for another thread.  The caller owns the memory and leaves it
 * alone from sys_work_submit() until done() starts. */
struct sys_work {
	void (*run)(struct sys_work *w);  /* on a worker thread */
	void (*done)(struct sys_work *w); /* afterwards, on the loop thread */
	void *arg;                        /* the caller's */
	_Alignas(16) unsigned char priv[192];
};

struct sys_stat {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;     /* bytes */
	int64_t mtime_ns;  /* Unix time */
	uint32_t mode;     /* st_mode: type and permissions */
	uint32_t uid, gid;
	uint32_t nlink;
};

/* name is borrowed for the call; is_dir by d_type or stat.  Returning non-zero
 * ends the listing, and sys_list() returns that value. */
typedef int (*sys_list_cb)(void *arg, const char *name, bool is_dir);

struct sys_ops {
	int64_t (*wall_ns)(struct sys *);
	int64_t (*mono_ns)(struct sys *);
	int (*random)(struct sys *, void *out, size_t n);

	int (*timer_new)(struct sys *, struct sys_timer **out, sys_timer_cb cb,
			 void *arg);
	void (*timer_set)(struct sys *, struct sys_timer *, uint64_t ms);
	void (*timer_stop)(struct sys *, struct sys_timer *);
	void (*timer_free)(struct sys *, struct sys_timer *);

	int (*work_submit)(struct sys *, struct sys_work *w);

	int (*watch_new)(struct sys *, struct sys_watch **out, const char *dir,
			 sys_watch_cb cb, void *arg);
	void (*watch_free)(struct sys *, struct sys_watch *);

	int (*open)(struct sys *, const char *path, int flags, unsigned mode);
	int (*close)(struct sys *, int fd);
	int64_t (*pread)(struct sys *, int fd, void *buf, size_t n,
			 uint64_t offset);
	int64_t (*pwrite)(struct sys *, int fd, const void *buf, size_t n,
			  uint64_t offset);
	int (*fdatasync)(struct sys *, int fd);
	int (*ftruncate)(struct sys *, int fd, uint64_t size);
	int (*fstat)(struct sys *, int fd, struct sys_stat *out);
	int (*stat)(struct sys *, const char *path, struct sys_stat *out);
	int (*rename)(struct sys *, const char *from, const char *to);
	int (*unlink)(struct sys *, const char *path);
	int (*mkdir)(struct sys *, const char *path, unsigned mode);
	int (*sync_dir)(struct sys *, const char *path);
	int (*list)(struct sys *, const char *dir, sys_list_cb cb, void *arg);

	/* May be NULL: then open(), and UV_ENOSYS. */
	int (*open_log)(struct sys *, const char *path, int flags);
	int (*fs_type)(struct sys *, const char *path, uint64_t *out);
};

struct sys {
	const struct sys_ops *ops;
};

/* Nanoseconds of Unix time; may jump. */
static inline int64_t sys_wall_ns(struct sys *s)
{
	return s->ops->wall_ns(s);
}

/* Nanoseconds from some start; never goes back. */
static inline int64_t sys_mono_ns(struct sys *s)
{
	return s->ops->mono_ns(s);
}

/* n bytes from the kernel's generator, never from a user-space one: a process
 * that is cloned must not repeat itself. */
static inline int sys_random(struct sys *s, void *out, size_t n)
{
	return s->ops->random(s, out, n);
}

/* One-shot timers.  timer_set() on a running timer sets it anew; ms may be 0, which is
 * the next turn of the loop: also when a timer sets itself so, descriptors have theirs
 * in between.  timer_free() stops and frees (NULL allowed). */
static inline int sys_timer_new(struct sys *s, struct sys_timer **out,
				sys_timer_cb cb, void *arg)
{
	return s->ops->timer_new(s, out, cb, arg);
}

static inline void sys_timer_set(struct sys *s, struct sys_timer *t,
				 uint64_t ms)
{
	s->ops->timer_set(s, t, ms);
}

static inline void sys_timer_stop(struct sys *s, struct sys_timer *t)
{
	s->ops->timer_stop(s, t);
}

static inline void sys_timer_free(struct sys *s, struct sys_timer *t)
{
	if (t != NULL) {
		s->ops->timer_free(s, t);
	}
}

/* Jobs may run at the same time and in any order: whoever needs an order has
 * one under way at a time.  On error nothing will be called. */
static inline int sys_work_submit(struct sys *s, struct sys_work *w)
{
	return s->ops->work_submit(s, w);
}

/* Watches a directory (not what is below it).  UV_ENOSPC and UV_EMFILE mean
 * that the system has no more watches: poll instead. */
static inline int sys_watch_new(struct sys *s, struct sys_watch **out,
				const char *dir, sys_watch_cb cb, void *arg)
{
	return s->ops->watch_new(s, out, dir, cb, arg);
}

static inline void sys_watch_free(struct sys *s, struct sys_watch *w)
{
	if (w != NULL) {
		s->ops->watch_free(s, w);
	}
}

/* Files.  flags as open(2)'s, O_CLOEXEC is added; returns a descriptor. */
static inline int sys_open(struct sys *s, const char *path, int flags,
			   unsigned mode)
{
	return s->ops->open(s, path, flags, mode);
}

/* For reading, by a name that others may have made: symbolic links are followed only as
 * common/links.h says. */
static inline int sys_open_log(struct sys *s, const char *path, int flags)
{
	return s->ops->open_log != NULL ? s->ops->open_log(s, path, flags)
					: s->ops->open(s, path, flags, 0);
}

/* What kind of file system path is on: statfs(2)'s f_type. */
int sys_fs_type(struct sys *s, const char *path, uint64_t *out);

static inline int sys_close(struct sys *s, int fd)
{
	return s->ops->close(s, fd);
}

/* Bytes read (0 at the end; may be fewer than asked). */
static inline int64_t sys_pread(struct sys *s, int fd, void *buf, size_t n,
				uint64_t offset)
{
	return s->ops->pread(s, fd, buf, n, offset);
}

/* Bytes written (may be fewer). */
static inline int64_t sys_pwrite(struct sys *s, int fd, const void *buf,
				 size_t n, uint64_t offset)
{
	return s->ops->pwrite(s, fd, buf, n, offset);
}

/* Writes all of it, however many calls that takes; 0 or the first error. */
int sys_pwrite_all(struct sys *s, int fd, const void *buf, size_t n,
		   uint64_t offset);
/* Reads exactly n bytes; UV_EOF when the file is shorter. */
int sys_pread_all(struct sys *s, int fd, void *buf, size_t n, uint64_t offset);

static inline int sys_fdatasync(struct sys *s, int fd)
{
	return s->ops->fdatasync(s, fd);
}

static inline int sys_ftruncate(struct sys *s, int fd, uint64_t size)
{
	return s->ops->ftruncate(s, fd, size);
}

static inline int sys_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	return s->ops->fstat(s, fd, out);
}

static inline int sys_stat(struct sys *s, const char *path,
			   struct sys_stat *out)
{
	return s->ops->stat(s, path, out);
}

static inline int sys_rename(struct sys *s, const char *from, const char *to)
{
	return s->ops->rename(s, from, to);
}

static inline int sys_unlink(struct sys *s, const char *path)
{
	return s->ops->unlink(s, path);
}

/* UV_EEXIST when it is there. */
static inline int sys_mkdir(struct sys *s, const char *path, unsigned mode)
{
	return s->ops->mkdir(s, path, mode);
}

/* Makes the names in a directory durable. */
static inline int sys_sync_dir(struct sys *s, const char *path)
{
	return s->ops->sync_dir(s, path);
}

/* Every entry but "." and "..", in no order. */
static inline int sys_list(struct sys *s, const char *dir, sys_list_cb cb,
			   void *arg)
{
	return s->ops->list(s, dir, cb, arg);
}

/* Replaces the file at path with these bytes so that a crash leaves the old or
 * the new ones whole: writes path.tmp (mode), syncs, renames, syncs dir.  Takes
 * a millisecond or more. */
int sys_replace(struct sys *s, const char *dir, const char *path,
		const void *bytes, size_t n, unsigned mode);

/* Reads the whole file if it is at most max bytes into a malloc'd block of
 * *n bytes, with a NUL behind them that does not count; the caller frees.
 * ERR_TOO_LARGE, UV_ENOMEM or the error of a call. */
int sys_read_file(struct sys *s, const char *path, size_t max, char **out,
		  size_t *n);

#endif
