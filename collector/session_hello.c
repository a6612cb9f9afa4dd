/* session_hello: a device says who it is and what it has; it is told what is here. */
#include <stdio.h>
#include <stdlib.h>

#include "collector/session.h"
#include "collector/take.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

/* ---- hello ---- */

static bool head_is_kept(const struct device *d, const struct head *h)
{
	const struct signed_head *ours = &d->heads[h->lane];
	const struct segment *g = device_find_segment(d, &h->segment);

	if (g != NULL && g->index >= h->index) {
		return true;
	}
	return ours->bytes != NULL &&
	       (ours->head.number > h->number ||
		(ours->head.number == h->number &&
		 ours->head.index >= h->index));
}

/* The head that the device was last acknowledged must be here. */
static void check_rollback(struct session *s, const struct hello *h)
{
	struct collector *c = s->c;
	struct head head;
	char detail[128];

	if (h->acked_head.n == 0 || h->store_id.n != STORE_ID ||
	    memcmp(h->store_id.p, c->store.id, STORE_ID) != 0) {
		return; /* It speaks of no store, or of another one. */
	}
	if (head_verify(&head, h->acked_head, s->spki) != 0) {
		log_warn("a device shows a head that it has not signed",
			 "device=%s", s->name);
		return;
	}
	if (!head_is_kept(s->device, &head)) {
		snprintf(detail, sizeof detail,
			 "acknowledged: lane %s, segment %llu, batch %lld",
			 lane_name(head.lane),
			 (unsigned long long)head.number,
			 (long long)head.index);
		collector_finding(c, s->device, "store-rollback",
				  "The store has lost what it had acknowledged",
				  detail);
	}
}

static int told_stream(struct buf *list, struct stream *st,
		       const struct stream_id *id)
{
	struct msg_stream m = {.id = *id};

	if (st != NULL) {
		m.received = st->received;
		m.durable = st->durable;
		m.h_received = st->h_received;
		m.h_durable = st->h_durable;
		st->told = true;
	}
	return msg_add_stream(list, &m);
}

static int by_touched(const void *a, const void *b)
{
	const struct stream *x = *(struct stream *const *)a;
	const struct stream *y = *(struct stream *const *)b;

	return x->touched == y->touched ? 0 : x->touched > y->touched ? -1 : 1;
}

/* Those that the device did not name, the most recent ones, as far as there is
 * room in the list. */
static int other_streams(struct device *d, size_t room, struct buf *list)
{
	struct stream **v = calloc(d->n_streams + 1, sizeof(*v));
	size_t n = 0;
	int rc = 0;

	if (v == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < d->n_streams; i++) {
		if (!d->streams[i].told && d->streams[i].received > 0) {
			v[n++] = &d->streams[i];
		}
		d->streams[i].told = false;
	}
	qsort(v, n, sizeof(*v), by_touched);
	for (size_t i = 0; i < n && i < WELCOME_STREAMS && i < room && rc == 0; i++) {
		rc = told_stream(list, v[i], &v[i]->id);
		v[i]->told = false;
	}
	free(v);
	return rc;
}

static int list_streams(struct session *s, struct slice asked,
			struct buf *list)
{
	struct msg_stream m;
	size_t n = 0;
	int rc;

	while ((rc = msg_streams_next(&asked, &m)) == 1) {
		n++; /* hello_decode() has looked at their number. */
		rc = told_stream(list, device_find_stream(s->device, &m.id),
				 &m.id);
		if (rc != 0) {
			return rc;
		}
	}
	return rc != 0 ? rc : other_streams(s->device, LIMIT_HELLO_STREAMS - n, list);
}

static int list_segments(struct session *s, struct slice asked,
			 struct buf *list)
{
	struct msg_segment m;
	size_t n = 0;
	int rc;

	while ((rc = msg_segments_next(&asked, &m)) == 1) {
		struct segment *g = device_find_segment(s->device, &m.id);

		if (++n > LIMIT_HELLO_SEGMENTS) {
			return ERR_LIMIT;
		}
		if (g == NULL) {
			continue;
		}
		g->named = true;
		m.index = g->index;
		m.hash = g->hash;
		rc = msg_add_segment(list, &m);
		if (rc == 0) {
			/* What was not heard to be acknowledged is said again. */
			rc = store_mark_segment(&s->c->store, g);
		}
		if (rc != 0) {
			return rc;
		}
	}
	return rc;
}

/* A segment never outlives its process but in the spool, and what is there is named
 * in hello: the others are complete.  (Should one go on all the same, it is open
 * again.) */
static int close_unnamed(struct session *s)
{
	int rc = 0;

	for (struct segment *g = s->device->segments; g != NULL; g = g->next) {
		if (!g->named && !g->closed && rc == 0) {
			g->closed = true;
			g->catalogue_dirty = true;
			rc = store_mark_segment(&s->c->store, g);
		}
		g->named = false;
	}
	return rc;
}

static int send_welcome(struct session *s, const struct hello *h)
{
	struct collector *c = s->c;
	const struct store *st = &c->store;
	struct welcome w = {
		.version = PROTOCOL_VERSION,
		.time_ms = sys_wall_ns(c->sys) / NS_PER_MS,
		.window_log = (uint8_t)c->options->window_log,
		.max_segment_decoded = (uint32_t)c->options->segment_max,
		.max_frame = LIMIT_FRAME,
		.n_keys = 1,
	};
	struct buf streams, segments, out;
	int rc;

	memcpy(w.store_id, st->id, sizeof w.store_id);
	w.keys[0] = st->keys[0].pub;
	buf_init(&streams, LIMIT_FRAME);
	buf_init(&segments, LIMIT_FRAME);
	buf_init(&out, LIMIT_FRAME);
	rc = list_streams(s, h->streams, &streams);
	if (rc == 0) {
		rc = list_segments(s, h->segments, &segments);
	}
	if (rc == 0) {
		rc = close_unnamed(s);
	}
	if (rc == 0) {
		w.streams = buf_slice(&streams);
		w.segments = buf_slice(&segments);
		rc = welcome_encode(&w, &out);
	}
	if (rc == 0) {
		session_send(s, MSG_WELCOME, &out);
	}
	buf_fini(&out);
	buf_fini(&segments);
	buf_fini(&streams);
	return rc;
}

/* A newer session of the same machine takes over; a second machine under one
 * identity does not.  true: refused. */
static bool fence(struct session *s, const struct hello *h)
{
	struct session *old = s->device->session;
	char detail[256];

	if (old == NULL) {
		return false;
	}
	if (memcmp(old->machine, h->machine, sizeof old->machine) != 0) {
		snprintf(detail, sizeof detail, "connected: %s, refused: %s",
			 old->address, s->address);
		collector_finding(s->c, s->device, "cloned-identity",
				  "Two machines use the identity of one device",
				  detail);
		s->c->count.refused++;
		session_end(s, MSG_ERROR_CLONED, 60000,
			    "another machine is connected under this identity; "
			    "give each device its own");
		return true;
	}
	s->c->count.fenced++;
	session_end(old, MSG_ERROR_FENCED, 0,
		    "a newer session of this device is here");
	return false;
}

int session_on_hello(struct session *s, struct slice payload)
{
	struct collector *c = s->c;
	struct hello h;
	int rc = hello_decode(&h, payload);

	if (rc == 0 && (h.version_min > PROTOCOL_VERSION ||
			h.version_max < PROTOCOL_VERSION_MIN)) {
		rc = ERR_VERSION;
	}
	if (rc == ERR_VERSION) {
		session_end(s, MSG_ERROR_VERSION, 0,
			    "this collector speaks version 1 of the protocol");
		return 0;
	}
	if (rc != 0) {
		return session_broken(s, "hello", rc);
	}
	if (c->storage == STORAGE_FAILING) {
		/* Its link was there before: what it sent now would be written to
		 * files that the repair begins anew. */
		session_end(s, MSG_ERROR_STORAGE, 2000,
			    "the store can't be written");
		return 0;
	}
	s->device = store_device(&c->store, &s->key_hash);
	rc = s->device == NULL ? UV_ENOMEM
			       : store_device_seen(&c->store, s->device,
						   s->name, s->spki);
	if (rc != 0) {
		session_end(s, MSG_ERROR_BUSY, 5000, err_str(rc));
		return 0;
	}
	if (c->take != NULL) {
		rc = take_device(c->take, s->device);
		if (rc == ERR_AGAIN) {
			return rc;
		}
		if (rc != 0) {
			session_end(s, MSG_ERROR_BUSY, 2000,
				    "this device can't be taken over from "
				    "another collector of this store now");
			return 0;
		}
	}
	if (fence(s, &h)) {
		return 0;
	}
	s->device->session = s;
	memcpy(s->machine, h.machine, sizeof s->machine);
	memcpy(s->instance, h.instance, sizeof s->instance);
	check_rollback(s, &h);
	session_move(s, SESSION_OPEN);
	rc = send_welcome(s, &h);
	if (rc != 0) {
		return session_broken(s, "the lists of hello", rc);
	}
	log_info("a device is connected", "device=%s address=%s id=%.16s",
		 s->name, s->address, s->device->hex);
	collector_wake(c);
	return 0;
}
