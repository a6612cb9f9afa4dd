/* What tls.c (the session) and tls_why.c (what went wrong) share. */
#ifndef WIRE_TLS_PRIV_H
#define WIRE_TLS_PRIV_H

#include <mbedtls/ssl.h>

#include "common/limits.h"
#include "wire/x509.h"
#include "wire/tls.h"

enum { TLS_SAID = 24 }; /* bytes of a peer that speaks something else, for the log */

struct tls_config {
	mbedtls_ssl_config conf;
	mbedtls_x509_crt cert, ca;
	mbedtls_pk_context key;
	const char *alpn[2]; /* mbedTLS keeps the array, not a copy */
	bool server;
};

struct tls {
	mbedtls_ssl_context ssl;
	const struct tls_config *config;
	char *host; /* NULL on a server */
	struct buf in;
	size_t in_at;
	bool in_ended;
	bool sniffed; /* the first byte was looked at */
	bool open;    /* the handshake is done here */
	bool heard;   /* plaintext of the peer has arrived */
	struct buf out;
	/* Of the peer's certificate, noted while it is verified. */
	struct link_peer peer;
	uint8_t spki[SPKI_MAX];
	char name[LIMIT_DEVICE_NAME + 1];
	int64_t not_before_ms;
	char said[4 * TLS_SAID + 3];
	char why[TLS_WHY];
};

static inline const char *tls_peer_word(const struct tls *t)
{
	return t->config->server ? "device" : "collector";
}

/* With TLS 1.3 a client's handshake is done before the collector has judged its
 * certificate; its verdict shows in the first read, as an alert or, since it
 * may be encrypted with the keys before, as a record that does not decrypt. */
static inline bool tls_is_verdict(const struct tls *t)
{
	return !t->config->server && t->open && !t->heard;
}

/* Writes tls_why(); returns rc. */
__attribute__((format(printf, 3, 4)))
int tls_fail(struct tls *t, int rc, const char *fmt, ...);
/* The peer's certificate was not accepted: says why; ERR_CERTIFICATE. */
int tls_fail_verify(struct tls *t);
/* A code of mbedTLS's: says what it means here; the ERR_* of it. */
int tls_fail_foreign(struct tls *t, int code);

#endif
