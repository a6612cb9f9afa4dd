#include "common/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"

int sys_pwrite_all(struct sys *s, int fd, const void *buf, size_t n,
		   uint64_t offset)
{
	const char *p = buf;

	while (n > 0) {
		int64_t done = sys_pwrite(s, fd, p, n, offset);

		if (done < 0) {
			return (int)done;
		}
		if (done == 0) {
			return UV_EIO; /* No progress: never spin on it. */
		}
		p += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

int sys_pread_all(struct sys *s, int fd, void *buf, size_t n, uint64_t offset)
{
	char *p = buf;

	while (n > 0) {
		int64_t done = sys_pread(s, fd, p, n, offset);

		if (done < 0) {
			return (int)done;
		}
		if (done == 0) {
			return UV_EOF;
		}
		p += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

int sys_replace(struct sys *s, const char *dir, const char *path,
		const void *bytes, size_t n, unsigned mode)
{
	char tmp[PATH_MAX];
	int fd, rc, closed;

	if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= (int)sizeof tmp) {
		return UV_ENAMETOOLONG;
	}
	fd = sys_open(s, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
	if (fd < 0) {
		return fd;
	}
	rc = sys_pwrite_all(s, fd, bytes, n, 0);
	if (rc == 0) {
		rc = sys_fdatasync(s, fd);
	}
	closed = sys_close(s, fd);
	if (rc == 0) {
		rc = closed;
	}
	if (rc == 0) {
		rc = sys_rename(s, tmp, path);
	}
	if (rc == 0) {
		return sys_sync_dir(s, dir);
	}
	sys_unlink(s, tmp);
	return rc;
}

int sys_read_file(struct sys *s, const char *path, size_t max, char **out,
		  size_t *n)
{
	struct sys_stat st;
	char *p = NULL;
	int fd = sys_open(s, path, O_RDONLY, 0);
	int rc;

	*out = NULL;
	*n = 0;
	if (fd < 0) {
		return fd;
	}
	rc = sys_fstat(s, fd, &st);
	if (rc == 0 && st.size > max) {
		rc = ERR_TOO_LARGE;
	}
	if (rc == 0) {
		p = malloc((size_t)st.size + 1);
		rc = p == NULL ? UV_ENOMEM
			       : sys_pread_all(s, fd, p, (size_t)st.size, 0);
	}
	sys_close(s, fd);
	if (rc != 0) {
		free(p);
		return rc;
	}
	p[st.size] = '\0';
	*out = p;
	*n = (size_t)st.size;
	return 0;
}

int sys_fs_type(struct sys *s, const char *path, uint64_t *out)
{
	return s->ops->fs_type != NULL ? s->ops->fs_type(s, path, out) : UV_ENOSYS;
}
