/* compress: bytes as gzip, zstd and, where the build has it, xz would write them. */
#ifndef TESTS_SUPPORT_COMPRESS_H
#define TESTS_SUPPORT_COMPRESS_H

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

#include "sources/content.h"

enum { COMPRESS_ROOM = 4096 };

/* How much room compress_bytes() needs. */
static inline size_t compress_bound(size_t n)
{
	return 2 * n + COMPRESS_ROOM;
}

static inline size_t compress_gzip(const void *p, size_t n, unsigned char *out)
{
	z_stream z = {0};

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK) {
		abort();
	}
	z.next_in = (unsigned char *)(uintptr_t)p;
	z.avail_in = (unsigned)n;
	z.next_out = out;
	z.avail_out = (unsigned)compress_bound(n);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
		abort();
	}
	deflateEnd(&z);
	return z.total_out;
}

/* Into out, of compress_bound(n) bytes.  Returns how many. */
static inline size_t compress_bytes(enum content_kind kind, const void *p,
				    size_t n, unsigned char *out)
{
	size_t used = 0;

	switch (kind) {
	case CONTENT_GZIP:
		return compress_gzip(p, n, out);
	case CONTENT_ZSTD:
		used = ZSTD_compress(out, compress_bound(n), p, n, 3);
		break;
#ifdef HAVE_LZMA
	case CONTENT_XZ:
		if (lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, p, n,
					    out, &used, compress_bound(n)) !=
		    LZMA_OK) {
			abort();
		}
		break;
#endif
	default:
		abort();
	}
	return used;
}

static inline const char *compress_suffix(enum content_kind kind)
{
	return kind == CONTENT_GZIP ? ".gz" : kind == CONTENT_ZSTD ? ".zst" : ".xz";
}

/* One of those that this build can read. */
static inline enum content_kind compress_kind(uint64_t roll)
{
	enum content_kind kind = CONTENT_GZIP + roll % 3;

	return content_can(kind) ? kind : CONTENT_GZIP;
}

#endif
