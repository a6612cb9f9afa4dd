#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/session.h"
#include "collector/share.h"
#include "common/err.h"
#include "common/log.h"

/* A session goes
 *
 *   HELLO --hello accepted, welcome sent--> OPEN --error, fenced, stop--> ENDING
 *     '------------------- refused ------------------------------------------^
 *
 * and is freed in on_close().  In ENDING whatever still arrives is ignored: a
 * fenced session's batches must not be stored.
 *
 * Failure modes: a message that does not decode or comes out of turn ends the
 * session (ERROR_PROTOCOL); a batch above W is answered with a nak and the rest of
 * its segment discarded; no room on the disk pauses the link with the message
 * kept; a failed sync ends every session that had more than is durable.
 */
#define TO(state) (1u << SESSION_##state)
static const unsigned session_may_go[] = {
	[SESSION_HELLO] = TO(OPEN) | TO(ENDING),
	[SESSION_OPEN] = TO(ENDING),
	[SESSION_ENDING] = 0,
};
#undef TO

void session_move(struct session *s, enum session_state to)
{
	assert(session_may_go[s->state] & (1u << to));
	s->state = to;
}

/* ---- sending ---- */

void session_send(struct session *s, enum msg_type type,
		     const struct buf *payload)
{
	struct slice part = buf_slice(payload);
	int rc;

	if (s->state == SESSION_ENDING && type != MSG_ERROR) {
		return;
	}
	rc = link_send(s->link, (uint8_t)type, &part, 1);
	if (rc == 0 && link_queued(s->link) > SEND_QUEUE_MAX) {
		rc = ERR_LIMIT; /* It does not read what we say. */
	}
	if (rc != 0 && s->state != SESSION_ENDING) {
		session_end(s, MSG_ERROR_BUSY, 1000,
			    "answers are not read; reconnect");
	}
}

void session_drop_lane(struct session *s, struct session_lane *l)
{
	if (l->segment != NULL && l->segment->session == s) {
		store_segment_detach(l->segment);
	}
	l->segment = NULL;
	l->discarding = false;
	if (l->replay != NULL) {
		segment_reader_close(l->replay);
		free(l->replay);
		l->replay = NULL;
	}
}

static void drop_lanes(struct session *s)
{
	for (int lane = 0; lane < LANE_NR; lane++) {
		session_drop_lane(s, &s->lanes[lane]);
	}
	if (s->device != NULL) {
		if (s->device->session == s) {
			s->device->session = NULL;
		}
		store_trim_segments(&s->c->store, s->device);
	}
	s->c->stalled_bytes -= s->stalled.n;
	buf_fini(&s->stalled);
}

void session_end(struct session *s, enum msg_error_code code,
		 uint32_t retry_after_ms, const char *text)
{
	struct error_msg e = {(uint16_t)code, retry_after_ms, slice_str(text)};
	struct buf b;

	if (s->state == SESSION_ENDING) {
		return;
	}
	log_info("ending a session", "device=%s address=%s why=\"%s\"",
		 s->name, s->address, text);
	session_move(s, SESSION_ENDING);
	drop_lanes(s);
	buf_init(&b, 4096);
	if (error_msg_encode(&e, &b) == 0) {
		session_send(s, MSG_ERROR, &b);
	}
	buf_fini(&b);
	if (s->paused) {
		link_pause(s->link, false);
		s->paused = false;
	}
	link_close(s->link);
}

int session_broken(struct session *s, const char *what, int rc)
{
	char text[160];

	log_warn("a device broke the protocol",
		 "device=%s address=%s what=\"%s\" error=\"%s\"", s->name,
		 s->address, what, err_str(rc));
	snprintf(text, sizeof text, "%s: %s", what, err_str(rc));
	session_end(s, MSG_ERROR_PROTOCOL, 0, text);
	return 0;
}

/* ---- messages ---- */

/* 0: handled (the session may be ending); UV_ENOSPC and the like: nothing was done
 * and it has to wait; ERR_AGAIN: it has to wait for the next sync; other errors end
 * the session. */
static int handle(struct session *s, uint8_t type, struct slice payload)
{
	if (s->state == SESSION_HELLO && type != MSG_HELLO) {
		return session_broken(s, "a message before hello", ERR_PROTOCOL);
	}
	switch (type) {
	case MSG_HELLO:
		return s->state == SESSION_HELLO
			       ? session_on_hello(s, payload)
			       : session_broken(s, "a second hello", ERR_PROTOCOL);
	case MSG_SEGMENT:
		return session_on_segment(s, payload);
	case MSG_SEALED:
		return session_on_batch(s, payload);
	case MSG_HEAD:
		return session_on_head(s, payload);
	case MSG_LADDER:
		return session_on_ladder(s, payload);
	case MSG_PING:
	case MSG_BYE:
		return 0;
	case MSG_ERROR:
		session_move(s, SESSION_ENDING);
		drop_lanes(s);
		link_close(s->link);
		return 0;
	default:
		return session_broken(s, "unknown type", ERR_PROTOCOL);
	}
}

static bool is_full(int rc)
{
	return rc == UV_ENOSPC || rc == -EDQUOT || rc == UV_EFBIG;
}

/* Keeps a message until there is room on the disk, or a sync has been. */
static void stall(struct session *s, uint8_t type, struct slice payload)
{
	size_t n = 5 + payload.n;

	if (s->c->stalled_bytes + n > STALLED_MAX ||
	    buf_reserve(&s->stalled, n) != 0) {
		session_end(s, MSG_ERROR_STORAGE, 10000,
			    "the collector's disk is full");
		return;
	}
	buf_add_u8(&s->stalled, type);
	buf_add_u32(&s->stalled, (uint32_t)payload.n);
	buf_add_slice(&s->stalled, payload);
	s->c->stalled_bytes += n;
	if (!s->paused) {
		s->paused = true;
		link_pause(s->link, true);
	}
}

static void failed(struct session *s, uint8_t type, int rc)
{
	if (rc == UV_ENOENT && s->device != NULL && s->c->take != NULL &&
	    share_owns(&s->c->store, s->device) == 0) {
		session_end(s, MSG_ERROR_BUSY, 1000,
			    "another collector of this store has this device "
			    "now");
		return;
	}
	log_error("a device's message could not be handled",
		  "device=%s type=%u error=\"%s\"", s->name, type,
		  err_str(rc));
	session_end(s, MSG_ERROR_STORAGE, 10000, err_str(rc));
}

static void on_message(void *arg, struct link *l, uint8_t type,
		       struct slice payload)
{
	struct session *s = arg;
	int rc;

	(void)l;
	if (s->state == SESSION_ENDING) {
		return;
	}
	if (s->stalled.n > 0) {
		stall(s, type, payload); /* Behind what waits already. */
		return;
	}
	rc = handle(s, type, payload);
	if (is_full(rc)) {
		stall(s, type, payload);
		collector_full(s->c, rc);
	} else if (rc == ERR_AGAIN) {
		stall(s, type, payload);
	} else if (rc != 0) {
		failed(s, type, rc);
	}
}

bool session_retry(struct session *s)
{
	while (s->stalled.n > 0) {
		uint8_t type = (uint8_t)s->stalled.p[0];
		struct reader r = reader(slice_skip(buf_slice(&s->stalled), 1));
		uint32_t n = reader_u32(&r);
		int rc = handle(s, type, reader_bytes(&r, n));

		if (is_full(rc)) {
			return false;
		}
		if (rc == ERR_AGAIN) {
			return true; /* The next commit asks again. */
		}
		if (rc != 0) {
			failed(s, type, rc);
		}
		if (s->state == SESSION_ENDING) {
			return true; /* Nothing waits any more. */
		}
		buf_consume(&s->stalled, 5 + (size_t)n);
		s->c->stalled_bytes -= 5 + (size_t)n;
	}
	buf_fini(&s->stalled);
	if (s->paused) {
		s->paused = false;
		link_pause(s->link, false);
	}
	return true;
}

/* ---- acknowledging ---- */

void session_ack_stream(struct session *s, const struct stream *st)
{
	struct msg_stream m = {
		.id = st->id,
		.received = st->durable,
		.durable = st->durable,
		.h_received = st->h_durable,
		.h_durable = st->h_durable,
	};

	s->ack_due = true;
	if (msg_add_stream(&s->ack_streams, &m) != 0) {
		session_end(s, MSG_ERROR_BUSY, 1000, "no memory for an answer");
	}
}

void session_ack_segment(struct session *s, const struct segment *g)
{
	struct msg_segment m = {g->name.id, g->durable_index, g->durable_hash};

	s->ack_due = true;
	if (msg_add_segment(&s->ack_segments, &m) != 0) {
		session_end(s, MSG_ERROR_BUSY, 1000, "no memory for an answer");
	}
}

void session_send_acks(struct session *s, uint64_t commits)
{
	struct ack a = {buf_slice(&s->ack_segments),
			buf_slice(&s->ack_streams)};
	struct buf b;

	if (s->ack_due && s->state == SESSION_OPEN) {
		buf_init(&b, LIMIT_FRAME);
		if (ack_encode(&a, &b) == 0) {
			session_send(s, MSG_ACK, &b);
			s->c->count.acks++;
		} else {
			session_end(s, MSG_ERROR_BUSY, 1000,
				    "an answer would be too long; reconnect");
		}
		buf_fini(&b);
	}
	s->ack_due = false;
	buf_fini(&s->ack_segments);
	buf_fini(&s->ack_streams);
	for (int lane = 0; lane < LANE_NR; lane++) {
		struct session_head *h = &s->heads[lane];

		if (h->bytes.n > 0 && h->after <= commits) {
			session_send(s, MSG_HEAD, &h->bytes);
			buf_fini(&h->bytes);
		}
	}
}

/* ---- coming and going ---- */

static void on_drain(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

static void on_close(void *arg, struct link *l, int status, const char *why)
{
	struct session *s = arg;
	struct collector *c = s->c;

	(void)l;
	if (status != 0) {
		log_info("a connection ended", "device=%s address=%s why=\"%s\"",
			 s->name, s->address, why);
	} else {
		log_debug("a connection ended", "device=%s", s->name);
	}
	if (s->state != SESSION_ENDING) {
		session_move(s, SESSION_ENDING);
		drop_lanes(s);
	}
	session_free(s);
	collector_wake(c);
}

static const struct link_cbs session_cbs = {
	.on_message = on_message,
	.on_drain = on_drain,
	.on_close = on_close,
};

const struct link_cbs *session_new(struct collector *c, struct link *l,
				   const struct link_peer *peer)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->c = c;
	s->link = l;
	s->key_hash = peer->key_hash;
	s->spki = peer->spki;
	s->name = peer->name;
	s->address = peer->address;
	buf_init(&s->ack_segments, LIMIT_FRAME);
	buf_init(&s->ack_streams, LIMIT_FRAME);
	buf_init(&s->stalled, STALLED_SESSION_MAX);
	for (int lane = 0; lane < LANE_NR; lane++) {
		buf_init(&s->heads[lane].bytes, LIMIT_HEAD);
	}
	s->next = c->sessions;
	s->at = &c->sessions;
	if (s->next != NULL) {
		s->next->at = &s->next;
	}
	c->sessions = s;
	c->n_sessions++;
	l->arg = s;
	return &session_cbs;
}

void session_free(struct session *s)
{
	for (int lane = 0; lane < LANE_NR; lane++) {
		buf_fini(&s->heads[lane].bytes);
		if (s->lanes[lane].replay != NULL) {
			/* Only after a simulated crash: not its file. */
			follower_free(s->lanes[lane].replay->follower);
			entry_reader_fini(&s->lanes[lane].replay->entries);
			buf_fini(&s->lanes[lane].replay->header);
			free(s->lanes[lane].replay);
		}
	}
	buf_fini(&s->stalled);
	buf_fini(&s->ack_segments);
	buf_fini(&s->ack_streams);
	*s->at = s->next;
	if (s->next != NULL) {
		s->next->at = s->at;
	}
	s->c->n_sessions--;
	free(s);
}
