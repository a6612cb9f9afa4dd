/* content: the content of a compressed log file, read like a plain one.
 *
 * gzip (also several members), zstd (several frames) and, where the build has
 * liblzma, xz.  Bytes are asked for by their place in the content; going on from where
 * one was is cheap, going back by more than the window means decoding from the first
 * byte again.  The end is told only when the trailer was verified: what has no trailer
 * is a file that is still being written, or a damaged one.
 *
 * Threads   any one at a time.
 * Blocking  reads; a call ends once it has decoded CONTENT_STEP bytes or read
 *           CONTENT_STEP_IN compressed ones.
 * Memory    the window that is asked for, 64 KiB of compressed bytes, and the decoder: 40
 *           KiB for gzip, what the file asks for with zstd and xz, at most
 *           CONTENT_MEMORY.
 * Work      a file may hold CONTENT_FREE bytes, and beyond that CONTENT_RATIO for each of
 *           its compressed ones, at most CONTENT_MOST.
 * Errors    ERR_MALFORMED, ERR_TRUNCATED (no trailer), ERR_LIMIT (it wants more memory),
 *           ERR_TOO_LARGE (it holds more), UV_ENOTSUP, UV_ENOMEM, UV_EAGAIN (call
 *           again), or sys_pread()'s.
 */
#ifndef SOURCES_CONTENT_H
#define SOURCES_CONTENT_H

#include "common/sys.h"

enum {
	CONTENT_STEP = 1024 * 1024,
	CONTENT_STEP_IN = 1024 * 1024,
	/* xz -9 needs 65 MiB; zstd without --ultra or --long 8 MiB. */
	CONTENT_MEMORY = 72 * 1024 * 1024,
	CONTENT_FREE = 64 * 1024 * 1024,
	/* Logs shrink to a tenth, those of one repeated line with its time to a fiftieth;
	 * a bomb to a thousandth (gzip) and far less (zstd, xz). */
	CONTENT_RATIO = 200,
};
#define CONTENT_MOST (UINT64_C(64) << 30)

enum content_kind { CONTENT_PLAIN, CONTENT_GZIP, CONTENT_ZSTD, CONTENT_XZ, CONTENT_BZIP2 };

struct content;

/* By its name, and by its first bytes if it has some: a plain file may be called
 * anything. */
enum content_kind content_kind_of_name(const char *path);
enum content_kind content_kind_of(const char *path, struct sys *sys, int fd);
/* Whether this build can read it. */
bool content_can(enum content_kind kind);

/* fd stays the caller's, and has to stay open; window: how far one may go back.
 * UV_ENOTSUP, UV_ENOMEM. */
int content_open(struct content **out, struct sys *sys, int fd,
		enum content_kind kind, size_t window);
/* As sys_pread(); 0: the verified end.  n: at most the window. */
int64_t content_pread(struct content *u, void *buf, size_t n, uint64_t offset);
/* NULL allowed. */
void content_close(struct content *u);

#endif
