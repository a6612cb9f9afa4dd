#include "cli/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/err.h"

enum { INPUT = 128 * 1024, MAGIC = 4, GZIP_WRAP = 16 };
enum packing { UNKNOWN, PLAIN, GZIP, ZSTD };

struct unpack {
	int fd;
	enum packing packing;
	bool ended;   /* nothing more to read */
	bool between; /* no packed member is open */
	uint64_t position;
	size_t at, n; /* input not yet used: in[at, n) */
	z_stream z;
	ZSTD_DCtx *zstd;
	char in[INPUT];
};

int unpack_new(struct unpack **out, int fd)
{
	struct unpack *u = calloc(1, sizeof *u);

	*out = u;
	if (u == NULL) {
		return UV_ENOMEM;
	}
	u->fd = fd;
	u->between = true;
	return 0;
}

void unpack_free(struct unpack *u)
{
	if (u == NULL) {
		return;
	}
	if (u->packing == GZIP) {
		inflateEnd(&u->z);
	}
	ZSTD_freeDCtx(u->zstd);
	close(u->fd);
	free(u);
}

uint64_t unpack_position(const struct unpack *u)
{
	return u->position;
}

static int64_t read_some(struct unpack *u, char *out, size_t n)
{
	ssize_t got;

	do {
		got = read(u->fd, out, n);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return -errno;
	}
	u->ended = got == 0;
	u->position += (uint64_t)got;
	return got;
}

/* More input behind what is left of it. */
static int fill(struct unpack *u)
{
	int64_t got;

	memmove(u->in, u->in + u->at, u->n - u->at);
	u->n -= u->at;
	u->at = 0;
	if (u->ended || u->n == INPUT) {
		return 0;
	}
	got = read_some(u, u->in + u->n, INPUT - u->n);
	if (got < 0) {
		return (int)got;
	}
	u->n += (size_t)got;
	return 0;
}

static int find_out(struct unpack *u)
{
	static const char gzip[] = {'\x1f', '\x8b'};
	static const char zstd[] = {'\x28', '\xb5', '\x2f', '\xfd'};
	int rc = 0;

	while (rc == 0 && u->n < MAGIC && !u->ended) {
		rc = fill(u);
	}
	if (rc != 0) {
		return rc;
	}
	u->packing = PLAIN;
	if (u->n >= sizeof gzip && memcmp(u->in, gzip, sizeof gzip) == 0) {
		if (inflateInit2(&u->z, MAX_WBITS + GZIP_WRAP) != Z_OK) {
			return UV_ENOMEM;
		}
		u->packing = GZIP;
	} else if (u->n >= sizeof zstd && memcmp(u->in, zstd, sizeof zstd) == 0) {
		u->zstd = ZSTD_createDCtx();
		if (u->zstd == NULL) {
			return UV_ENOMEM;
		}
		u->packing = ZSTD;
	}
	return 0;
}

static int64_t plain(struct unpack *u, char *out, size_t n)
{
	size_t left = u->n - u->at;

	if (left == 0) {
		return read_some(u, out, n);
	}
	n = n < left ? n : left;
	memcpy(out, u->in + u->at, n);
	u->at += n;
	return (int64_t)n;
}

static int64_t inflate_some(struct unpack *u, char *out, size_t n)
{
	int rc;

	u->z.next_in = (unsigned char *)u->in + u->at;
	u->z.avail_in = (unsigned)(u->n - u->at);
	u->z.next_out = (unsigned char *)out;
	u->z.avail_out = (unsigned)n;
	rc = inflate(&u->z, Z_NO_FLUSH);
	u->at = u->n - u->z.avail_in;
	u->between = rc == Z_STREAM_END;
	if (rc == Z_STREAM_END) {
		rc = inflateReset(&u->z);
	}
	if (rc != Z_OK && rc != Z_BUF_ERROR) {
		return ERR_COMPRESS;
	}
	return (int64_t)(n - u->z.avail_out);
}

static int64_t unzstd_some(struct unpack *u, char *out, size_t n)
{
	ZSTD_inBuffer in = {u->in, u->n, u->at};
	ZSTD_outBuffer to = {out, n, 0};
	size_t rc = ZSTD_decompressStream(u->zstd, &to, &in);

	u->at = in.pos;
	if (ZSTD_isError(rc)) {
		return ERR_COMPRESS;
	}
	u->between = rc == 0;
	return (int64_t)to.pos;
}

int64_t unpack_read(struct unpack *u, char *out, size_t n)
{
	int rc = u->packing == UNKNOWN ? find_out(u) : 0;
	int64_t got;

	if (rc != 0) {
		return rc;
	}
	if (u->packing == PLAIN) {
		return plain(u, out, n);
	}
	for (;;) {
		if (u->at == u->n && !u->ended) {
			rc = fill(u);
			if (rc != 0) {
				return rc;
			}
		}
		/* Also without input: the decoder may still hold output. */
		if (u->at == u->n && u->ended && u->between) {
			return 0;
		}
		got = u->packing == GZIP ? inflate_some(u, out, n)
					 : unzstd_some(u, out, n);
		if (got != 0) {
			return got;
		}
		if (u->at == u->n && u->ended) {
			return u->between ? 0 : ERR_TRUNCATED;
		}
	}
}
