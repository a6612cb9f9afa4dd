#include "sources/content.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

#include "common/err.h"
#include "common/slice.h"

enum { IN_ROOM = 64 * 1024, ZSTD_WINDOW_LOG = 26 };

struct content {
	struct sys *sys;
	int fd;
	enum content_kind kind;
	union {
		z_stream gzip;
		ZSTD_DStream *zstd;
#ifdef HAVE_LZMA
		lzma_stream xz;
#endif
	} as;
	bool running;      /* the decoder is to be ended */
	bool member_open;  /* inside of a member, a frame or a stream */
	bool member_seen;  /* gzip: the end of one, at least */
	bool ended;        /* everything was decoded, and its trailers are right */
	uint64_t in_at;    /* compressed bytes that were read */
	size_t in_n, in_used;
	unsigned char *window; /* the content [base, base + n) */
	uint64_t base;
	size_t n, room, keep;
	unsigned char in[IN_ROOM];
};

/* ---- which ---- */

static const struct {
	const char *suffix;
	enum content_kind kind;
	unsigned char magic[6];
	size_t n;
} kinds[] = {
	{".gz", CONTENT_GZIP, {0x1f, 0x8b}, 2},
	{".zst", CONTENT_ZSTD, {0x28, 0xb5, 0x2f, 0xfd}, 4},
	{".xz", CONTENT_XZ, {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
	{".bz2", CONTENT_BZIP2, {'B', 'Z', 'h'}, 3},
};

enum content_kind content_kind_of_name(const char *path)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (slice_ends(slice_str(path), slice_str(kinds[i].suffix))) {
			return kinds[i].kind;
		}
	}
	return CONTENT_PLAIN;
}

enum content_kind content_kind_of(const char *path, struct sys *sys, int fd)
{
	enum content_kind kind = content_kind_of_name(path);
	unsigned char first[6];
	int64_t n;

	if (kind == CONTENT_PLAIN) {
		return kind;
	}
	n = sys_pread(sys, fd, first, sizeof first, 0);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t want = kinds[i].n;

		if (kinds[i].kind == kind && n > 0 &&
		    memcmp(first, kinds[i].magic,
			   (size_t)n < want ? (size_t)n : want) != 0) {
			return CONTENT_PLAIN;
		}
	}
	return kind;
}

bool content_can(enum content_kind kind)
{
#ifdef HAVE_LZMA
	return kind != CONTENT_BZIP2;
#else
	return kind != CONTENT_BZIP2 && kind != CONTENT_XZ;
#endif
}

/* ---- the decoders ---- */

static void stop(struct content *u)
{
	if (!u->running) {
		return;
	}
	u->running = false;
	if (u->kind == CONTENT_GZIP) {
		inflateEnd(&u->as.gzip);
	} else if (u->kind == CONTENT_ZSTD) {
		ZSTD_freeDStream(u->as.zstd);
#ifdef HAVE_LZMA
	} else {
		lzma_end(&u->as.xz);
#endif
	}
}

static int start_zstd(struct content *u)
{
	u->as.zstd = ZSTD_createDStream();
	if (u->as.zstd == NULL) {
		return UV_ENOMEM;
	}
	ZSTD_DCtx_setParameter(u->as.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	return 0;
}

/* At the first byte again. */
static int start(struct content *u)
{
	int rc = 0;

	stop(u);
	memset(&u->as, 0, sizeof u->as);
	if (u->kind == CONTENT_GZIP) {
		rc = inflateInit2(&u->as.gzip, 15 + 16) == Z_OK ? 0 : UV_ENOMEM;
	} else if (u->kind == CONTENT_ZSTD) {
		rc = start_zstd(u);
#ifdef HAVE_LZMA
	} else {
		lzma_stream fresh = LZMA_STREAM_INIT;

		u->as.xz = fresh;
		rc = lzma_stream_decoder(&u->as.xz, CONTENT_MEMORY,
					 LZMA_CONCATENATED) == LZMA_OK
			     ? 0
			     : UV_ENOMEM;
#endif
	}
	u->running = rc == 0;
	u->member_open = false;
	u->member_seen = false;
	u->ended = false;
	u->in_at = 0;
	u->in_n = u->in_used = 0;
	u->base = 0;
	u->n = 0;
	return rc;
}

/* Each decodes what it can from in[in_used, in_n) to the window's end. */
static int run_gzip(struct content *u)
{
	z_stream *z = &u->as.gzip;
	int rc;

	if (!u->member_open) {
		/* Behind a member: another one, or the zeros that tapes pad with. */
		while (u->member_seen && u->in_used < u->in_n &&
		       u->in[u->in_used] == 0) {
			u->in_used++;
		}
		if (u->in_used == u->in_n) {
			return 0;
		}
		if (inflateReset(z) != Z_OK) {
			return ERR_MALFORMED;
		}
		u->member_open = true;
	}
	z->next_in = u->in + u->in_used;
	z->avail_in = (unsigned)(u->in_n - u->in_used);
	z->next_out = u->window + u->n;
	z->avail_out = (unsigned)(u->room - u->n);
	rc = inflate(z, Z_NO_FLUSH);
	u->in_used = u->in_n - z->avail_in;
	u->n = u->room - z->avail_out;
	if (rc == Z_STREAM_END) {
		u->member_open = false;
		u->member_seen = true;
		return 0;
	}
	return rc == Z_OK || rc == Z_BUF_ERROR ? 0
	       : rc == Z_MEM_ERROR	       ? UV_ENOMEM
					       : ERR_MALFORMED;
}

static int run_zstd(struct content *u)
{
	ZSTD_inBuffer in = {u->in, u->in_n, u->in_used};
	ZSTD_outBuffer out = {u->window, u->room, u->n};
	size_t rc = ZSTD_decompressStream(u->as.zstd, &out, &in);

	u->in_used = in.pos;
	u->n = out.pos;
	if (ZSTD_isError(rc)) {
		return ZSTD_getErrorCode(rc) ==
				       ZSTD_error_frameParameter_windowTooLarge
			       ? ERR_LIMIT
		       : ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
			       ? UV_ENOMEM
			       : ERR_MALFORMED;
	}
	u->member_open = rc != 0;
	return 0;
}

#ifdef HAVE_LZMA
static int run_xz(struct content *u, bool last)
{
	lzma_stream *x = &u->as.xz;
	lzma_ret rc;

	u->member_open = true;
	x->next_in = u->in + u->in_used;
	x->avail_in = u->in_n - u->in_used;
	x->next_out = u->window + u->n;
	x->avail_out = u->room - u->n;
	rc = lzma_code(x, last ? LZMA_FINISH : LZMA_RUN);
	u->in_used = u->in_n - x->avail_in;
	u->n = u->room - x->avail_out;
	u->member_open = rc != LZMA_STREAM_END;
	switch (rc) {
	case LZMA_OK: case LZMA_STREAM_END:
		return 0;
	case LZMA_BUF_ERROR:
		return last ? ERR_TRUNCATED : 0;
	case LZMA_MEM_ERROR:
		return UV_ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return ERR_LIMIT;
	default:
		return ERR_MALFORMED;
	}
}
#endif

static int run(struct content *u, bool last)
{
	switch (u->kind) {
	case CONTENT_GZIP:
		return last && !u->member_open ? 0 : run_gzip(u);
	case CONTENT_ZSTD:
		return last && !u->member_open ? 0 : run_zstd(u);
#ifdef HAVE_LZMA
	case CONTENT_XZ:
		return run_xz(u, last);
#endif
	default:
		return UV_ENOTSUP;
	}
}

/* ---- the window ---- */

static void make_room(struct content *u)
{
	size_t gone;

	if (u->n < u->room) {
		return;
	}
	gone = u->n - u->keep;
	memmove(u->window, u->window + gone, u->keep);
	u->base += gone;
	u->n = u->keep;
}

static int fill_in(struct content *u)
{
	int64_t got;

	if (u->in_used < u->in_n) {
		return 0;
	}
	u->in_used = u->in_n = 0;
	got = sys_pread(u->sys, u->fd, u->in, sizeof u->in, u->in_at);
	if (got < 0) {
		return (int)got;
	}
	u->in_n = (size_t)got;
	u->in_at += (uint64_t)got;
	return 0;
}

static bool too_much(const struct content *u)
{
	uint64_t out = u->base + u->n;

	return out > CONTENT_MOST ||
	       (out > CONTENT_FREE && (out - CONTENT_FREE) / CONTENT_RATIO > u->in_at);
}

/* Decodes on by a little. */
static int step(struct content *u)
{
	size_t before;
	uint64_t base;
	int rc;

	make_room(u);
	before = u->n;
	base = u->base;
	rc = fill_in(u);
	if (rc != 0) {
		return rc;
	}
	rc = run(u, u->in_n == 0);
	rc = rc == 0 && too_much(u) ? ERR_TOO_LARGE : rc;
	if (rc == 0 && u->in_n == 0 && u->n == before && u->base == base) {
		if (u->member_open || u->in_at == 0) {
			return ERR_TRUNCATED;
		}
		u->ended = true;
	}
	return rc;
}

int content_open(struct content **out, struct sys *sys, int fd,
		enum content_kind kind, size_t window)
{
	struct content *u;
	int rc;

	*out = NULL;
	if (!content_can(kind) || kind == CONTENT_PLAIN) {
		return UV_ENOTSUP;
	}
	u = calloc(1, sizeof *u);
	if (u == NULL) {
		return UV_ENOMEM;
	}
	u->sys = sys;
	u->fd = fd;
	u->kind = kind;
	u->keep = window;
	u->room = window + CONTENT_STEP / 4;
	u->window = malloc(u->room);
	rc = u->window == NULL ? UV_ENOMEM : start(u);
	if (rc != 0) {
		content_close(u);
		return rc;
	}
	*out = u;
	return 0;
}

int64_t content_pread(struct content *u, void *buf, size_t n, uint64_t offset)
{
	uint64_t from, in_from, have;
	int rc = 0;

	if (!u->running || offset < u->base) {
		rc = start(u);
	}
	from = u->base + u->n;
	in_from = u->in_at;
	/* All that is asked for, or what there is; what is decoded besides is little. */
	while (rc == 0 && !u->ended && u->base + u->n < offset + n) {
		rc = step(u);
		/* Much may be decoded to nothing: padding, a sparse file. */
		if (u->base + u->n - from >= CONTENT_STEP ||
		    u->in_at - in_from >= CONTENT_STEP_IN) {
			break;
		}
	}
	have = u->base + u->n;
	if (rc != 0) {
		stop(u);
		return rc;
	}
	if (offset >= have) {
		return u->ended ? 0 : UV_EAGAIN;
	}
	n = have - offset < n ? (size_t)(have - offset) : n;
	memcpy(buf, u->window + (offset - u->base), n);
	return (int64_t)n;
}

void content_close(struct content *u)
{
	if (u == NULL) {
		return;
	}
	stop(u);
	if (u->window != NULL) {
		explicit_bzero(u->window, u->room);
	}
	free(u->window);
	explicit_bzero(u, sizeof *u);
	free(u);
}
