/* link: a channel that carries messages between one device and one collector:
 * authenticated on both sides, ordered, length-limited.  docs/wire.md, "Frames".
 *
 * This is the network's half of the seam for simulation (the other half is
 * common/sys.h): net_tls.h has the real one, TLS 1.3 with certificates on both
 * sides over TCP; tests/sim has one with delays, losses and partitions.  There
 * is none without authentication.
 *
 * Threads   The loop thread only.
 * Promise   Callbacks never run from inside a call of link_*() or net_*();
 *           on_close runs exactly once, last, also after link_close(); the link
 *           is gone when it returns.
 */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include "common/slice.h"
#include "wire/segment.h"

struct link;
struct net;

/* Who is at the other end, proved by its certificate. */
struct link_peer {
	struct hash32 key_hash;  /* hash of its public key (SPKI, DER) */
	struct slice spki;       /* the key itself; borrowed while the link lives */
	const char *name;        /* subject alternative name or common name; borrowed */
	const char *address;     /* "192.0.2.7:6514"; borrowed */
	int64_t not_after_ms;    /* when its certificate ends */
};

struct link_cbs {
	/* The handshake is done as far as this side can tell.  With TLS 1.3 a
	 * client is not accepted before the collector's first message. */
	void (*on_open)(void *arg, struct link *l,
			const struct link_peer *peer);
	/* payload is borrowed for the call. */
	void (*on_message)(void *arg, struct link *l, uint8_t type,
			   struct slice payload);
	/* What was queued has fallen below the low-water mark, or to nothing. */
	void (*on_drain)(void *arg, struct link *l);
	/* status: 0 after link_close() or a clean end by the peer; otherwise why
	 * it ended.  why: one line for the log that names the remedy; borrowed. */
	void (*on_close)(void *arg, struct link *l, int status,
			 const char *why);
};

struct link_ops {
	int (*send)(struct link *l, uint8_t type, const struct slice *parts,
		    size_t n);
	size_t (*queued)(const struct link *l);
	void (*pause)(struct link *l, bool pause);
	void (*close)(struct link *l);
};

struct link {
	const struct link_ops *ops;
	void *arg; /* given to every callback; its user sets it */
};

/* Queues one message made of the parts (copied).  ERR_TOO_LARGE (over
 * LIMIT_FRAME), ERR_AGAIN (the queue is full: wait for on_drain), UV_ENOMEM,
 * ERR_CLOSED (not open yet, or no more). */
static inline int link_send(struct link *l, uint8_t type,
			    const struct slice *parts, size_t n)
{
	return l->ops->send(l, type, parts, n);
}

/* Bytes accepted by link_send() and not yet given to the kernel. */
static inline size_t link_queued(const struct link *l)
{
	return l->ops->queued(l);
}

/* Stops (starts) reading: back-pressure is not reading. */
static inline void link_pause(struct link *l, bool pause)
{
	l->ops->pause(l, pause);
}

/* Sends what is queued (for at most 2 s), then ends the link. */
static inline void link_close(struct link *l)
{
	l->ops->close(l);
}

struct net_ops {
	int (*dial)(struct net *n, const char *host, uint16_t port,
		    const struct link_cbs *cbs, void *arg, struct link **out);
};

/* What an agent dials through. */
struct net {
	const struct net_ops *ops;
};

/* Starts to connect; the collector's certificate must bear the name `host`.
 * cbs is kept, host is not.  On error nothing was started and no callback
 * follows. */
static inline int net_dial(struct net *n, const char *host, uint16_t port,
			   const struct link_cbs *cbs, void *arg,
			   struct link **out)
{
	return n->ops->dial(n, host, port, cbs, arg, out);
}

#endif
