/* identity: who we are and whom we believe: a certificate chain, its private
 * key (EC P-256) and the authority's certificate, loaded once before the
 * sandbox closes.
 *
 * Private keys must be files of mode 0600 or stricter (0640 when the group is
 * that of the running daemon); anything wider is refused.  Errors are reported
 * in `why`: what is wrong with which file, and the remedy, in one line.
 */
#ifndef WIRE_IDENTITY_H
#define WIRE_IDENTITY_H

#include "common/slice.h"
#include "wire/segment.h"

struct identity; /* opaque */

enum { IDENTITY_WHY = 512 };

/* Loads and checks: files readable and PEM, key belongs to certificate,
 * certificate issued by the authority and, unless now_ms is 0, within its time; what
 * concerns time is looked at last.  On error *out is
 * NULL: UV_E* (UV_EPERM: the key may be used by others), ERR_CERTIFICATE,
 * ERR_MALFORMED, ERR_CRYPTO (mbedTLS is older than 3.6.6).  psa_crypto_init() is
 * called: the process must not fork without exec afterwards. */
int identity_load(struct identity **out, const char *cert_path,
		  const char *key_path, const char *ca_path, int64_t now_ms,
		  char why[static IDENTITY_WHY]);
void identity_free(struct identity *id);

/* Hash of our public key: a device's name for ever. */
struct hash32 identity_hash(const struct identity *id);
/* Common name of our certificate; borrowed. */
const char *identity_name(const struct identity *id);
/* Unix ms when our certificate ends. */
int64_t identity_not_after_ms(const struct identity *id);
/* Our public key, SPKI DER; borrowed. */
struct slice identity_spki(const struct identity *id);
/* Source of the signature for wire/head.h: ECDSA/SHA-256, DER form, appended.
 * ERR_CRYPTO, UV_ENOMEM. */
int identity_sign(const struct identity *id, struct slice message,
		  struct buf *out);

#endif
