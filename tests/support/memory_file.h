/* memory_file: a struct sys in which every path is the same bytes, for reading. */
#ifndef TESTS_SUPPORT_MEMORY_FILE_H
#define TESTS_SUPPORT_MEMORY_FILE_H

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/format.h"
#include "common/sys.h"

struct memory_file {
	struct sys sys; /* first */
	struct sys_ops ops;
	const uint8_t *p;
	size_t n;
};

static inline int memory_open(struct sys *s, const char *path, int flags,
			      unsigned mode)
{
	(void)s;
	(void)path;
	(void)flags;
	(void)mode;
	return 0;
}

static inline int memory_close(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	return 0;
}

static inline int64_t memory_pread(struct sys *s, int fd, void *buf, size_t n,
				   uint64_t offset)
{
	struct memory_file *f = (struct memory_file *)s;

	(void)fd;
	if (offset >= f->n) {
		return 0;
	}
	n = n < f->n - offset ? n : f->n - (size_t)offset;
	memcpy(buf, f->p + offset, n);
	return (int64_t)n;
}

static inline int memory_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	(void)fd;
	*out = (struct sys_stat){.size = ((struct memory_file *)s)->n};
	return 0;
}

static inline void memory_file_init(struct memory_file *f, const uint8_t *p,
				    size_t n)
{
	*f = (struct memory_file){.p = p, .n = n};
	f->ops.open = memory_open;
	f->ops.close = memory_close;
	f->ops.pread = memory_pread;
	f->ops.fstat = memory_fstat;
	f->sys.ops = &f->ops;
}

/* Gives every entry behind the magic the checksum that it should have, so that a
 * mutation gets behind it; an odd last byte leaves them alone. */
static inline void memory_fix_checksums(uint8_t *p, size_t n)
{
	size_t at = FILE_MAGIC;

	while (n % 2 == 0 && n >= at + ENTRY_HEAD + ENTRY_TAIL) {
		size_t len = (size_t)p[at + 1] << 24 | (size_t)p[at + 2] << 16 |
			     (size_t)p[at + 3] << 8 | p[at + 4];
		uint64_t sum;

		if (len > n - at - ENTRY_HEAD - ENTRY_TAIL) {
			return;
		}
		sum = XXH64(p + at, ENTRY_HEAD + len, at);
		at += ENTRY_HEAD + len;
		for (size_t i = 0; i < ENTRY_TAIL; i++) {
			p[at + i] = (uint8_t)(sum >> (8 * (7 - i)));
		}
		at += ENTRY_TAIL;
	}
}

#endif
