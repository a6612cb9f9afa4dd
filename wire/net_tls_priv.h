/* What net_tls.c (the life of a connection), net_dial.c and net_listen.c share.
 */
#ifndef WIRE_NET_TLS_PRIV_H
#define WIRE_NET_TLS_PRIV_H

#include "common/ip.h"
#include "common/limits.h"
#include "wire/frame.h"
#include "wire/net_tls.h"
#include "wire/tls.h"

enum {
	CONN_WHY = 512,
	CONN_ADDRESS = 80,
	CONN_ADDRESSES = 8, /* of a name, tried in turn */
	READ_CHUNK = 64 * 1024,
};

/* Both configurations of one identity.  Links that were made with an old one
 * keep it until they end, each when it likes: hence the count. */
struct tls_pair {
	struct tls_config *client, *server;
	unsigned users; /* connections, and the net whose present one it is */
};

struct net_tls {
	struct net net; /* first: net_dial() casts back */
	uv_loop_t *loop;
	struct tls_pair *pair;
	/* libuv reads into it and calls back before it asks for it again. */
	char chunk[READ_CHUNK];
};

/* A connection goes
 *
 *   dialled   RESOLVE -> CONNECT -> HANDSHAKE -> OPEN -> FLUSH -> LINGER -> DEAD
 *   accepted                        HANDSHAKE -> OPEN -> FLUSH -> LINGER -> DEAD
 *
 * FLUSH sends what is queued and our clean end (or TLS's alert); LINGER has sent
 * it all and waits for the peer to close, since a close with unread input would
 * make the kernel throw away what the peer has not read.  In both, input is read
 * and dropped, and no callback comes any more but on_close.  From any state an
 * error leads to DEAD: handles close, and when the last one has, on_close runs
 * and the memory is gone.
 */
enum conn_state {
	CONN_RESOLVE,
	CONN_CONNECT,
	CONN_HANDSHAKE,
	CONN_OPEN,
	CONN_FLUSH,
	CONN_LINGER,
	CONN_DEAD,
};

struct resolving; /* net_dial.c */

struct conn {
	struct link link; /* first: link_*() cast back */
	struct net_tls *net;
	struct tls_pair *pair;
	struct tls *tls;
	const struct link_cbs *cbs; /* NULL: nobody is told */
	enum conn_state state;
	int status; /* for on_close */
	char why[CONN_WHY];
	char address[CONN_ADDRESS];
	struct link_peer peer;

	uv_tcp_t tcp;
	uv_timer_t timer; /* the deadline of the present state */
	uv_timer_t tick;  /* something to do in the next turn of the loop */
	uv_idle_t turn;   /* messages wait for our next turn */
	bool tcp_open;    /* initialised and not being closed */
	unsigned handles; /* not yet closed */
	uv_connect_t connect;
	uv_write_t write;
	uv_shutdown_t shutdown;

	struct buf queue;    /* plaintext, from queue_at on */
	size_t queue_at;
	struct buf flying;   /* ciphertext that the kernel is taking */
	bool writing;        /* uv_write() has flying */
	bool ended;          /* our clean end is in the output */
	bool shut;           /* uv_shutdown() was called */
	bool was_high, was_busy; /* on_drain is owed */

	struct frame_reader frame; /* the message being received */
	bool paused, reading;
	bool behind; /* not reading until what has arrived is handed over */
	bool input_ended; /* the peer has closed its side */

	/* Dialled. */
	char *host;
	uint16_t port;
	struct resolving *resolving;
	struct sockaddr_storage to[CONN_ADDRESSES];
	size_t n_to, next_to;

	/* Accepted. */
	struct net_tls_listener *listener; /* NULL: none, or it has closed */
	bool accepted;             /* counts among its links */
	struct conn *prev, *next;          /* in its list */
	struct ip ip;
};

struct net_tls_listener {
	struct net_tls *net;
	uv_tcp_t tcp;
	struct net_tls_limits limits;
	net_tls_accept_cb cb;
	void *arg;
	struct conn *conns;
	unsigned n_links, n_handshakes;
	bool waiting; /* a connection is in libuv's hand until a slot is free */
	uint64_t logged_ms;
	unsigned unlogged;
};

/* ---- net_tls.c ---- */

/* A connection without a socket.  UV_ENOMEM. */
int conn_new(struct conn **out, struct net_tls *n);
/* tcp is initialised and not open elsewhere: it is ours now. */
void conn_own_tcp(struct conn *c);
/* The socket is connected: the handshake begins.  host: of a client.  On an
 * error the connection ends by itself. */
void conn_start(struct conn *c, const char *host, uint64_t timeout_ms);
/* Sets the deadline; 0: none. */
void conn_deadline(struct conn *c, uint64_t ms);
/* Ends it now.  The first reason stays. */
__attribute__((format(printf, 3, 4)))
void conn_end(struct conn *c, int status, const char *fmt, ...);
/* Ends it after what is in TLS's output. */
__attribute__((format(printf, 3, 4)))
void conn_fail(struct conn *c, int status, const char *fmt, ...);
/* conn_fail() with TLS's reason. */
void conn_fail_tls(struct conn *c, int rc);
void conn_close_tcp(struct conn *c);
/* Has conn_deliver() and conn_flush() called in the next turn of the loop. */
void conn_tick(struct conn *c);

/* ---- net_io.c ---- */

/* Sends what the kernel takes; goes on by itself. */
void conn_flush(struct conn *c);
/* Bytes accepted and not yet given to the kernel. */
size_t conn_queued(const struct conn *c);
/* Hands over the messages that have arrived, as far as one turn goes; the rest
 * follows by itself. */
void conn_deliver(struct conn *c);
void conn_set_reading(struct conn *c, bool on);
void conn_handshake(struct conn *c);
/* Of struct link_ops. */
int conn_send(struct link *l, uint8_t type, const struct slice *parts,
	      size_t n);
void conn_pause(struct link *l, bool pause);

/* ---- net_dial.c ---- */

int net_tls_dial(struct net *net, const char *host, uint16_t port,
		 const struct link_cbs *cbs, void *arg, struct link **out);
/* The socket of an address that did not answer has closed: the next one. */
void dial_next(struct conn *c);
/* Lets go of a look-up that is under way. */
void dial_forget(struct conn *c);

/* ---- net_listen.c ---- */

/* The handshake of an accepted connection is done. */
void listener_opened(struct conn *c);
/* It ends: its slot is free.  Called once, before on_close; does nothing for a
 * dialled one. */
void listener_lost(struct conn *c);

/* "192.0.2.7:6514", "[2001:db8::1]:6514". */
void net_address_text(char out[static CONN_ADDRESS],
		      const struct sockaddr_storage *sa, struct ip *ip);

#endif
