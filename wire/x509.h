/* x509: the few things that identity, TLS and pki ask of a certificate, and
 * mbedTLS's errors as text.  Internal to wire/ and pki/.
 *
 * Pure; any thread.
 */
#ifndef WIRE_X509_H
#define WIRE_X509_H

#include <mbedtls/x509_crt.h>

#include "common/limits.h"
#include "wire/segment.h"

#define X509_DEVICE_URN "urn:nightjar:device:"

enum { SPKI_MAX = 128 }; /* P-256 has 91, P-384 120 */

/* Unix milliseconds, at most those of the year 2262. */
int64_t x509_time_ms(const mbedtls_x509_time *t);
/* The certificate's public key as SPKI DER, always in the same form, and its
 * hash, which is a device's name for ever.  ERR_CRYPTO. */
int x509_spki(const mbedtls_pk_context *pk, uint8_t out[static SPKI_MAX],
	      size_t *n, struct hash32 *hash);
/* Whose it is: a device's name out of urn:nightjar:device:NAME, else the first
 * DNS name or URI, else the common name; made printable and cut to fit. */
void x509_name(const mbedtls_x509_crt *crt,
	       char out[static LIMIT_DEVICE_NAME + 1]);
/* A device's name: letters, digits, "-", "_" and ".", not "." in front, 1 to
 * LIMIT_DEVICE_NAME bytes. */
bool x509_device_name_good(struct slice name);
/* Why verification failed, in words: the most telling of MBEDTLS_X509_BADCERT_*
 * flags. */
const char *x509_flag_text(uint32_t flags);
/* "2026-11-22T15:37:46Z" of Unix ms, for messages. */
enum { X509_WHEN = 40 };
const char *x509_when(char out[static X509_WHEN], int64_t ms);
/* ECDSA on P-256 and P-384 with SHA-256 and SHA-384, nothing else. */
const mbedtls_x509_crt_profile *x509_profile(void);

#endif
