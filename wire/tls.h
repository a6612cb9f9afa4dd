/* tls: TLS 1.3 as bytes in, bytes out.  It sees two buffers and never a
 * descriptor; net_tls.c moves the bytes.  docs/wire.md, "TLS".
 *
 * Certificates are required and verified on both sides, names too; ALPN is
 * "nightjar/1"; no tickets, no resumption, no early data, no renegotiation.
 * mbedTLS's codes end here: everything that goes wrong is an ERR_* and one line
 * in tls_why().
 *
 * Threads   One thread at a time for each struct tls; a struct tls_config is
 *           only read by them.  A handshake takes about 2 ms of CPU.
 * Memory    About 44 KiB for each struct tls, and what tls_feed() was given and
 *           tls_output() not yet relieved of.
 */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

#include "common/buf.h"
#include "wire/identity.h"
#include "wire/link.h"

struct tls_config;
struct tls;

enum { TLS_WHY = 400, TLS_ALPN_MAX = 16 };

/* Takes copies of all it needs of the identity.  UV_ENOMEM, ERR_CRYPTO. */
int tls_config_new(struct tls_config **out, const struct identity *id,
		   bool server);
void tls_config_free(struct tls_config *c);

/* c is kept.  host: the name or address that a client wants the collector's
 * certificate to bear (copied); NULL on a server.  UV_ENOMEM, ERR_CRYPTO. */
int tls_new(struct tls **out, const struct tls_config *c, const char *host);
void tls_free(struct tls *t);

/* Ciphertext that arrived.  UV_ENOMEM. */
int tls_feed(struct tls *t, struct slice bytes);
/* Nothing more will arrive. */
void tls_feed_end(struct tls *t);
/* Ciphertext to be sent: the caller takes it from the front, or swaps the
 * buffer for an empty one. */
struct buf *tls_output(struct tls *t);

/* Goes on with the handshake.  0: done; ERR_AGAIN: feed it; ERR_CERTIFICATE,
 * ERR_PROTOCOL, ERR_VERSION, ERR_CLOSED, UV_ENOMEM: failed, and the output may
 * hold an alert for the peer. */
int tls_handshake(struct tls *t);

/* Bytes of plaintext (at most n), 0: the peer has ended it cleanly, ERR_AGAIN:
 * feed it, or the handshake's errors. */
int64_t tls_read(struct tls *t, void *p, size_t n);
/* Bytes taken of p (all of them, or an error): they are in the output now. */
int64_t tls_write(struct tls *t, const void *p, size_t n);
/* Puts our clean end into the output. */
void tls_end(struct tls *t);

/* After the handshake: who it is.  address is not touched; the rest is borrowed
 * from t. */
void tls_peer(const struct tls *t, struct link_peer *out);
/* Of the last error. */
const char *tls_why(const struct tls *t);

#endif
