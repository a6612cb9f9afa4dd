#include "wire/net_tls.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "wire/net_tls_priv.h"

enum { KEEPALIVE_S = 60 };

/* ---- the end ---- */

static void pair_drop(struct tls_pair *p)
{
	if (p != NULL && --p->users == 0) {
		tls_config_free(p->client);
		tls_config_free(p->server);
		free(p);
	}
}

static void finish_when_closed(struct conn *c)
{
	if (c->state != CONN_DEAD || c->handles > 0) {
		return;
	}
	if (c->cbs != NULL && c->cbs->on_close != NULL) {
		c->cbs->on_close(c->link.arg, &c->link, c->status, c->why);
	}
	tls_free(c->tls);
	pair_drop(c->pair);
	buf_fini(&c->queue);
	buf_fini(&c->flying);
	frame_reader_fini(&c->frame);
	free(c->host);
	free(c);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct conn *c = h->data;

	c->handles--;
	finish_when_closed(c);
}

static void on_tcp_closed(uv_handle_t *h)
{
	struct conn *c = h->data;

	c->handles--;
	if (c->state == CONN_CONNECT) {
		dial_next(c);
	} else {
		finish_when_closed(c);
	}
}

void conn_close_tcp(struct conn *c)
{
	if (c->tcp_open) {
		c->tcp_open = false;
		uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
	}
}

static void end(struct conn *c)
{
	if (c->state == CONN_DEAD) {
		return;
	}
	/* The handshake's slot is the listener's to know. */
	listener_lost(c);
	c->state = CONN_DEAD;
	dial_forget(c);
	conn_close_tcp(c);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	uv_close((uv_handle_t *)&c->tick, on_handle_closed);
	uv_close((uv_handle_t *)&c->turn, on_handle_closed);
}

__attribute__((format(printf, 3, 0)))
static void set_why(struct conn *c, int status, const char *fmt, va_list ap)
{
	if (c->why[0] == '\0') {
		c->status = status;
		vsnprintf(c->why, sizeof c->why, fmt, ap);
	}
}

void conn_end(struct conn *c, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_why(c, status, fmt, ap);
	va_end(ap);
	end(c);
}

static void begin_flush(struct conn *c)
{
	c->state = CONN_FLUSH;
	conn_deadline(c, NET_TLS_LINGER_MS);
	conn_tick(c);
}

void conn_fail(struct conn *c, int status, const char *fmt, ...)
{
	va_list ap;

	if (c->state >= CONN_FLUSH) {
		return;
	}
	va_start(ap, fmt);
	set_why(c, status, fmt, ap);
	va_end(ap);
	if (c->tls == NULL || tls_output(c->tls)->n == 0) {
		end(c);
		return;
	}
	buf_fini(&c->queue); /* Whatever was queued: TLS can't carry it. */
	c->queue_at = 0;
	c->ended = true;
	begin_flush(c);
}

void conn_fail_tls(struct conn *c, int rc)
{
	conn_fail(c, rc, "%s", tls_why(c->tls));
}

/* ---- timers ---- */

static void on_deadline(uv_timer_t *t)
{
	struct conn *c = t->data;

	switch (c->state) {
	case CONN_RESOLVE:
		conn_end(c, ERR_TIMEOUT,
			 "the name %s was not resolved within %d s: is DNS "
			 "reachable?",
			 c->host, NET_TLS_DIAL_MS / 1000);
		break;
	case CONN_CONNECT:
		conn_end(c, ERR_TIMEOUT,
			 "no answer from %s (%s) within %d s: is the machine "
			 "up, and does a firewall let us through?",
			 c->host, c->address, NET_TLS_DIAL_MS / 1000);
		break;
	case CONN_HANDSHAKE:
		conn_end(c, ERR_TIMEOUT,
			 "%s accepted the connection and then was silent: is "
			 "it a nightjar %s?",
			 c->address, c->host != NULL ? "collector" : "agent");
		break;
	case CONN_OPEN:
		c->status = ERR_TIMEOUT;
		snprintf(c->why, sizeof c->why,
			 "%s sent no message for too long", c->address);
		begin_flush(c);
		break;
	default: /* What we had to say, we have said; the reason stands. */
		conn_end(c, 0, "closed");
	}
}

void conn_deadline(struct conn *c, uint64_t ms)
{
	uv_timer_stop(&c->timer);
	if (ms > 0) {
		uv_update_time(c->net->loop);
		uv_timer_start(&c->timer, on_deadline, ms, 0);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct conn *c = t->data;

	if (c->state == CONN_OPEN && !c->paused) {
		conn_deliver(c);
	}
	conn_flush(c);
}

void conn_tick(struct conn *c)
{
	if (c->state != CONN_DEAD) {
		uv_timer_start(&c->tick, on_tick, 0, 0);
	}
}

/* ---- the link ---- */

static size_t op_queued(const struct link *l)
{
	return conn_queued((const struct conn *)l);
}

static void op_close(struct link *l)
{
	struct conn *c = (struct conn *)l;

	if (c->state >= CONN_FLUSH) {
		return;
	}
	if (c->state != CONN_OPEN) {
		conn_end(c, 0, "closed");
		return;
	}
	c->status = 0;
	snprintf(c->why, sizeof c->why, "closed");
	conn_set_reading(c, true);
	if (c->state == CONN_OPEN) {
		begin_flush(c);
	}
}

static const struct link_ops link_ops = {
	.send = conn_send,
	.queued = op_queued,
	.pause = conn_pause,
	.close = op_close,
};

/* ---- the beginning ---- */

int conn_new(struct conn **out, struct net_tls *n)
{
	struct conn *c = calloc(1, sizeof *c);

	*out = c;
	if (c == NULL) {
		return UV_ENOMEM;
	}
	c->link.ops = &link_ops;
	c->net = n;
	c->pair = n->pair;
	c->pair->users++;
	/* What was sent already stands in front until it is moved. */
	buf_init(&c->queue, 2 * NET_TLS_QUEUE);
	frame_reader_init(&c->frame);
	snprintf(c->address, sizeof c->address, "?");
	uv_timer_init(n->loop, &c->timer); /* All always 0. */
	uv_timer_init(n->loop, &c->tick);
	uv_idle_init(n->loop, &c->turn);
	c->timer.data = c->tick.data = c->turn.data = c;
	c->handles = 3;
	return 0;
}

void conn_own_tcp(struct conn *c)
{
	c->tcp.data = c;
	c->tcp_open = true;
	c->handles++;
}

void conn_start(struct conn *c, const char *host, uint64_t timeout_ms)
{
	int rc;

	c->state = CONN_HANDSHAKE;
	/* Best effort: a socket without them works as well. */
	uv_tcp_nodelay(&c->tcp, 1);
	uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
	rc = tls_new(&c->tls,
		     host == NULL ? c->pair->server : c->pair->client, host);
	if (rc != 0) {
		conn_end(c, rc, "cannot start TLS: %s", err_str(rc));
		return;
	}
	conn_deadline(c, timeout_ms);
	conn_set_reading(c, true);
	if (c->state == CONN_HANDSHAKE) {
		conn_handshake(c); /* A client speaks first. */
		conn_flush(c);
	}
}

/* ---- the net ---- */

static int pair_new(struct tls_pair **out, const struct identity *id)
{
	struct tls_pair *p = calloc(1, sizeof *p);
	int rc;

	*out = NULL;
	if (p == NULL) {
		return UV_ENOMEM;
	}
	p->users = 1;
	rc = tls_config_new(&p->client, id, false);
	if (rc == 0) {
		rc = tls_config_new(&p->server, id, true);
	}
	if (rc != 0) {
		pair_drop(p);
		return rc;
	}
	*out = p;
	return 0;
}

int net_tls_new(struct net_tls **out, uv_loop_t *loop,
		const struct identity *id)
{
	static const struct net_ops ops = {.dial = net_tls_dial};
	struct net_tls *n = calloc(1, sizeof *n);
	int rc;

	*out = NULL;
	if (n == NULL) {
		return UV_ENOMEM;
	}
	n->net.ops = &ops;
	n->loop = loop;
	rc = pair_new(&n->pair, id);
	if (rc != 0) {
		free(n);
		return rc;
	}
	*out = n;
	return 0;
}

struct net *net_tls_net(struct net_tls *n)
{
	return &n->net;
}

int net_tls_set_identity(struct net_tls *n, const struct identity *id)
{
	struct tls_pair *p;
	int rc = pair_new(&p, id);

	if (rc == 0) {
		pair_drop(n->pair);
		n->pair = p;
	}
	return rc;
}

void net_tls_free(struct net_tls *n)
{
	if (n != NULL) {
		pair_drop(n->pair);
		free(n);
	}
}
