/* crypto: the few primitives that the rest of wire/ is made of, so that foreign
 * error codes and key handles stay in one file.
 *
 * Pure but for psa_crypto_init().  Any thread.  Errors: 0 or ERR_CRYPTO;
 * aead_open() also ERR_AUTH.
 */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

#include "common/slice.h"

enum { SHA256_SIZE = 32, AEAD_KEY = 32, AEAD_NONCE = 12, AEAD_TAG = 16,
       X25519_SIZE = 32 };

/* Once in a process before anything else of it; later calls cost a lock.  Also
 * refuses a library older than 3.6.6, whatever it was built against. */
int crypto_init(void);

/* HMAC-SHA256 over the parts one after another.  An empty key is allowed. */
int hmac_sha256(uint8_t out[static SHA256_SIZE], struct slice key,
		const struct slice *parts, size_t n);
/* HKDF (RFC 5869) with SHA-256.  out_n <= 255 * 32; n <= HKDF_PARTS. */
enum { HKDF_PARTS = 8 };
int hkdf_extract(uint8_t prk[static SHA256_SIZE], struct slice salt,
		 const struct slice *ikm, size_t n);
int hkdf_expand(const uint8_t prk[static SHA256_SIZE], const struct slice *info,
		size_t n, uint8_t *out, size_t out_n);

/* ChaCha20-Poly1305 (RFC 8439).  data is encrypted in place; the tag goes to
 * data + n, where AEAD_TAG bytes of room must be. */
int aead_seal(const uint8_t key[static AEAD_KEY],
	      const uint8_t nonce[static AEAD_NONCE], struct slice aad,
	      uint8_t *data, size_t n);
/* in: ciphertext and tag.  out: in.n - AEAD_TAG bytes, not overlapping in;
 * zeroed on an error. */
int aead_open(const uint8_t key[static AEAD_KEY],
	      const uint8_t nonce[static AEAD_NONCE], struct slice aad,
	      struct slice in, uint8_t *out);

/* RFC 7748.  x25519() refuses an all-zero result (RFC 9180, 7.1.4). */
int x25519_public(uint8_t out[static X25519_SIZE],
		  const uint8_t secret[static X25519_SIZE]);
int x25519(uint8_t out[static X25519_SIZE],
	   const uint8_t secret[static X25519_SIZE],
	   const uint8_t peer[static X25519_SIZE]);

#endif
