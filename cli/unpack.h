/* unpack: a file's bytes, whatever it is packed with: plain, gzip, zstd, xz, by what
 * stands in it and not by its name.  Members that follow one another are one
 * text, as gunzip, unzstd and unxz have it.  Blocking; one thread. */
#ifndef CLI_UNPACK_H
#define CLI_UNPACK_H

#include <stddef.h>
#include <stdint.h>

struct unpack;

/* Takes the descriptor (closed by unpack_free()).  UV_ENOMEM. */
int unpack_new(struct unpack **out, int fd);
/* NULL is allowed. */
void unpack_free(struct unpack *u);

/* Up to n bytes; 0 at the end.  UV_E* of read(2), ERR_COMPRESS (damaged),
 * ERR_TRUNCATED (packed data ends too early), UV_ENOTSUP (xz, in a build without
 * liblzma), ERR_LIMIT (xz that needs more than 128 MiB to unpack). */
int64_t unpack_read(struct unpack *u, char *out, size_t n);
/* Bytes of the file itself that have been read. */
uint64_t unpack_position(const struct unpack *u);

#endif
