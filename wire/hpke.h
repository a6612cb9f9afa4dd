/* hpke: Hybrid Public Key Encryption, RFC 9180, base mode, single shot, with
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
 *
 * Pure; any thread.  Checked against the vectors of RFC 9180, Appendix A.2.
 */
#ifndef WIRE_HPKE_H
#define WIRE_HPKE_H

#include "common/slice.h"
#include "wire/crypto.h"

enum { HPKE_KEM = 0x0020, HPKE_KDF = 0x0001, HPKE_AEAD = 0x0003 };

/* Encrypts plain to the holder of the secret of `recipient`.  ephemeral: 32
 * fresh random bytes, used for nothing else; they are the ephemeral secret key
 * (RFC 9180, 7.1.2: any 32 bytes are one).  out: plain.n + AEAD_TAG bytes.
 * ERR_CRYPTO. */
int hpke_seal(uint8_t enc[static X25519_SIZE], uint8_t *out,
	      const uint8_t recipient[static X25519_SIZE],
	      const uint8_t ephemeral[static X25519_SIZE], struct slice info,
	      struct slice aad, struct slice plain);
/* out: sealed.n - AEAD_TAG bytes.  ERR_AUTH, ERR_CRYPTO. */
int hpke_open(uint8_t *out, const uint8_t enc[static X25519_SIZE],
	      const uint8_t secret[static X25519_SIZE],
	      const uint8_t public_key[static X25519_SIZE], struct slice info,
	      struct slice aad, struct slice sealed);

/* ---- the steps, for the test vectors ---- */

/* 4.1: DeriveKeyPair's secret key.  7.1.3 for X25519. */
int hpke_derive_secret(uint8_t out[static X25519_SIZE], struct slice ikm);

struct hpke_context {
	uint8_t shared_secret[SHA256_SIZE];
	uint8_t key[AEAD_KEY];
	uint8_t base_nonce[AEAD_NONCE];
	uint8_t exporter_secret[SHA256_SIZE];
};
/* 5.1, KeySchedule() in base mode, from what the key agreement gave. */
int hpke_schedule(struct hpke_context *c, const uint8_t dh[static X25519_SIZE],
		  const uint8_t enc[static X25519_SIZE],
		  const uint8_t recipient[static X25519_SIZE],
		  struct slice info);

#endif
