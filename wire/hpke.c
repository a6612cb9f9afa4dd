#include "wire/hpke.h"

#include "common/err.h"

/* Names follow RFC 9180: LabeledExtract() and LabeledExpand() of section 4, with
 * suite_id of the KEM (4.1) or of the whole (5.1). */
static const uint8_t suite_kem[] = {'K', 'E', 'M', HPKE_KEM >> 8,
				    HPKE_KEM & 0xff};
static const uint8_t suite_hpke[] = {
	'H', 'P', 'K', 'E', HPKE_KEM >> 8, HPKE_KEM & 0xff,
	HPKE_KDF >> 8, HPKE_KDF & 0xff, HPKE_AEAD >> 8, HPKE_AEAD & 0xff};

#define KEM slice(suite_kem, sizeof suite_kem)
#define HPKE slice(suite_hpke, sizeof suite_hpke)
#define VERSION_LABEL SLICE_LIT("HPKE-v1")

static int labeled_extract(uint8_t out[static SHA256_SIZE], struct slice suite,
			   struct slice salt, struct slice label,
			   struct slice ikm)
{
	const struct slice parts[] = {VERSION_LABEL, suite, label, ikm};

	return hkdf_extract(out, salt, parts, 4);
}

static int labeled_expand(uint8_t *out, size_t n, struct slice suite,
			  const uint8_t prk[static SHA256_SIZE],
			  struct slice label, struct slice info)
{
	const uint8_t length[] = {(uint8_t)(n >> 8), (uint8_t)n};
	const struct slice parts[] = {slice(length, 2), VERSION_LABEL, suite,
				      label, info};

	return hkdf_expand(prk, parts, 5, out, n);
}

int hpke_derive_secret(uint8_t out[static X25519_SIZE], struct slice ikm)
{
	uint8_t prk[SHA256_SIZE];
	int rc = labeled_extract(prk, KEM, SLICE_NONE, SLICE_LIT("dkp_prk"),
				 ikm);

	if (rc == 0) {
		rc = labeled_expand(out, X25519_SIZE, KEM, prk,
				    SLICE_LIT("sk"), SLICE_NONE);
	}
	explicit_bzero(prk, sizeof prk);
	return rc;
}

/* 4.1, ExtractAndExpand(dh, enc || pkR). */
static int kem_shared(uint8_t out[static SHA256_SIZE],
		      const uint8_t dh[static X25519_SIZE],
		      const uint8_t enc[static X25519_SIZE],
		      const uint8_t recipient[static X25519_SIZE])
{
	uint8_t prk[SHA256_SIZE], context[2 * X25519_SIZE];
	int rc;

	memcpy(context, enc, X25519_SIZE);
	memcpy(context + X25519_SIZE, recipient, X25519_SIZE);
	rc = labeled_extract(prk, KEM, SLICE_NONE, SLICE_LIT("eae_prk"),
			     slice(dh, X25519_SIZE));
	if (rc == 0) {
		rc = labeled_expand(out, SHA256_SIZE, KEM, prk,
				    SLICE_LIT("shared_secret"),
				    slice(context, sizeof context));
	}
	explicit_bzero(prk, sizeof prk);
	return rc;
}

int hpke_schedule(struct hpke_context *c, const uint8_t dh[static X25519_SIZE],
		  const uint8_t enc[static X25519_SIZE],
		  const uint8_t recipient[static X25519_SIZE],
		  struct slice info)
{
	/* mode_base, then the hashes of an empty psk_id and of info. */
	uint8_t context[1 + 2 * SHA256_SIZE] = {0}, secret[SHA256_SIZE];
	struct slice ctx = slice(context, sizeof context);
	int rc = kem_shared(c->shared_secret, dh, enc, recipient);

	if (rc == 0) {
		rc = labeled_extract(context + 1, HPKE, SLICE_NONE,
				     SLICE_LIT("psk_id_hash"), SLICE_NONE);
	}
	if (rc == 0) {
		rc = labeled_extract(context + 1 + SHA256_SIZE, HPKE,
				     SLICE_NONE, SLICE_LIT("info_hash"), info);
	}
	if (rc == 0) {
		rc = labeled_extract(secret, HPKE,
				     slice(c->shared_secret, SHA256_SIZE),
				     SLICE_LIT("secret"), SLICE_NONE);
	}
	if (rc == 0) {
		rc = labeled_expand(c->key, sizeof c->key, HPKE, secret,
				    SLICE_LIT("key"), ctx);
	}
	if (rc == 0) {
		rc = labeled_expand(c->base_nonce, sizeof c->base_nonce, HPKE,
				    secret, SLICE_LIT("base_nonce"), ctx);
	}
	if (rc == 0) {
		rc = labeled_expand(c->exporter_secret,
				    sizeof c->exporter_secret, HPKE, secret,
				    SLICE_LIT("exp"), ctx);
	}
	explicit_bzero(secret, sizeof secret);
	return rc;
}

int hpke_seal(uint8_t enc[static X25519_SIZE], uint8_t *out,
	      const uint8_t recipient[static X25519_SIZE],
	      const uint8_t ephemeral[static X25519_SIZE], struct slice info,
	      struct slice aad, struct slice plain)
{
	struct hpke_context c;
	uint8_t dh[X25519_SIZE];
	int rc = x25519_public(enc, ephemeral);

	if (rc == 0) {
		rc = x25519(dh, ephemeral, recipient);
	}
	if (rc == 0) {
		rc = hpke_schedule(&c, dh, enc, recipient, info);
	}
	if (rc == 0) {
		memcpy(out, plain.p, plain.n);
		/* The only message of this context: sequence number 0 leaves
		 * the base nonce as it is. */
		rc = aead_seal(c.key, c.base_nonce, aad, out, plain.n);
	}
	explicit_bzero(dh, sizeof dh);
	explicit_bzero(&c, sizeof c);
	return rc;
}

int hpke_open(uint8_t *out, const uint8_t enc[static X25519_SIZE],
	      const uint8_t secret[static X25519_SIZE],
	      const uint8_t public_key[static X25519_SIZE], struct slice info,
	      struct slice aad, struct slice sealed)
{
	struct hpke_context c;
	uint8_t dh[X25519_SIZE];
	int rc;

	/* enc is the sender's to choose: a point of low order is no failure of
	 * ours. */
	if (x25519(dh, secret, enc) != 0) {
		return ERR_AUTH;
	}
	rc = hpke_schedule(&c, dh, enc, public_key, info);
	if (rc == 0) {
		rc = aead_open(c.key, c.base_nonce, aad, sealed, out);
	}
	explicit_bzero(dh, sizeof dh);
	explicit_bzero(&c, sizeof c);
	return rc;
}
