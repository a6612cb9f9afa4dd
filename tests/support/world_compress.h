/* world_compress: what gzip and its like do to a file of the world. */
#ifndef TESTS_SUPPORT_WORLD_COMPRESS_H
#define TESTS_SUPPORT_WORLD_COMPRESS_H

#include "tests/support/compress.h"
#include "tests/support/world.h"

/* path becomes path.gz (or .zst, .xz), with its time.  pause, if given, is called when
 * half of it is written. */
static inline void world_compress(struct world *w, const char *path,
				  enum content_kind kind,
				  void (*pause)(void *arg), void *arg)
{
	const struct world_inode *in = world_name_of(w, path)->inode;
	int64_t mtime_ns = in->mtime_ns;
	unsigned char *out = malloc(compress_bound(in->n));
	size_t n, half;
	char to[128];

	if (out == NULL) {
		abort();
	}
	n = compress_bytes(kind, in->data != NULL ? in->data : "", in->n, out);
	half = pause != NULL ? n / 2 : n;
	snprintf(to, sizeof to, "%s%s", path, compress_suffix(kind));
	if (world_name(w, to) != NULL) {
		world_unlink(w, to);
	}
	world_write(w, to, out, half);
	if (pause != NULL) {
		pause(arg);
		world_write(w, to, out + half, n - half);
	}
	free(out);
	world_name_of(w, to)->inode->mtime_ns = mtime_ns;
	world_unlink(w, path);
}

#endif
