/* voucher: a device's word for a segment that travels without it, on a stick: who it is, and
 * what the chain's hash is after the header and after each batch, signed with its key.
 *
 * A segment by itself proves nothing of whose it is: anyone who has the collector's public
 * key can seal one.  Over a link the device's certificate speaks for it; here this does.
 * Every hash is in it, so that the front of a file that was cut short is as good as signed.
 *
 *   "NJVOUCH1" | segment id (16) | device's clock (zigzag, ms)
 *   | certificates (u8, 1 to 4) | each: DER (blob), the device's own first
 *   | hashes (varint, 1 to 65,537) | each (32)
 *   | signature (blob): ECDSA P-256, SHA-256, DER, of "nightjar voucher v1" and all before it
 *
 * Pure but for the signing; any thread.
 */
#ifndef WIRE_VOUCHER_H
#define WIRE_VOUCHER_H

#include "common/buf.h"
#include "wire/identity.h"

enum {
	VOUCHER_CERTIFICATES = 4,
	VOUCHER_CERTIFICATE_MAX = 4096,
	VOUCHER_SIGNATURE_MAX = 80,
	VOUCHER_MAX = 8 + 16 + 10 + 1 +
		      VOUCHER_CERTIFICATES * (VOUCHER_CERTIFICATE_MAX + 2) + 3 +
		      (LIMIT_SEGMENT_BATCHES + 1) * 32 + 1 + VOUCHER_SIGNATURE_MAX,
};

struct voucher {
	struct segment_id segment;
	int64_t time_ms;
	size_t n_certificates;
	struct slice certificates[VOUCHER_CERTIFICATES];
	size_t n_hashes;    /* batches and one */
	struct slice hashes;
	struct slice body;  /* what is signed, but for the domain in front */
	struct slice signature;
};

/* Whose a voucher is, once that was verified. */
struct voucher_device {
	struct hash32 hash; /* of its public key, as in segment headers */
	char spki[128];     /* SPKI, DER */
	size_t spki_n;
	char name[LIMIT_DEVICE_NAME + 1];
};

/* Appends the device's word for a segment with these hashes.  UV_ENOMEM, ERR_CRYPTO,
 * ERR_TOO_LARGE (more than VOUCHER_CERTIFICATES, or too large ones). */
int voucher_sign(struct buf *out, const struct segment_id *segment,
		 int64_t time_ms, const struct hash32 *hashes, size_t n,
		 const struct identity *device);
/* Borrows from bytes.  ERR_TRUNCATED, ERR_MALFORMED, ERR_VERSION. */
int voucher_decode(struct voucher *out, struct slice bytes);
/* The certificate is a device's, of the authority that `us` believes and of this time, and
 * its key has signed.  ERR_CERTIFICATE, ERR_AUTH, ERR_MALFORMED, ERR_CRYPTO, and why: what
 * is wrong and what to do, in one line. */
int voucher_verify(const struct voucher *v, const struct identity *us,
		   int64_t now_ms, struct voucher_device *out,
		   char why[static IDENTITY_WHY]);
/* i < v->n_hashes: 0 is the header's, then each batch's. */
struct hash32 voucher_hash(const struct voucher *v, size_t i);

#endif
