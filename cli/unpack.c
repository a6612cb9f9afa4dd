#include "cli/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

#include "common/err.h"

enum { INPUT = 128 * 1024, MAGIC = 6, GZIP_WRAP = 16, XZ_MEMORY = 128 * 1024 * 1024 };
enum packing { UNKNOWN, PLAIN, GZIP, ZSTD, XZ };

struct unpack {
	int fd;
	enum packing packing;
	bool ended;   /* nothing more to read */
	bool between; /* no packed member is open */
	uint64_t position;
	size_t at, n; /* input not yet used: in[at, n) */
	z_stream z;
	ZSTD_DCtx *zstd;
#ifdef HAVE_LZMA
	lzma_stream xz;
#endif
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
#ifdef HAVE_LZMA
	lzma_end(&u->xz);
#endif
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

static int begin_xz(struct unpack *u)
{
#ifdef HAVE_LZMA
	lzma_ret rc = lzma_stream_decoder(&u->xz, XZ_MEMORY, LZMA_CONCATENATED);

	u->packing = XZ;
	return rc == LZMA_OK ? 0 : UV_ENOMEM;
#else
	(void)u;
	return UV_ENOTSUP; /* built without liblzma */
#endif
}

static int find_out(struct unpack *u)
{
	static const char gzip[] = {'\x1f', '\x8b'};
	static const char zstd[] = {'\x28', '\xb5', '\x2f', '\xfd'};
	static const char xz[] = {'\xfd', '7', 'z', 'X', 'Z', '\0'};
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
	} else if (u->n >= sizeof xz && memcmp(u->in, xz, sizeof xz) == 0) {
		return begin_xz(u);
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

static int64_t unxz_some(struct unpack *u, char *out, size_t n)
{
#ifdef HAVE_LZMA
	lzma_ret rc;

	u->xz.next_in = (const uint8_t *)u->in + u->at;
	u->xz.avail_in = u->n - u->at;
	u->xz.next_out = (uint8_t *)out;
	u->xz.avail_out = n;
	rc = lzma_code(&u->xz, u->ended ? LZMA_FINISH : LZMA_RUN);
	u->at = u->n - u->xz.avail_in;
	u->between = rc == LZMA_STREAM_END;
	if (rc == LZMA_MEM_ERROR) {
		return UV_ENOMEM;
	}
	if (rc != LZMA_OK && rc != LZMA_STREAM_END && rc != LZMA_BUF_ERROR) {
		return rc == LZMA_MEMLIMIT_ERROR ? ERR_LIMIT : ERR_COMPRESS;
	}
	return (int64_t)(n - u->xz.avail_out);
#else
	(void)u, (void)out, (void)n;
	return UV_ENOTSUP;
#endif
}

static int64_t unpack_some(struct unpack *u, char *out, size_t n)
{
	switch (u->packing) {
	case GZIP:
		return inflate_some(u, out, n);
	case ZSTD:
		return unzstd_some(u, out, n);
	default:
		return unxz_some(u, out, n);
	}
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
		got = unpack_some(u, out, n);
		if (got != 0) {
			return got;
		}
		if (u->at == u->n && u->ended) {
			return u->between ? 0 : ERR_TRUNCATED;
		}
	}
}
