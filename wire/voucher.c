#include "wire/voucher.h"

#include <assert.h>
#include <mbedtls/oid.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/reader.h"
#include "wire/identity_priv.h"

static const char magic[8] = "NJVOUCH1";

/* In front of what is signed and not sent: no signature of ours may stand for anything else. */
#define DOMAIN SLICE_LIT("nightjar voucher v1")

/* ---- making one ---- */

static int add_certificates(struct buf *out, const struct identity *id)
{
	uint8_t n = 0;
	int rc;

	for (const mbedtls_x509_crt *c = &id->cert; c != NULL; c = c->next) {
		if (++n > VOUCHER_CERTIFICATES ||
		    c->raw.len > VOUCHER_CERTIFICATE_MAX) {
			return ERR_TOO_LARGE;
		}
	}
	rc = buf_add_u8(out, n);
	for (const mbedtls_x509_crt *c = &id->cert; c != NULL && rc == 0;
	     c = c->next) {
		rc = buf_add_varint(out, c->raw.len);
		rc = rc == 0 ? buf_add(out, c->raw.p, c->raw.len) : rc;
	}
	return rc;
}

static int add_body(struct buf *out, const struct segment_id *segment,
		    int64_t time_ms, const struct hash32 *hashes, size_t n,
		    const struct identity *id)
{
	int rc;

	if ((rc = buf_add(out, magic, sizeof magic)) != 0 ||
	    (rc = buf_add(out, segment->b, sizeof segment->b)) != 0 ||
	    (rc = buf_add_varint(out, zigzag(time_ms))) != 0 ||
	    (rc = add_certificates(out, id)) != 0 ||
	    (rc = buf_add_varint(out, n)) != 0) {
		return rc;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = buf_add(out, hashes[i].b, sizeof hashes[i].b);
	}
	return rc;
}

int voucher_sign(struct buf *out, const struct segment_id *segment,
		 int64_t time_ms, const struct hash32 *hashes, size_t n,
		 const struct identity *device)
{
	struct buf body, signature;
	struct slice bytes;
	int rc;

	assert(n >= 1 && n <= LIMIT_SEGMENT_BATCHES + 1);
	buf_init(&body, VOUCHER_MAX);
	buf_init(&signature, VOUCHER_SIGNATURE_MAX);
	rc = buf_add_slice(&body, DOMAIN);
	rc = rc == 0 ? add_body(&body, segment, time_ms, hashes, n, device) : rc;
	rc = rc == 0 ? identity_sign(device, buf_slice(&body), &signature) : rc;
	bytes = slice_skip(buf_slice(&body), DOMAIN.n);
	rc = rc == 0 ? buf_reserve(out, bytes.n + 10 + signature.n) : rc;
	if (rc == 0) {
		buf_add_slice(out, bytes);
		buf_add_varint(out, signature.n);
		buf_add_slice(out, buf_slice(&signature));
	}
	buf_fini(&body);
	buf_fini(&signature);
	return rc;
}

/* ---- reading one ---- */

static struct slice blob(struct reader *r, uint64_t max)
{
	return reader_bytes(r, (size_t)reader_varint_max(r, max));
}

int voucher_decode(struct voucher *out, struct slice bytes)
{
	struct reader r = reader(bytes);
	struct slice front = reader_bytes(&r, sizeof magic);
	uint8_t certificates;

	*out = (struct voucher){0};
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (memcmp(front.p, magic, sizeof magic) != 0) {
		return memcmp(front.p, magic, sizeof magic - 1) == 0
			       ? ERR_VERSION
			       : ERR_MALFORMED;
	}
	reader_copy(&r, out->segment.b, sizeof out->segment.b);
	out->time_ms = unzigzag(reader_varint(&r));
	certificates = reader_u8(&r);
	if (reader_ok(&r) &&
	    (certificates < 1 || certificates > VOUCHER_CERTIFICATES)) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < certificates && reader_ok(&r); i++) {
		out->certificates[out->n_certificates++] =
			blob(&r, VOUCHER_CERTIFICATE_MAX);
	}
	out->n_hashes = (size_t)reader_varint_max(&r, LIMIT_SEGMENT_BATCHES + 1);
	out->hashes = reader_bytes(&r, out->n_hashes * sizeof(struct hash32));
	out->body = slice_head(bytes, bytes.n - reader_left(&r));
	out->signature = blob(&r, VOUCHER_SIGNATURE_MAX);
	if (!reader_ok(&r)) {
		return r.p == r.end ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	return out->n_hashes > 0 && reader_done(&r) ? 0 : ERR_MALFORMED;
}

struct hash32 voucher_hash(const struct voucher *v, size_t i)
{
	struct hash32 h;

	assert(i < v->n_hashes);
	memcpy(h.b, v->hashes.p + i * sizeof h.b, sizeof h.b);
	return h;
}

/* ---- believing one ---- */

static int parse_chain(const struct voucher *v, mbedtls_x509_crt *chain)
{
	for (size_t i = 0; i < v->n_certificates; i++) {
		int rc = mbedtls_x509_crt_parse_der(
			chain, (const uint8_t *)v->certificates[i].p,
			v->certificates[i].n);

		if (rc != 0) {
			return rc == MBEDTLS_ERR_X509_ALLOC_FAILED
				       ? UV_ENOMEM
				       : ERR_MALFORMED;
		}
	}
	return 0;
}

/* As wire/tls.c judges a device's, but for the time, for which now_ms stands. */
static int check_chain(mbedtls_x509_crt *chain, const struct identity *us,
		       int64_t now_ms, char why[static IDENTITY_WHY])
{
	char when[X509_WHEN];
	uint32_t flags = 0;
	int rc = mbedtls_x509_crt_verify_with_profile(
		chain, (mbedtls_x509_crt *)(uintptr_t)&us->ca, NULL,
		x509_profile(), NULL, &flags, NULL, NULL);

	flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED |
			     MBEDTLS_X509_BADCERT_FUTURE);
	if (rc != 0 && rc != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
		flags |= MBEDTLS_X509_BADCERT_OTHER;
	}
	if (!mbedtls_x509_crt_has_ext_type(
		    chain, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) ||
	    mbedtls_x509_crt_check_extended_key_usage(
		    chain, MBEDTLS_OID_CLIENT_AUTH,
		    MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0) {
		flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	}
	if (flags != 0) {
		snprintf(why, IDENTITY_WHY,
			 "the device's certificate is no device's of this "
			 "collector's authority: %s",
			 x509_flag_text(flags));
		return ERR_CERTIFICATE;
	}
	for (const mbedtls_x509_crt *c = chain; c != NULL; c = c->next) {
		int64_t end = x509_time_ms(&c->valid_to);

		if (now_ms > end || now_ms < x509_time_ms(&c->valid_from)) {
			snprintf(why, IDENTITY_WHY,
				 "the device's certificate is of another time "
				 "(it ends on %s): renew it, and export again",
				 x509_when(when, end));
			return ERR_CERTIFICATE;
		}
	}
	return 0;
}

static int check_signature(const struct voucher *v, mbedtls_pk_context *pk)
{
	mbedtls_sha256_context sha;
	uint8_t hash[32];
	int rc;

	mbedtls_sha256_init(&sha);
	rc = mbedtls_sha256_starts(&sha, 0);
	if (rc == 0) {
		rc = mbedtls_sha256_update(&sha, (const uint8_t *)DOMAIN.p,
					   DOMAIN.n);
	}
	if (rc == 0) {
		rc = mbedtls_sha256_update(&sha, (const uint8_t *)v->body.p,
					   v->body.n);
	}
	rc = rc == 0 ? mbedtls_sha256_finish(&sha, hash) : rc;
	mbedtls_sha256_free(&sha);
	if (rc != 0) {
		return ERR_CRYPTO;
	}
	return mbedtls_pk_can_do(pk, MBEDTLS_PK_ECDSA) &&
			       mbedtls_pk_verify(pk, MBEDTLS_MD_SHA256, hash,
						 sizeof hash,
						 (const uint8_t *)v->signature.p,
						 v->signature.n) == 0
		       ? 0
		       : ERR_AUTH;
}

int voucher_verify(const struct voucher *v, const struct identity *us,
		   int64_t now_ms, struct voucher_device *out,
		   char why[static IDENTITY_WHY])
{
	mbedtls_x509_crt chain;
	int rc;

	*out = (struct voucher_device){0};
	mbedtls_x509_crt_init(&chain);
	snprintf(why, IDENTITY_WHY, "the device's certificate can't be read");
	rc = parse_chain(v, &chain);
	rc = rc == 0 ? check_chain(&chain, us, now_ms, why) : rc;
	if (rc == 0) {
		rc = check_signature(v, &chain.pk);
		snprintf(why, IDENTITY_WHY,
			 "its signature does not hold: it was changed on the way");
	}
	if (rc == 0) {
		rc = x509_spki(&chain.pk, (uint8_t *)out->spki, &out->spki_n,
			       &out->hash);
		x509_name(&chain, out->name);
	}
	mbedtls_x509_crt_free(&chain);
	return rc;
}
