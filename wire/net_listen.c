#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "wire/net_tls_priv.h"

enum { BACKLOG = 511, LOG_EVERY_MS = 1000, QUOTED = 640 };

/* Whoever is refused is logged, but not more often than once a second: the log
 * is not a stranger's to fill. */
static void note_refusal(struct net_tls_listener *l, const char *address,
			 const char *why)
{
	uint64_t now = uv_now(l->net->loop);
	char quoted[QUOTED];

	if (l->logged_ms != 0 && now - l->logged_ms < LOG_EVERY_MS) {
		l->unlogged++;
		return;
	}
	log_warn("refused a connection", "address=%s why=%s not_logged=%u",
		 address, log_quote(quoted, sizeof quoted, slice_str(why)),
		 l->unlogged);
	l->logged_ms = now == 0 ? 1 : now;
	l->unlogged = 0;
}

static void enlist(struct net_tls_listener *l, struct conn *c)
{
	c->listener = l;
	c->prev = NULL;
	c->next = l->conns;
	if (l->conns != NULL) {
		l->conns->prev = c;
	}
	l->conns = c;
}

static void delist(struct conn *c)
{
	if (c->next != NULL) {
		c->next->prev = c->prev;
	}
	if (c->prev != NULL) {
		c->prev->next = c->next;
	} else {
		c->listener->conns = c->next;
	}
	c->listener = NULL;
}

/* An IPv6 host has a whole /64 to dial from. */
static bool same_place(const struct ip *a, const struct ip *b)
{
	return memcmp(a, b, ip_is_v4(a) ? sizeof *a : 8) == 0;
}

/* The list is as long as max_links, and a look through it costs less than a
 * hundredth of the handshake that follows. */
static unsigned from_there(const struct net_tls_listener *l,
			   const struct ip *ip)
{
	unsigned n = 0;

	for (const struct conn *c = l->conns; c != NULL; c = c->next) {
		n += same_place(&c->ip, ip);
	}
	return n;
}

/* NULL: welcome so far. */
static const char *refusal(const struct net_tls_listener *l,
			   const struct conn *c)
{
	if (l->n_links >= l->limits.max_links) {
		return "too many links: raise the limit, or see who they are";
	}
	if (from_there(l, &c->ip) >= l->limits.max_per_address) {
		return "too many links from this address";
	}
	return NULL;
}

static void accept_one(struct net_tls_listener *l)
{
	struct sockaddr_storage sa;
	struct conn *c;
	const char *why;
	int n = sizeof sa, rc;

	if (conn_new(&c, l->net) != 0) {
		l->waiting = true; /* Until another one ends. */
		note_refusal(l, "?", "out of memory");
		return;
	}
	rc = uv_tcp_init(l->net->loop, &c->tcp);
	if (rc != 0) {
		conn_end(c, rc, "cannot accept");
		return;
	}
	conn_own_tcp(c);
	rc = uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp);
	if (rc == 0) {
		rc = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &n);
	}
	if (rc != 0) { /* It has gone already. */
		conn_end(c, rc, "cannot accept");
		return;
	}
	net_address_text(c->address, &sa, &c->ip);
	why = refusal(l, c);
	if (why != NULL) {
		note_refusal(l, c->address, why);
		conn_end(c, ERR_LIMIT, "%s", why);
		return;
	}
	enlist(l, c);
	l->n_handshakes++;
	conn_start(c, NULL, l->limits.handshake_timeout_ms);
}

/* libuv accepts no further connection before this one is taken. */
static void on_connection(uv_stream_t *s, int status)
{
	struct net_tls_listener *l = s->data;

	if (status < 0) {
		note_refusal(l, "?", err_str(status));
	} else if (l->n_handshakes >= l->limits.max_handshakes) {
		l->waiting = true;
	} else {
		accept_one(l);
	}
}

static void slot_is_free(struct net_tls_listener *l)
{
	if (l->waiting && l->n_handshakes < l->limits.max_handshakes) {
		l->waiting = false;
		accept_one(l);
	}
}

void listener_opened(struct conn *c)
{
	struct net_tls_listener *l = c->listener;

	l->n_handshakes--;
	l->n_links++;
	c->accepted = true;
	conn_deadline(c, l->limits.idle_timeout_ms);
	c->cbs = l->cb(l->arg, &c->link, &c->peer);
	if (c->cbs == NULL) {
		link_close(&c->link);
	}
	/* The callback may have closed the listener. */
	if (c->listener != NULL) {
		slot_is_free(l);
	}
}

void listener_lost(struct conn *c)
{
	struct net_tls_listener *l = c->listener;

	if (l == NULL) {
		return;
	}
	delist(c);
	if (c->accepted) {
		l->n_links--;
	} else {
		l->n_handshakes--;
		note_refusal(l, c->address, c->why);
	}
	slot_is_free(l);
}

uint16_t net_tls_listener_port(const struct net_tls_listener *l)
{
	struct sockaddr_storage sa;
	int n = sizeof sa;
	uint16_t port = 0;

	memset(&sa, 0, sizeof sa);
	if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sa, &n) == 0) {
		/* sin_port and sin6_port stand at the same place. */
		port = ntohs(((const struct sockaddr_in *)&sa)->sin_port);
	}
	return port;
}

static int bind_to(struct net_tls_listener *l, const char *address,
		   uint16_t port)
{
	struct sockaddr_storage sa;
	int rc;

	memset(&sa, 0, sizeof sa);
	if (uv_ip4_addr(address, port, (struct sockaddr_in *)&sa) != 0) {
		rc = uv_ip6_addr(address, port, (struct sockaddr_in6 *)&sa);
		if (rc != 0) {
			return rc;
		}
	}
	return uv_tcp_bind(&l->tcp, (struct sockaddr *)&sa, 0);
}

static void on_listener_closed(uv_handle_t *h)
{
	free(h->data);
}

void net_tls_listener_set_limits(struct net_tls_listener *l,
				 const struct net_tls_limits *limits)
{
	l->limits = *limits;
	slot_is_free(l); /* One may have waited for the old limit. */
}

int net_tls_listen(struct net_tls_listener **out, struct net_tls *n,
		   const char *address, uint16_t port, int fd,
		   const struct net_tls_limits *limits, net_tls_accept_cb cb,
		   void *arg)
{
	struct net_tls_listener *l = calloc(1, sizeof *l);
	int rc;

	*out = NULL;
	if (l == NULL) {
		return UV_ENOMEM;
	}
	l->net = n;
	l->limits = *limits;
	l->cb = cb;
	l->arg = arg;
	rc = uv_tcp_init(n->loop, &l->tcp);
	if (rc != 0) {
		free(l);
		return rc;
	}
	l->tcp.data = l;
	rc = fd >= 0 ? uv_tcp_open(&l->tcp, fd) : bind_to(l, address, port);
	if (rc == 0) {
		rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	}
	if (rc != 0) {
		uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
		return rc;
	}
	*out = l;
	return 0;
}

void net_tls_listener_close(struct net_tls_listener *l)
{
	struct conn *c, *next;

	if (l == NULL) {
		return;
	}
	l->waiting = false;
	for (c = l->conns; c != NULL; c = next) {
		next = c->next;
		delist(c);
		if (!c->accepted) {
			conn_end(c, 0, "the listener closes");
		}
	}
	uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
}
