/* The bytes of a connection: what is queued goes through TLS to the kernel, what
 * comes is cut into messages. */
#include "common/err.h"
#include "wire/net_tls_priv.h"

enum {
	FILL = 64 * 1024, /* plaintext that is encrypted in one go */
	ROUNDS = 16,      /* of it in one turn of the loop, for fairness */
	TURN_NS = 5000000, /* of messages, likewise */
	KEEP = 16 * 1024, /* a larger buffer is given back when it is empty */
};

/* ---- sending ---- */

size_t conn_queued(const struct conn *c)
{
	size_t n = c->queue.n - c->queue_at;

	if (c->tls != NULL) {
		n += tls_output(c->tls)->n;
	}
	return c->writing ? n + c->flying.n : n;
}

static void tell_drain(struct conn *c)
{
	size_t n = conn_queued(c);

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
	conn_flush(c);
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
			conn_fail_tls(c, (int)n);
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
		conn_tick(c);
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

void conn_flush(struct conn *c)
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
		conn_tick(c);
	}
	if (c->state == CONN_FLUSH && conn_queued(c) == 0) {
		buf_fini(&c->flying);
		shut(c);
		return;
	}
	if (!c->writing && c->flying.room > KEEP && conn_queued(c) == 0) {
		buf_fini(&c->flying);
		buf_fini(tls_output(c->tls));
	}
	tell_drain(c);
}

int conn_send(struct link *l, uint8_t type, const struct slice *parts,
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
	if (conn_queued(c) + total + FRAME_HEADER > NET_TLS_QUEUE) {
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
	c->was_high = c->was_high || conn_queued(c) >= NET_TLS_LOW;
	conn_tick(c);
	return 0;
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct conn *c = h->data;

	(void)suggested;
	*out = uv_buf_init(c->net->chunk, sizeof c->net->chunk);
}

static void hand_over(struct conn *c)
{
	uint8_t type = frame_type(&c->frame);

	if (c->listener != NULL) {
		conn_deadline(c, c->listener->limits.idle_timeout_ms);
	}
	if (c->cbs->on_message != NULL) {
		c->cbs->on_message(c->link.arg, &c->link, type,
				   buf_slice(&c->frame.payload));
	}
	frame_next(&c->frame);
}

/* One piece of a message.  ERR_AGAIN: TLS has no more; another negative: the
 * input has ended, or the connection has. */
static int64_t read_piece(struct conn *c)
{
	char *p;
	size_t room;
	int64_t n;
	int rc = frame_room(&c->frame, &p, &room);

	if (rc != 0) {
		conn_fail(c, rc, "no memory for a message of %lu bytes",
			  (unsigned long)c->frame.need);
		return rc;
	}
	n = tls_read(c->tls, p, room);
	if (n <= 0) {
		return n == 0 ? UV_EOF : n;
	}
	rc = frame_took(&c->frame, (size_t)n);
	if (rc < 0) {
		conn_fail(c, rc,
			  "the peer announced a message of %lu bytes, the "
			  "limit is %d: it is of another version, or hostile",
			  (unsigned long)c->frame.need, (int)LIMIT_FRAME);
	} else if (rc > 0) {
		hand_over(c);
	}
	return rc;
}

/* Ends the link for what tls_read() said. */
static void end_of_input(struct conn *c, int64_t rc)
{
	if (rc == ERR_AGAIN || c->state != CONN_OPEN) {
		return;
	}
	if (rc == UV_EOF) { /* A clean one. */
		if (frame_begun(&c->frame)) {
			conn_end(c, ERR_CLOSED,
				 "the peer closed in the middle of a message");
		} else {
			conn_end(c, 0, "%s", tls_why(c->tls));
		}
		return;
	}
	conn_fail_tls(c, (int)rc);
}

static void on_turn(uv_idle_t *h)
{
	struct conn *c = h->data;

	uv_idle_stop(h);
	if (c->state == CONN_OPEN && !c->paused) {
		conn_deliver(c);
	}
	conn_flush(c);
}

/* An idle handle and not a timer: libuv before 1.48 runs timers that are due
 * again and again before it looks at any socket. */
static void wait_for_turn(struct conn *c, bool wait)
{
	if (wait) {
		c->behind = true;
		conn_set_reading(c, false);
		uv_idle_start(&c->turn, on_turn); /* Always 0. */
	} else if (c->behind) {
		c->behind = false;
		if (c->state == CONN_OPEN && !c->paused) {
			conn_set_reading(c, true);
		}
	}
}

/* A message may cost much more than its bytes (a signature to check, files to
 * read): whoever sends many such takes turns with everybody else. */
void conn_deliver(struct conn *c)
{
	uint64_t until = uv_hrtime() + TURN_NS;
	int64_t rc = 0;
	bool over = false;

	while (c->state == CONN_OPEN && !c->paused && rc >= 0 && !over) {
		rc = read_piece(c);
		over = uv_hrtime() >= until;
	}
	if (rc < 0) {
		end_of_input(c, rc);
	}
	wait_for_turn(c, rc >= 0 && c->state == CONN_OPEN && !c->paused);
}

void conn_handshake(struct conn *c)
{
	int rc = tls_handshake(c->tls);

	if (rc == ERR_AGAIN) {
		return;
	}
	if (rc != 0) {
		conn_fail_tls(c, rc);
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
		conn_set_reading(c, false);
		c->input_ended = true;
		tls_feed_end(c->tls);
	} else if (tls_feed(c->tls, slice(c->net->chunk, (size_t)n)) != 0) {
		conn_end(c, UV_ENOMEM, "out of memory");
		return;
	}
	if (c->state == CONN_HANDSHAKE) {
		conn_handshake(c);
	}
	if (c->state == CONN_OPEN) {
		conn_deliver(c);
	}
	conn_flush(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	(void)b; /* The net's chunk. */
	if (n != 0) {
		input(s->data, n);
	}
}

void conn_set_reading(struct conn *c, bool on)
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

void conn_pause(struct link *l, bool pause)
{
	struct conn *c = (struct conn *)l;

	if (c->state != CONN_OPEN || c->paused == pause) {
		return;
	}
	c->paused = pause;
	conn_set_reading(c, !pause);
	if (pause) {
		conn_deadline(c, 0); /* The silence is ours. */
	} else if (c->listener != NULL) {
		conn_deadline(c, c->listener->limits.idle_timeout_ms);
	}
	if (!pause) {
		conn_tick(c); /* TLS may have messages that were not asked for. */
	}
}
