/* net_tls: the real network: TLS 1.3 over TCP on libuv, certificates required
 * and verified on both sides, no tickets, no early data, no plaintext mode.
 * docs/wire.md, "TLS" and "Frames".
 *
 * Memory    About 44 KiB for an established link (mbedTLS's two record
 *           buffers), one message being received (at most LIMIT_FRAME), and
 *           what is queued (at most NET_TLS_QUEUE).
 * CPU       A handshake takes about 2 ms, on the loop thread.
 * Sending   link_send() queues; what was queued in one turn of the loop travels
 *           together.  Over NET_TLS_QUEUE it says ERR_AGAIN: a sender looks at
 *           link_queued() first and waits for on_drain, which comes when the
 *           queue has fallen below NET_TLS_LOW and whenever it has become empty.
 * Logging   A listener logs the peers that it refuses, at most one line a
 *           second; everything else is told in on_close.
 */
#ifndef WIRE_NET_TLS_H
#define WIRE_NET_TLS_H

#include <uv.h>

#include "wire/identity.h"
#include "wire/link.h"

struct net_tls; /* opaque */

enum {
	NET_TLS_QUEUE = 4 * 1024 * 1024, /* bytes; one LIMIT_FRAME fits anyhow */
	NET_TLS_LOW = 256 * 1024,
	NET_TLS_DIAL_MS = 10000,    /* to resolve, connect and shake hands */
	NET_TLS_LINGER_MS = 2000,   /* for what is queued when a link ends */
};

/* loop is kept; of id all is copied.  UV_ENOMEM, ERR_CRYPTO. */
int net_tls_new(struct net_tls **out, uv_loop_t *loop, const struct identity *id);
/* For net_dial(). */
struct net *net_tls_net(struct net_tls *n);
/* Every link must be gone (on_close has run) and every listener closed before.
 * NULL allowed. */
void net_tls_free(struct net_tls *n);

/* ---- a collector's side ---- */

struct net_tls_limits {
	unsigned max_links;          /* established, all together */
	unsigned max_handshakes;     /* under way at once; more wait in the backlog */
	unsigned max_per_address;    /* links from one address (IPv6: one /64) */
	uint64_t handshake_timeout_ms;
	uint64_t idle_timeout_ms;    /* no message for so long: closed */
};

struct net_tls_listener;

/* on_accept: a peer has proved itself; set l->arg and return the callbacks
 * (kept; on_open is not called on this side), or NULL to refuse it. */
typedef const struct link_cbs *(*net_tls_accept_cb)(
	void *arg, struct link *l, const struct link_peer *peer);

/* address: "0.0.0.0", "::", an IP address; port 0: any.  fd >= 0: an already listening
 * socket (LISTEN_FDS), address and port unused.  UV_EADDRINUSE and the like. */
int net_tls_listen(struct net_tls_listener **out, struct net_tls *n,
		   const char *address, uint16_t port, int fd,
		   const struct net_tls_limits *limits, net_tls_accept_cb cb,
		   void *arg);
uint16_t net_tls_listener_port(const struct net_tls_listener *l);
/* From now on; what is established or under way stays, also beyond them.  A link's silence
 * is measured by the new limit from its next message on. */
void net_tls_listener_set_limits(struct net_tls_listener *l,
				 const struct net_tls_limits *limits);
/* Stops accepting and drops handshakes under way; links that were accepted
 * stay.  NULL allowed. */
void net_tls_listener_close(struct net_tls_listener *l);

/* Replaces the identity for links from now on (renewed certificate). */
int net_tls_set_identity(struct net_tls *n, const struct identity *id);

#endif
