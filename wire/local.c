#include "wire/local.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "wire/crypto.h"

enum { PATH_ROOM = 4096, OTHERS = 0077 };

/* One key for each purpose: HKDF with the purpose as its info. */
static int derive(const struct device_secret *d, struct slice purpose,
		  uint8_t *out, size_t n)
{
	const struct slice ikm = slice(d->b, sizeof d->b);
	uint8_t prk[SHA256_SIZE];
	int rc = crypto_init();

	if (rc == 0) {
		rc = hkdf_extract(prk, SLICE_LIT("nightjar device secret v1"),
				  &ikm, 1);
	}
	if (rc == 0) {
		rc = hkdf_expand(prk, &purpose, 1, out, n);
	}
	explicit_bzero(prk, sizeof prk);
	return rc;
}

static int make_secret(struct device_secret *out, struct sys *sys,
		       const char *dir, const char *path)
{
	int rc = sys_random(sys, out->b, sizeof out->b);

	return rc != 0 ? rc
		       : sys_replace(sys, dir, path, out->b, sizeof out->b,
				     0600);
}

int device_secret_load(struct device_secret *out, struct sys *sys,
		       const char *dir)
{
	char path[PATH_ROOM], *bytes;
	struct sys_stat st;
	size_t n;
	int rc;

	if (snprintf(path, sizeof path, "%s/secret", dir) >=
	    (int)sizeof path) {
		return UV_ENAMETOOLONG;
	}
	rc = sys_stat(sys, path, &st);
	if (rc == UV_ENOENT) {
		return make_secret(out, sys, dir, path);
	}
	if (rc != 0) {
		return rc;
	}
	if ((st.mode & OTHERS) != 0) {
		return UV_EPERM;
	}
	rc = sys_read_file(sys, path, sizeof out->b, &bytes, &n);
	if (rc != 0) {
		return rc == ERR_TOO_LARGE ? ERR_DAMAGED : rc;
	}
	if (n == sizeof out->b) {
		memcpy(out->b, bytes, n);
	} else {
		rc = ERR_DAMAGED;
	}
	explicit_bzero(bytes, n);
	free(bytes);
	return rc;
}

int device_secret_stream_hash(const struct device_secret *d,
			      uint8_t out[static STREAM_HASH_SECRET])
{
	return derive(d, SLICE_LIT("stream hash"), out, STREAM_HASH_SECRET);
}

/* Keys of sealed bytes have names of their own, so that no purpose can be
 * spelled like the stream hash. */
static int seal_key(const struct device_secret *d, const char *purpose,
		    uint8_t key[static AEAD_KEY])
{
	char name[128];
	int n = snprintf(name, sizeof name, "local %s", purpose);

	if (n >= (int)sizeof name) {
		return UV_EINVAL;
	}
	return derive(d, slice(name, (size_t)n), key, AEAD_KEY);
}

/* Seals what stands in b behind `at` and a nonce's room.  Room for the tag is there. */
static int seal_at(const struct device_secret *d, struct sys *sys,
		   const char *purpose, struct buf *b, size_t at)
{
	uint8_t key[AEAD_KEY], nonce[AEAD_NONCE];
	int rc = sys_random(sys, nonce, sizeof nonce);

	if (rc == 0) {
		rc = seal_key(d, purpose, key);
	}
	if (rc == 0) {
		memcpy(b->p + at, nonce, sizeof nonce);
		rc = aead_seal(key, nonce, slice_str(purpose),
			       (uint8_t *)b->p + at + sizeof nonce,
			       b->n - at - sizeof nonce);
	}
	explicit_bzero(key, sizeof key);
	if (rc == 0) {
		b->n += AEAD_TAG;
	}
	return rc;
}

int local_seal(const struct device_secret *d, struct sys *sys,
	       const char *purpose, struct slice plain, struct buf *out)
{
	size_t was = out->n;
	int rc = buf_reserve(out, AEAD_NONCE + plain.n + AEAD_TAG);

	if (rc == 0) {
		out->n += AEAD_NONCE;
		rc = buf_add_slice(out, plain);
	}
	if (rc == 0) {
		rc = seal_at(d, sys, purpose, out, was);
	}
	if (rc != 0) {
		out->n = was;
	}
	return rc;
}

int local_seal_buf(const struct device_secret *d, struct sys *sys,
		   const char *purpose, struct buf *b)
{
	int rc = buf_reserve(b, AEAD_NONCE + AEAD_TAG);

	if (rc == 0) {
		memmove(b->p + AEAD_NONCE, b->p, b->n);
		b->n += AEAD_NONCE;
		rc = seal_at(d, sys, purpose, b, 0);
	}
	return rc;
}

int local_open(const struct device_secret *d, const char *purpose,
	       struct slice sealed, struct buf *plain)
{
	uint8_t key[AEAD_KEY];
	struct slice rest = slice_skip(sealed, AEAD_NONCE);
	int rc;

	buf_clear(plain);
	if (rest.n < AEAD_TAG) {
		return ERR_AUTH;
	}
	rc = buf_reserve(plain, rest.n - AEAD_TAG);
	if (rc == 0) {
		rc = seal_key(d, purpose, key);
	}
	if (rc == 0) {
		uint8_t none, *to = plain->p == NULL ? &none
						     : (uint8_t *)plain->p;

		rc = aead_open(key, (const uint8_t *)sealed.p,
			       slice_str(purpose), rest, to);
	}
	if (rc == 0) {
		plain->n = rest.n - AEAD_TAG;
	}
	explicit_bzero(key, sizeof key);
	return rc;
}
