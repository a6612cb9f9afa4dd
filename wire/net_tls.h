/* net_tls: the real network: TLS 1.3 over TCP on libuv, certificates required
 * and verified on both sides, no tickets, no early data, no plaintext mode.
 *
 * Facts behind it: shared notes on mbedTLS are summed up in docs/wire.md, "TLS".
 * Memory: about 44 KiB for an established link (mbedTLS's two record buffers),
 * and what is queued, at most NET_TLS_QUEUE bytes before link_send() says
 * ERR_AGAIN... a sender looks at link_queued() first.
 */
#ifndef WIRE_NET_TLS_H
#define WIRE_NET_TLS_H

#include <uv.h>

#include "wire/identity.h"
#include "wire/link.h"

struct net_tls; /* opaque */

/* loop and id are kept.  UV_ENOMEM, ERR_CRYPTO. */
int net_tls_new(struct net_tls **out, uv_loop_t *loop, const struct identity *id);
/* For net_dial(). */
struct net *net_tls_net(struct net_tls *n);
/* Every link must be closed before.  NULL allowed. */
void net_tls_free(struct net_tls *n);

/* ---- a collector's side ---- */

struct net_tls_limits {
	unsigned max_links;          /* established, all together */
	unsigned max_handshakes;     /* under way at once; more wait in the backlog */
	unsigned max_per_address;    /* links from one address */
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
/* Stops accepting; links that were accepted stay. */
void net_tls_listener_close(struct net_tls_listener *l);

/* Replaces the identity for links from now on (renewed certificate). */
int net_tls_set_identity(struct net_tls *n, const struct identity *id);

#endif
