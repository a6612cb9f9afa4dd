/* memory_sys: a struct sys for fuzz targets: one file, whose bytes are the
 * input; everything else succeeds and does nothing. */
#ifndef TESTS_SUPPORT_MEMORY_SYS_H
#define TESTS_SUPPORT_MEMORY_SYS_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/sys.h"

struct memory_sys {
	struct sys sys; /* first */
	struct sys_ops ops;
	const char *name; /* in every folder */
	const uint8_t *p;
	size_t n;
};

static inline int64_t memory_now(struct sys *s)
{
	(void)s;
	return 1000000000;
}

static inline int memory_random(struct sys *s, void *out, size_t n)
{
	(void)s;
	memset(out, 7, n);
	return 0;
}

static inline int memory_timer_new(struct sys *s, struct sys_timer **out,
				   sys_timer_cb cb, void *arg)
{
	(void)s;
	(void)cb;
	(void)arg;
	*out = calloc(1, 1);
	return *out == NULL ? UV_ENOMEM : 0;
}

static inline void memory_timer_free(struct sys *s, struct sys_timer *t)
{
	(void)s;
	free(t);
}

static inline int memory_open(struct sys *s, const char *path, int flags,
			      unsigned mode)
{
	(void)s;
	(void)path;
	(void)flags;
	(void)mode;
	return 3;
}

static inline int memory_fd(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	return 0;
}

static inline int64_t memory_pread(struct sys *s, int fd, void *buf, size_t n,
				   uint64_t offset)
{
	const struct memory_sys *m = (const struct memory_sys *)s;

	(void)fd;
	if (offset >= m->n) {
		return 0;
	}
	if (n > m->n - offset) {
		n = m->n - (size_t)offset;
	}
	memcpy(buf, m->p + offset, n);
	return (int64_t)n;
}

static inline int64_t memory_pwrite(struct sys *s, int fd, const void *buf,
				    size_t n, uint64_t offset)
{
	(void)s;
	(void)fd;
	(void)buf;
	(void)offset;
	return (int64_t)n;
}

static inline int memory_ftruncate(struct sys *s, int fd, uint64_t size)
{
	(void)s;
	(void)fd;
	(void)size;
	return 0;
}

static inline int memory_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	(void)fd;
	*out = (struct sys_stat){.size = ((const struct memory_sys *)s)->n,
				 .mode = S_IFREG | 0600};
	return 0;
}

static inline int memory_path(struct sys *s, const char *path)
{
	(void)s;
	(void)path;
	return 0;
}

static inline int memory_rename(struct sys *s, const char *from,
				const char *to)
{
	(void)s;
	(void)from;
	(void)to;
	return 0;
}

static inline int memory_mkdir(struct sys *s, const char *path, unsigned mode)
{
	(void)s;
	(void)path;
	(void)mode;
	return UV_EEXIST;
}

static inline int memory_list(struct sys *s, const char *dir, sys_list_cb cb,
			      void *arg)
{
	(void)dir;
	return cb(arg, ((const struct memory_sys *)s)->name, false);
}

static inline void memory_sys_init(struct memory_sys *m, const char *name,
				   const uint8_t *p, size_t n)
{
	*m = (struct memory_sys){.name = name, .p = p, .n = n};
	m->ops = (struct sys_ops){
		.wall_ns = memory_now,
		.mono_ns = memory_now,
		.random = memory_random,
		.timer_new = memory_timer_new,
		.timer_free = memory_timer_free,
		.open = memory_open,
		.close = memory_fd,
		.pread = memory_pread,
		.pwrite = memory_pwrite,
		.fdatasync = memory_fd,
		.ftruncate = memory_ftruncate,
		.fstat = memory_fstat,
		.rename = memory_rename,
		.unlink = memory_path,
		.mkdir = memory_mkdir,
		.sync_dir = memory_path,
		.list = memory_list,
	};
	m->sys.ops = &m->ops;
}

#endif
