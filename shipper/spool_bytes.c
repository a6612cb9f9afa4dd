#include "shipper/spool_bytes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"

int spool_bytes_open(struct spool_bytes *b, struct sys *sys, const char *path)
{
	struct sys_stat st;
	int rc;

	*b = (struct spool_bytes){.sys = sys};
	b->fd = sys_open(sys, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (b->fd < 0) {
		return b->fd;
	}
	rc = sys_fstat(sys, b->fd, &st);
	if (rc == 0 && !S_ISREG(st.mode)) {
		rc = UV_EINVAL;
	}
	if (rc == 0) {
		b->size = st.size;
		b->room = st.size < SPOOL_WINDOW ? (size_t)st.size + 1 : SPOOL_WINDOW;
		b->p = malloc(b->room);
		rc = b->p == NULL ? UV_ENOMEM : 0;
	}
	if (rc != 0) {
		sys_close(sys, b->fd);
	}
	return rc;
}

void spool_bytes_close(struct spool_bytes *b)
{
	sys_close(b->sys, b->fd);
	free(b->p);
	b->p = NULL;
}

static int read_at(struct spool_bytes *b, uint64_t at, size_t n)
{
	int rc = sys_pread_all(b->sys, b->fd, b->p, n, at);

	b->base = at;
	b->n = rc == 0 ? n : 0;
	return rc;
}

struct slice spool_bytes_at(struct spool_bytes *b, uint64_t at, size_t n)
{
	size_t skip;

	if (at >= b->size) {
		return SLICE_NONE;
	}
	n = n < b->size - at ? n : (size_t)(b->size - at);
	if (at < b->base || at - b->base > b->n || b->n - (at - b->base) < n) {
		size_t most = b->size - at < b->room ? (size_t)(b->size - at) : b->room;
		int rc = read_at(b, at, most);

		if (rc != 0) {
			rc = read_at(b, at, n);
		}
		b->rc = b->rc == 0 ? rc : b->rc;
		n = rc == 0 ? n : 0;
	}
	skip = n == 0 ? 0 : (size_t)(at - b->base);
	return slice(b->p + skip, n);
}
