#include "cli/import_session.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "wire/msg.h"

/* ---- what the collector says ---- */

static void on_nak(struct import_session *s, struct slice payload)
{
	struct nak n;

	if (nak_decode(&n, payload) == 0 &&
	    memcmp(&n.segment, &s->segment, sizeof n.segment) == 0) {
		s->nak = true;
		s->watermark = n.stream.received;
	}
}

static void on_ack(struct import_session *s, struct slice payload)
{
	struct msg_segment m;
	struct ack a;

	if (ack_decode(&a, payload) != 0) {
		return;
	}
	while (msg_segments_next(&a.segments, &m) == 1) {
		if (memcmp(&m.id, &s->segment, sizeof m.id) == 0 &&
		    m.index > s->durable) {
			s->durable = m.index;
		}
	}
}

static void on_error(struct import_session *s, struct slice payload)
{
	struct error_msg e = {0};

	error_msg_decode(&e, payload);
	s->error = e.code != 0 ? e.code : MSG_ERROR_PROTOCOL;
	snprintf(s->text, sizeof s->text, "%.*s",
		 SLICE_ARG(slice_head(e.text, sizeof s->text - 1)));
}

static int op_send(struct link *l, uint8_t type, const struct slice *parts,
		   size_t n)
{
	struct import_session *s = (struct import_session *)l;

	if (n != 1) {
		return ERR_PROTOCOL; /* A collector says nothing in pieces. */
	}
	switch (type) {
	case MSG_WELCOME:
		s->welcome = true;
		break;
	case MSG_ACK:
		on_ack(s, parts[0]);
		break;
	case MSG_NAK:
		on_nak(s, parts[0]);
		break;
	case MSG_ERROR:
		on_error(s, parts[0]);
		break;
	default:
		break; /* Heads, ladders: nobody asked. */
	}
	return 0;
}

static size_t op_queued(const struct link *l)
{
	(void)l;
	return 0;
}

static void op_pause(struct link *l, bool pause)
{
	((struct import_session *)l)->paused = pause;
}

static void op_close(struct link *l)
{
	((struct import_session *)l)->closing = true;
}

static const struct link_ops link_ops = {op_send, op_queued, op_pause, op_close};

/* ---- waiting for it ---- */

static void on_patience(uv_timer_t *t)
{
	((struct import_session *)t->data)->impatient = true;
}

static bool is_answered(const struct import_session *s, int64_t index)
{
	return !s->welcome ? false : s->durable >= index && !s->paused;
}

/* Until there is a welcome, the link is read and the batch `index` of the segment is durable;
 * or there is no point in waiting for that. */
static int await(struct import_session *s, int64_t index)
{
	s->impatient = false;
	uv_timer_start(&s->patience, on_patience, IMPORT_PATIENCE_MS, 0);
	while (!is_answered(s, index) && !s->nak && !s->closing &&
	       !s->impatient) {
		uv_run(s->loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&s->patience);
	return s->closing	   ? ERR_CLOSED
	       : s->nak		   ? ERR_ABOVE
	       : is_answered(s, index) ? 0
				   : UV_ETIMEDOUT;
}

static int say(struct import_session *s, uint8_t type, struct slice payload)
{
	s->cbs->on_message(s->link.arg, &s->link, type, payload);
	return s->closing ? ERR_CLOSED : s->nak ? ERR_ABOVE : 0;
}

/* ---- a session ---- */

static int say_hello(struct import_session *s)
{
	struct hello h = {.version_min = PROTOCOL_VERSION_MIN,
			  .version_max = PROTOCOL_VERSION,
			  .software = SLICE_LIT("nightjar store import")};
	struct buf out;
	int rc;

	buf_init(&out, 4096);
	rc = hello_encode(&h, &out);
	rc = rc == 0 ? say(s, MSG_HELLO, buf_slice(&out)) : rc;
	buf_fini(&out);
	return rc;
}

int import_session_open(struct import_session *s, uv_loop_t *loop,
			struct collector *c, const struct voucher_device *device)
{
	int rc;

	*s = (struct import_session){.link = {.ops = &link_ops},
				     .loop = loop,
				     .device = *device,
				     .durable = -1};
	s->peer = (struct link_peer){
		.key_hash = s->device.hash,
		.spki = slice(s->device.spki, s->device.spki_n),
		.name = s->device.name,
		.address = "import",
	};
	uv_timer_init(loop, &s->patience); /* Always 0. */
	s->patience.data = s;
	s->cbs = collector_accept(c, &s->link, &s->peer);
	s->open = s->cbs != NULL;
	if (!s->open) {
		snprintf(s->text, sizeof s->text, "not accepted");
		return ERR_CLOSED;
	}
	rc = say_hello(s);
	return rc == 0 ? await(s, -1) : rc;
}

int import_session_segment(struct import_session *s, enum lane lane,
			   const struct segment_id *id, struct slice header,
			   const struct hash32 *hash)
{
	struct segment_msg m = {
		.lane = lane, .after = -1, .hash = *hash, .header = header};
	struct buf out;
	int rc;

	s->segment = *id;
	s->durable = -1;
	s->nak = false;
	buf_init(&out, LIMIT_SEGMENT_HEADER + 256);
	rc = segment_msg_encode(&m, &out);
	rc = rc == 0 ? say(s, MSG_SEGMENT, buf_slice(&out)) : rc;
	buf_fini(&out);
	return rc == 0 ? await(s, -1) : rc;
}

int import_session_batch(struct import_session *s, enum lane lane,
			 struct slice batch)
{
	uint8_t first = (uint8_t)lane;
	struct buf out;
	int rc;

	buf_init(&out, LIMIT_FRAME);
	rc = buf_add_u8(&out, first);
	rc = rc == 0 ? buf_add_slice(&out, batch) : rc;
	rc = rc == 0 ? say(s, MSG_SEALED, buf_slice(&out)) : rc;
	buf_fini(&out);
	return rc == 0 ? await(s, -1) : rc;
}

int import_session_durable(struct import_session *s, int64_t index)
{
	return await(s, index);
}

static void on_gone(uv_handle_t *h)
{
	((struct import_session *)h->data)->loop = NULL;
}

void import_session_close(struct import_session *s)
{
	uv_loop_t *loop = s->loop;

	if (loop == NULL) {
		return;
	}
	if (s->open && !s->closing) {
		say(s, MSG_BYE, SLICE_NONE);
	}
	if (s->open) {
		s->open = false;
		s->cbs->on_close(s->link.arg, &s->link, 0, "");
	}
	uv_close((uv_handle_t *)&s->patience, on_gone);
	while (s->loop != NULL) {
		uv_run(loop, UV_RUN_ONCE);
	}
}
