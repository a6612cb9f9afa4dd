#include "wire/net_tls.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "wire/net_tls_priv.h"

enum {
	FILL = 64 * 1024,     /* plaintext that is encrypted in one go */
	ROUNDS = 16,          /* of it in one turn of the loop, for fairness */
	RECORD = 16384,
	KEEP = 16 * 1024,     /* a message buffer larger than it is given back */
	KEEPALIVE_S = 60,
};

static void flush(struct conn *c);
static void deliver(struct conn *c);
static void tick(struct conn *c);

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
	buf_fini(&c->message);
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
}

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
	tick(c);
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

static void fail_tls(struct conn *c, int rc)
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
		deliver(c);
	}
	flush(c);
}

static void tick(struct conn *c)
{
	if (c->state != CONN_DEAD) {
		uv_timer_start(&c->tick, on_tick, 0, 0);
	}
}

/* ---- sending ---- */

static size_t queued(const struct conn *c)
{
	size_t n = c->queue.n - c->queue_at;

	if (c->tls != NULL) {
		n += tls_output(c->tls)->n;
	}
	return c->writing ? n + c->flying.n : n;
}

static void tell_drain(struct conn *c)
{
	size_t n = queued(c);

	if ((c->was_high && n < NET_TLS_LOW) || (c->was_busy && n == 0)) {
		c->was_high = c->was_high && n >= NET_TLS_LOW;
		c->was_busy = n > 0;
		if (c->state == CONN_OPEN && c->cbs->on_drain != NULL) {
			c->cbs->on_drain(c->link.arg, &c->link);
		}
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->data;

	c->writing = false;
	buf_clear(&c->flying);
	if (c->state == CONN_DEAD) {
		return;
	}
	if (status < 0) {
		conn_end(c, ERR_CLOSED, "the connection broke: %s",
			 err_str(status));
		return;
	}
	flush(c);
}

/* Plaintext to TLS, up to FILL bytes.  false: the connection has failed. */
static bool encrypt(struct conn *c)
{
	size_t left = c->queue.n - c->queue_at;
	int64_t n;

	if (left > FILL) {
		left = FILL;
	}
	if (left > 0) {
		n = tls_write(c->tls, c->queue.p + c->queue_at, left);
		if (n < 0) {
			fail_tls(c, (int)n);
			return false;
		}
		c->queue_at += (size_t)n;
		if (c->queue_at == c->queue.n) {
			/* Idle links keep no empty buffers. */
			buf_fini(&c->queue);
			c->queue_at = 0;
		}
	}
	return true;
}

/* Hands TLS's output to the kernel.  true: it took all of it. */
static bool write_out(struct conn *c)
{
	struct buf *out = tls_output(c->tls), empty = c->flying;
	uv_buf_t b;
	int n;

	/* TLS may write an alert while the kernel still has the buffer. */
	c->flying = *out;
	*out = empty;
	out->limit = c->flying.limit;
	b = uv_buf_init(c->flying.p, (unsigned)c->flying.n);
	n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
	if (n == UV_EAGAIN) {
		n = 0;
	}
	if (n >= 0 && (size_t)n == c->flying.n) {
		buf_clear(&c->flying);
		return true;
	}
	if (n >= 0) {
		b = uv_buf_init(c->flying.p + n,
				(unsigned)(c->flying.n - (size_t)n));
		c->write.data = c;
		n = uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1,
			     on_written);
		c->writing = n == 0;
	}
	if (n < 0) {
		buf_clear(&c->flying);
		conn_end(c, ERR_CLOSED, "the connection broke: %s",
			 err_str(n));
	}
	return false;
}

static void on_shut(uv_shutdown_t *req, int status)
{
	struct conn *c = req->data;

	/* The peer closes in its turn; the deadline is for one that doesn't. */
	if (status < 0 && c->state != CONN_DEAD) {
		conn_end(c, 0, "closed");
	}
}

/* All was sent: says so to the peer, and goes on reading until it closes. */
static void shut(struct conn *c)
{
	if (!c->ended) {
		c->ended = true;
		tls_end(c->tls);
		tick(c);
		return;
	}
	c->state = CONN_LINGER;
	if (!c->shut) {
		c->shut = true;
		c->shutdown.data = c;
		if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp,
				on_shut) != 0) {
			conn_end(c, 0, "closed");
		}
	}
}

static void flush(struct conn *c)
{
	int rounds = ROUNDS;

	if (c->tls == NULL || !c->tcp_open || c->state >= CONN_LINGER) {
		return;
	}
	while (!c->writing && rounds-- > 0) {
		if (tls_output(c->tls)->n == 0 && !encrypt(c)) {
			return;
		}
		if (tls_output(c->tls)->n == 0) {
			break;
		}
		if (!write_out(c)) {
			break;
		}
	}
	if (c->state == CONN_DEAD) {
		return;
	}
	if (rounds < 0) {
		tick(c);
	}
	if (c->state == CONN_FLUSH && queued(c) == 0) {
		buf_fini(&c->flying);
		shut(c);
		return;
	}
	if (!c->writing && c->flying.room > KEEP && queued(c) == 0) {
		buf_fini(&c->flying);
		buf_fini(tls_output(c->tls));
	}
	tell_drain(c);
}

static int op_send(struct link *l, uint8_t type, const struct slice *parts,
		   size_t n)
{
	struct conn *c = (struct conn *)l;
	size_t total = 0, was = c->queue.n;
	int rc;

	if (c->state != CONN_OPEN) {
		return ERR_CLOSED;
	}
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > LIMIT_FRAME - total) {
			return ERR_TOO_LARGE;
		}
		total += parts[i].n;
	}
	if (queued(c) + total + FRAME_HEADER > NET_TLS_QUEUE) {
		return ERR_AGAIN;
	}
	if (c->queue_at > 0 && c->queue_at >= c->queue.n / 2) {
		buf_consume(&c->queue, c->queue_at);
		c->queue_at = 0;
		was = c->queue.n;
	}
	rc = buf_reserve(&c->queue, total + FRAME_HEADER);
	if (rc == 0) {
		rc = buf_add_u32(&c->queue, (uint32_t)total);
	}
	if (rc == 0) {
		rc = buf_add_u8(&c->queue, type);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = buf_add_slice(&c->queue, parts[i]);
	}
	if (rc != 0) {
		c->queue.n = was;
		return rc;
	}
	c->was_busy = true;
	c->was_high = c->was_high || queued(c) >= NET_TLS_LOW;
	tick(c);
	return 0;
}

static size_t op_queued(const struct link *l)
{
	return queued((const struct conn *)l);
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct conn *c = h->data;

	(void)suggested;
	*out = uv_buf_init(c->net->chunk, sizeof c->net->chunk);
}

/* Takes what TLS has of the frame's head.  1: it is whole; 0: not yet; negative:
 * the connection has ended. */
static int64_t read_head(struct conn *c)
{
	int64_t n = tls_read(c->tls, c->head + c->head_n,
			     sizeof c->head - c->head_n);
	const uint8_t *h = c->head;

	if (n <= 0) {
		return n == 0 ? UV_EOF : n;
	}
	c->head_n += (size_t)n;
	if (c->head_n < sizeof c->head) {
		return 0;
	}
	c->need = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 |
		  (uint32_t)h[2] << 8 | h[3];
	if (c->need > LIMIT_FRAME) {
		conn_fail(c, ERR_TOO_LARGE,
			  "the peer announced a message of %lu bytes, the "
			  "limit is %d: it is of another version, or hostile",
			  (unsigned long)c->need, (int)LIMIT_FRAME);
		return ERR_TOO_LARGE;
	}
	return 1;
}

/* The payload's memory grows with what has arrived, not with what was
 * announced. */
static int64_t read_payload(struct conn *c)
{
	size_t left = c->need - c->message.n;
	int64_t n;
	int rc;

	if (left > RECORD) {
		left = RECORD;
	}
	rc = buf_reserve(&c->message, left);
	if (rc != 0) {
		conn_fail(c, rc, "no memory for a message of %lu bytes",
			  (unsigned long)c->need);
		return rc;
	}
	n = tls_read(c->tls, c->message.p + c->message.n, left);
	if (n <= 0) {
		return n == 0 ? UV_EOF : n;
	}
	c->message.n += (size_t)n;
	return c->message.n == c->need;
}

static void hand_over(struct conn *c)
{
	uint8_t type = c->head[FRAME_HEADER - 1];

	c->head_n = 0;
	if (c->listener != NULL) {
		conn_deadline(c, c->listener->limits.idle_timeout_ms);
	}
	if (c->cbs->on_message != NULL) {
		c->cbs->on_message(c->link.arg, &c->link, type,
				   buf_slice(&c->message));
	}
	buf_clear(&c->message);
	if (c->message.room > KEEP) {
		buf_fini(&c->message);
	}
}

/* Ends the link for what tls_read() said. */
static void end_of_input(struct conn *c, int64_t rc)
{
	if (rc == ERR_AGAIN || c->state != CONN_OPEN) {
		return;
	}
	if (rc == UV_EOF) { /* A clean one. */
		if (c->head_n > 0) {
			conn_end(c, ERR_CLOSED,
				 "the peer closed in the middle of a message");
		} else {
			conn_end(c, 0, "%s", tls_why(c->tls));
		}
		return;
	}
	fail_tls(c, (int)rc);
}

static void deliver(struct conn *c)
{
	int64_t rc = 0;

	while (c->state == CONN_OPEN && !c->paused && rc >= 0) {
		rc = 1;
		if (c->head_n < FRAME_HEADER) {
			rc = read_head(c);
		}
		if (rc > 0 && c->need > c->message.n) {
			rc = read_payload(c);
		}
		if (rc > 0) {
			hand_over(c);
		}
	}
	if (rc < 0) {
		end_of_input(c, rc);
	}
}

static void set_reading(struct conn *c, bool on);

static void handshake(struct conn *c)
{
	int rc = tls_handshake(c->tls);

	if (rc == ERR_AGAIN) {
		return;
	}
	if (rc != 0) {
		fail_tls(c, rc);
		return;
	}
	tls_peer(c->tls, &c->peer);
	c->peer.address = c->address;
	c->state = CONN_OPEN;
	conn_deadline(c, 0);
	if (c->host == NULL) {
		listener_opened(c);
	} else if (c->cbs->on_open != NULL) {
		c->cbs->on_open(c->link.arg, &c->link, &c->peer);
	}
}

/* What arrived, or the end of it (n <= 0). */
static void input(struct conn *c, ssize_t n)
{
	if (c->state >= CONN_FLUSH) {
		if (n < 0) {
			conn_end(c, 0, "closed");
		}
		return;
	}
	if (n < 0 && n != UV_EOF && n != UV_ECONNRESET) {
		conn_end(c, ERR_CLOSED, "the connection broke: %s",
			 err_str((int)n));
		return;
	}
	if (n < 0) {
		set_reading(c, false);
		c->input_ended = true;
		tls_feed_end(c->tls);
	} else if (tls_feed(c->tls, slice(c->net->chunk, (size_t)n)) != 0) {
		conn_end(c, UV_ENOMEM, "out of memory");
		return;
	}
	if (c->state == CONN_HANDSHAKE) {
		handshake(c);
	}
	if (c->state == CONN_OPEN) {
		deliver(c);
	}
	flush(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	(void)b; /* The net's chunk. */
	if (n != 0) {
		input(s->data, n);
	}
}

static void set_reading(struct conn *c, bool on)
{
	int rc;

	if (!c->tcp_open || c->reading == on || c->input_ended) {
		return;
	}
	c->reading = on;
	if (!on) {
		uv_read_stop((uv_stream_t *)&c->tcp);
		return;
	}
	rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (rc != 0) {
		conn_end(c, ERR_CLOSED, "the connection broke: %s",
			 err_str(rc));
	}
}

static void op_pause(struct link *l, bool pause)
{
	struct conn *c = (struct conn *)l;

	if (c->state != CONN_OPEN || c->paused == pause) {
		return;
	}
	c->paused = pause;
	set_reading(c, !pause);
	if (pause) {
		conn_deadline(c, 0); /* The silence is ours. */
	} else if (c->listener != NULL) {
		conn_deadline(c, c->listener->limits.idle_timeout_ms);
	}
	if (!pause) {
		tick(c); /* TLS may have messages that were not asked for. */
	}
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
	set_reading(c, true);
	if (c->state == CONN_OPEN) {
		begin_flush(c);
	}
}

static const struct link_ops link_ops = {
	.send = op_send,
	.queued = op_queued,
	.pause = op_pause,
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
	buf_init(&c->message, LIMIT_FRAME);
	snprintf(c->address, sizeof c->address, "?");
	uv_timer_init(n->loop, &c->timer); /* Both always 0. */
	uv_timer_init(n->loop, &c->tick);
	c->timer.data = c->tick.data = c;
	c->handles = 2;
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
	set_reading(c, true);
	if (c->state == CONN_HANDSHAKE) {
		handshake(c); /* A client speaks first. */
		flush(c);
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
