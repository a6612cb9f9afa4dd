#include "wire/head.h"

#include <mbedtls/pk.h>
#include <mbedtls/sha256.h>

#include "common/err.h"
#include "common/reader.h"
#include "wire/identity.h"

enum { HEAD_VERSION = 1, SIGNATURE_MAX = 80, BODY_LIMIT = 512 };

/* In front of what is signed and not sent: no signature of ours may stand for
 * anything else. */
#define DOMAIN SLICE_LIT("nightjar head v1")

static int encode(const struct head *h, struct buf *out)
{
	int rc;

	if ((rc = buf_add_u8(out, HEAD_VERSION)) != 0 ||
	    (rc = buf_add(out, h->device.b, sizeof h->device.b)) != 0 ||
	    (rc = buf_add_u8(out, (uint8_t)h->lane)) != 0 ||
	    (rc = buf_add_varint(out, h->number)) != 0 ||
	    (rc = buf_add(out, h->segment.b, sizeof h->segment.b)) != 0 ||
	    (rc = buf_add_varint(out, (uint64_t)(h->index + 1))) != 0 ||
	    (rc = buf_add(out, h->hash.b, sizeof h->hash.b)) != 0 ||
	    (rc = buf_add_u8(out, (uint8_t)h->state)) != 0 ||
	    (rc = buf_add_varint(out,
				 (uint64_t)(h->previous_index + 1))) != 0 ||
	    (rc = buf_add(out, h->previous_hash.b,
			  sizeof h->previous_hash.b)) != 0) {
		return rc;
	}
	return buf_add_varint(out, zigzag(h->time_ms));
}

int head_sign(const struct head *h, const struct identity *id, struct buf *out)
{
	struct buf body, signature;
	size_t was = out->n;
	int rc;

	buf_init(&body, BODY_LIMIT);
	buf_init(&signature, SIGNATURE_MAX);
	rc = buf_add_slice(&body, DOMAIN);
	if (rc == 0) {
		rc = encode(h, &body);
	}
	if (rc == 0) {
		rc = identity_sign(id, buf_slice(&body), &signature);
	}
	if (rc == 0) {
		rc = buf_add_slice(out, slice_skip(buf_slice(&body), DOMAIN.n));
	}
	if (rc == 0) {
		rc = buf_add_varint(out, signature.n);
	}
	if (rc == 0) {
		rc = buf_add_slice(out, buf_slice(&signature));
	}
	if (rc != 0) {
		out->n = was;
	}
	buf_fini(&body);
	buf_fini(&signature);
	return rc;
}

static int decode(struct head *h, struct reader *r)
{
	uint8_t version = reader_u8(r), lane, state;

	memset(h, 0, sizeof *h);
	if (reader_ok(r) && version != HEAD_VERSION) {
		return ERR_VERSION;
	}
	reader_copy(r, h->device.b, sizeof h->device.b);
	lane = reader_u8(r);
	h->number = reader_varint(r);
	reader_copy(r, h->segment.b, sizeof h->segment.b);
	h->index = (int64_t)reader_varint_max(r, LIMIT_SEGMENT_BATCHES) - 1;
	reader_copy(r, h->hash.b, sizeof h->hash.b);
	state = reader_u8(r);
	h->previous_index =
		(int64_t)reader_varint_max(r, LIMIT_SEGMENT_BATCHES) - 1;
	reader_copy(r, h->previous_hash.b, sizeof h->previous_hash.b);
	h->time_ms = unzigzag(reader_varint(r));
	if (!reader_ok(r)) {
		return r->p == r->end ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	if (lane >= LANE_NR || state > HEAD_ABANDONED) {
		return ERR_MALFORMED;
	}
	h->lane = (enum lane)lane;
	h->state = (enum head_state)state;
	return 0;
}

/* ECDSA over SHA-256 of the domain and the encoded head. */
static int check(struct slice encoded, struct slice signature,
		 struct slice spki_der)
{
	mbedtls_sha256_context sha;
	mbedtls_pk_context pk;
	uint8_t hash[32];
	int rc;

	mbedtls_sha256_init(&sha);
	mbedtls_pk_init(&pk);
	rc = mbedtls_sha256_starts(&sha, 0);
	if (rc == 0) {
		rc = mbedtls_sha256_update(&sha,
					   (const uint8_t *)DOMAIN.p,
					   DOMAIN.n);
	}
	if (rc == 0) {
		rc = mbedtls_sha256_update(&sha, (const uint8_t *)encoded.p,
					   encoded.n);
	}
	if (rc == 0) {
		rc = mbedtls_sha256_finish(&sha, hash);
	}
	if (rc != 0) {
		rc = ERR_CRYPTO;
	} else if (mbedtls_pk_parse_public_key(
			   &pk, (const uint8_t *)spki_der.p, spki_der.n) != 0 ||
		   !mbedtls_pk_can_do(&pk, MBEDTLS_PK_ECDSA) ||
		   mbedtls_pk_verify(&pk, MBEDTLS_MD_SHA256, hash, sizeof hash,
				     (const uint8_t *)signature.p,
				     signature.n) != 0) {
		rc = ERR_AUTH;
	}
	mbedtls_pk_free(&pk);
	mbedtls_sha256_free(&sha);
	return rc;
}

int head_verify(struct head *out, struct slice bytes, struct slice spki_der)
{
	struct reader r = reader(bytes);
	struct slice encoded, signature;
	struct hash32 device;
	int rc = decode(out, &r);

	if (rc != 0) {
		return rc;
	}
	encoded = slice_head(bytes, bytes.n - reader_left(&r));
	signature = reader_blob(&r, SIGNATURE_MAX);
	if (!reader_done(&r)) {
		return !reader_ok(&r) ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	rc = hash32_of(&device, &spki_der, 1);
	if (rc == 0 && !hash32_eq(&device, &out->device)) {
		rc = ERR_NOT_OURS;
	}
	return rc != 0 ? rc : check(encoded, signature, spki_der);
}
