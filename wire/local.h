/* local: bytes that the device has to read again itself (stream table,
 * detectors' state, hook queues), authenticated and encrypted with a key that
 * never leaves it.  What that does not protect: whoever is root on the device.
 *
 * The device secret is 32 random bytes in a file of mode 0600, made at the
 * first start.  Separate keys are derived from it by name (HKDF-SHA256, RFC
 * 5869), so that what is sealed for one purpose does not open as another.
 * ChaCha20-Poly1305, 12-byte nonce from sys_random().
 */
#ifndef WIRE_LOCAL_H
#define WIRE_LOCAL_H

#include "common/buf.h"
#include "common/sys.h"

struct device_secret {
	uint8_t b[32];
};

enum { STREAM_HASH_SECRET = 192 };

/* Reads dir/secret, or makes it.  UV_E*, ERR_DAMAGED (wrong size), UV_EPERM
 * (readable by others). */
int device_secret_load(struct device_secret *out, struct sys *sys,
		       const char *dir);
/* The XXH3 secret for H(p) (delivery.md, rule 3).  ERR_CRYPTO. */
int device_secret_stream_hash(const struct device_secret *d,
			      uint8_t out[static STREAM_HASH_SECRET]);
/* Appends nonce, ciphertext and tag.  purpose: a constant, "streams". */
int local_seal(const struct device_secret *d, struct sys *sys,
	       const char *purpose, struct slice plain, struct buf *out);
/* The same in place, for what is too large to be there twice.  After an error b is of no
 * more use. */
int local_seal_buf(const struct device_secret *d, struct sys *sys,
		   const char *purpose, struct buf *b);
/* ERR_AUTH: not ours, another purpose, or damaged. */
int local_open(const struct device_secret *d, const char *purpose,
	       struct slice sealed, struct buf *plain);

#endif
