#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/collector.h"
#include "collector/deliver.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

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

static void session_move(struct session *s, enum session_state to)
{
	assert(session_may_go[s->state] & (1u << to));
	s->state = to;
}

/* ---- sending ---- */

static void send_msg(struct session *s, enum msg_type type,
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

static void drop_lane(struct session *s, struct session_lane *l)
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
		drop_lane(s, &s->lanes[lane]);
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
		send_msg(s, MSG_ERROR, &b);
	}
	buf_fini(&b);
	if (s->paused) {
		link_pause(s->link, false);
		s->paused = false;
	}
	link_close(s->link);
}

static int broken(struct session *s, const char *what, int rc)
{
	char text[160];

	log_warn("a device broke the protocol",
		 "device=%s address=%s what=\"%s\" error=\"%s\"", s->name,
		 s->address, what, err_str(rc));
	snprintf(text, sizeof text, "%s: %s", what, err_str(rc));
	session_end(s, MSG_ERROR_PROTOCOL, 0, text);
	return 0;
}

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

/* Those that the device did not name, the most recent ones. */
static int other_streams(struct device *d, struct buf *list)
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
	for (size_t i = 0; i < n && i < WELCOME_STREAMS && rc == 0; i++) {
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
		if (++n > LIMIT_HELLO_STREAMS - WELCOME_STREAMS) {
			return ERR_LIMIT;
		}
		rc = told_stream(list, device_find_stream(s->device, &m.id),
				 &m.id);
		if (rc != 0) {
			return rc;
		}
	}
	return rc != 0 ? rc : other_streams(s->device, list);
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
		send_msg(s, MSG_WELCOME, &out);
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

static int on_hello(struct session *s, struct slice payload)
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
		return broken(s, "hello", rc);
	}
	s->device = store_device(&c->store, &s->key_hash);
	rc = s->device == NULL ? UV_ENOMEM
			       : store_device_seen(&c->store, s->device,
						   s->name, s->spki);
	if (rc != 0) {
		session_end(s, MSG_ERROR_BUSY, 5000, err_str(rc));
		return 0;
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
		return broken(s, "the lists of hello", rc);
	}
	log_info("a device is connected", "device=%s address=%s id=%.16s",
		 s->name, s->address, s->device->hex);
	collector_wake(c);
	return 0;
}

/* ---- segments ---- */

/* The segment's files are read until `after`, from where the agent sends again. */
static int start_replay(struct session *s, struct session_lane *l,
			const struct segment_msg *m)
{
	struct segment_entry *e = malloc(sizeof *e);
	struct segment_reader *r = calloc(1, sizeof *r);
	struct hash32 hash;
	char dir[STORE_PATH];
	int rc = e == NULL || r == NULL ? UV_ENOMEM : 0;

	store_device_dir(&s->c->store, s->device, dir);
	if (rc == 0) {
		rc = segment_reader_open(r, s->c->sys, dir, &l->segment->name);
	}
	if (rc != 0) {
		goto out_free;
	}
	rc = 1;
	while (rc == 1 && segment_reader_index(r) < m->after) {
		rc = segment_reader_next(r, e);
	}
	hash = segment_reader_hash(r);
	if (rc == 1 && segment_reader_index(r) == m->after &&
	    hash32_eq(&hash, &m->hash)) {
		l->replay = r;
		free(e);
		return 0;
	}
	rc = rc < 0 ? rc : ERR_CONFLICT;
	segment_reader_close(r);
out_free:
	free(r);
	free(e);
	return rc;
}

static int find_segment(struct session *s, const struct segment_info *info,
			struct segment **out)
{
	struct segment_name name = {info->lane, info->number, info->id, 0};
	int rc;

	*out = device_find_segment(s->device, &info->id);
	if (*out != NULL) {
		return 0;
	}
	rc = store_segment_load(&s->c->store, s->device, &name, out);
	if (rc == UV_ENOENT) {
		*out = store_segment_new(&s->c->store, s->device, &name);
		rc = *out == NULL ? UV_ENOMEM : 0;
	}
	return rc;
}

static bool sealed_to_us(const struct store *st,
			 const struct segment_info *info)
{
	for (size_t i = 0; i < info->n_recipients; i++) {
		for (size_t k = 0; k < st->n_keys; k++) {
			if (memcmp(info->recipient[i], st->keys[k].pub.id,
				   sizeof st->keys[k].pub.id) == 0) {
				return true;
			}
		}
	}
	return false;
}

static int check_info(struct session *s, const struct segment_info *info,
		      const struct segment_msg *m)
{
	if (!hash32_eq(&info->device, &s->key_hash)) {
		return ERR_NOT_OURS;
	}
	if (info->lane != m->lane || info->number == 0) {
		return ERR_PROTOCOL;
	}
	if (info->window_log > WINDOW_LOG_MAX) {
		return ERR_TOO_LARGE;
	}
	if (!sealed_to_us(&s->c->store, info)) {
		/* Kept all the same: whoever has the key can open it. */
		log_warn("a segment is sealed to keys that this store does not "
			 "have: it is kept, and can't be searched",
			 "device=%s lane=%s number=%llu", s->name,
			 lane_name(info->lane),
			 (unsigned long long)info->number);
	}
	return 0;
}

static int open_segment(struct session *s, struct session_lane *l,
			const struct segment_info *info,
			const struct segment_msg *m)
{
	struct segment *g;
	int rc = find_segment(s, info, &g);

	if (rc != 0) {
		return rc;
	}
	if (m->after > g->index || g->name.part >= SEGMENT_PARTS_MAX) {
		return ERR_NOT_OURS;
	}
	rc = store_segment_attach(&s->c->store, g, m->header, g->index);
	if (rc != 0) {
		return rc;
	}
	g->session = s;
	g->closed = false;
	l->segment = g;
	if (m->after < g->index) {
		return start_replay(s, l, m);
	}
	return hash32_eq(&m->hash, &g->hash) ? 0 : ERR_CONFLICT;
}

static int conflict(struct session *s, const char *detail)
{
	s->c->count.conflicts++;
	collector_finding(s->c, s->device, "segment-conflict",
			  "A device sends another content for what is stored",
			  detail);
	session_end(s, MSG_ERROR_CONFLICT, 0, detail);
	return 0;
}

static int on_segment(struct session *s, struct slice payload)
{
	const struct segment_info *info;
	struct segment_msg m;
	struct follower *f = NULL;
	int rc = segment_msg_decode(&m, payload);

	if (rc == 0) {
		rc = follower_new(&f, m.header);
	}
	if (rc != 0) {
		return broken(s, "segment", rc);
	}
	info = follower_info(f);
	rc = check_info(s, info, &m);
	if (rc != 0) {
		rc = broken(s, "segment header", rc);
		goto out;
	}
	drop_lane(s, &s->lanes[m.lane]);
	rc = open_segment(s, &s->lanes[m.lane], info, &m);
	if (rc == ERR_CONFLICT) {
		rc = conflict(s, "the same segment and index with another "
				 "hash");
	} else if (rc == ERR_NOT_OURS) {
		rc = broken(s, "resumes behind what is stored", rc);
	} else if (rc != 0) {
		log_error("a stored segment can't be read",
			  "device=%s lane=%s number=%llu error=\"%s\"",
			  s->name, lane_name(m.lane),
			  (unsigned long long)info->number, err_str(rc));
		session_end(s, MSG_ERROR_STORAGE, 30000,
			    "the store can't read this segment");
		rc = 0;
	}
	if (s->state == SESSION_OPEN) {
		store_trim_segments(&s->c->store, s->device);
	}
out:
	follower_free(f);
	return rc;
}

/* ---- batches ---- */

static void send_nak(struct session *s, struct session_lane *l,
		     const struct stream_id *id)
{
	const struct stream *st = device_find_stream(s->device, id);
	struct nak n = {.segment = l->segment->name.id, .stream = {.id = *id}};
	struct buf b;

	if (st != NULL) {
		n.stream.received = st->received;
		n.stream.durable = st->durable;
		n.stream.h_received = st->h_received;
		n.stream.h_durable = st->h_durable;
	}
	s->c->count.naks++;
	log_info("a batch starts above what is stored: discarding the rest of "
		 "its segment",
		 "device=%s lane=%s number=%llu watermark=%llu", s->name,
		 lane_name(l->segment->name.lane),
		 (unsigned long long)l->segment->name.number,
		 (unsigned long long)n.stream.received);
	drop_lane(s, l);
	l->discarding = true;
	buf_init(&b, 1024);
	if (nak_encode(&n, &b) == 0) {
		send_msg(s, MSG_NAK, &b);
	}
	buf_fini(&b);
}

static bool names_a_stream_twice(const struct batch_head *h)
{
	for (size_t i = 1; i < h->n_streams; i++) {
		for (size_t k = 0; k < i; k++) {
			if (memcmp(&h->streams[i].id, &h->streams[k].id,
				   sizeof h->streams[i].id) == 0) {
				return true;
			}
		}
	}
	return false;
}

static int new_batch(struct session *s, struct session_lane *l,
		     struct slice batch)
{
	struct segment *g = l->segment;
	struct stream_id above;
	struct batch_head h;
	bool new_stream = false;
	int rc = follower_peek(g->follower, batch, &h);

	if (rc == 0 && names_a_stream_twice(&h)) {
		rc = ERR_PROTOCOL;
	}
	if (rc != 0) {
		return rc == UV_ENOMEM ? rc : broken(s, "batch", rc);
	}
	for (size_t i = 0; i < h.n_streams; i++) {
		new_stream |= device_find_stream(s->device, &h.streams[i].id) ==
			      NULL;
	}
	rc = store_append(&s->c->store, g, batch, &h, &above);
	switch (rc) {
	case 0:
		deliver_note(s->c->deliver, g, s->c->store.arrival,
			     new_stream);
		collector_wake(s->c);
		return 0;
	case ERR_ABOVE:
		send_nak(s, l, &above);
		return 0;
	case ERR_LIMIT:
		session_end(s, MSG_ERROR_BUSY, 60000,
			    "this device has too many streams");
		return 0;
	default:
		return rc;
	}
}

/* A batch that should be here already. */
static int old_batch(struct session *s, struct session_lane *l,
		     struct slice batch)
{
	struct segment_entry *e = malloc(sizeof *e);
	int rc = e == NULL ? UV_ENOMEM : 1;

	while (rc == 1) {
		rc = segment_reader_next(l->replay, e);
		if (rc == 1 && e->kind == ENTRY_BATCH) {
			break;
		}
	}
	if (rc <= 0) {
		free(e);
		return rc == 0 ? ERR_DAMAGED : rc;
	}
	if (!slice_eq(e->batch, batch)) {
		free(e);
		return conflict(s, "the same index with other bytes");
	}
	rc = store_touch(&s->c->store, l->segment, &e->head);
	if (segment_reader_index(l->replay) >= l->segment->index) {
		segment_reader_close(l->replay);
		free(l->replay);
		l->replay = NULL;
	}
	free(e);
	if (rc == 0) {
		collector_wake(s->c);
	}
	return rc;
}

static int on_batch(struct session *s, struct slice payload)
{
	struct session_lane *l;
	uint8_t lane = payload.n == 0 ? LANE_NR : (uint8_t)payload.p[0];

	if (lane >= LANE_NR) {
		return broken(s, "batch", ERR_MALFORMED);
	}
	l = &s->lanes[lane];
	if (l->segment == NULL) {
		return l->discarding ? 0 : broken(s, "batch without segment",
						  ERR_PROTOCOL);
	}
	payload = slice_skip(payload, 1);
	return l->replay != NULL ? old_batch(s, l, payload)
				 : new_batch(s, l, payload);
}

/* ---- heads ---- */

static int on_head(struct session *s, struct slice payload)
{
	struct collector *c = s->c;
	struct session_head *due;
	struct segment *g;
	struct head h;
	int rc = payload.n > LIMIT_HEAD ? ERR_TOO_LARGE
					: head_verify(&h, payload, s->spki);

	if (rc != 0) {
		return broken(s, "head", rc);
	}
	g = device_find_segment(s->device, &h.segment);
	if (g != NULL && g->index == h.index &&
	    !hash32_eq(&g->hash, &h.hash)) {
		return conflict(s, "a head with another hash than the store's");
	}
	due = &s->heads[h.lane];
	rc = store_head(&c->store, s->device, g, &h, payload);
	if (rc == 0) {
		buf_clear(&due->bytes);
		rc = buf_add_slice(&due->bytes, payload);
	}
	if (rc == 0) {
		due->after = c->commits + 1;
		collector_wake(c);
	}
	return rc;
}

/* ---- ladders ---- */

static int on_ladder(struct session *s, struct slice payload)
{
	struct rung rungs[LADDER_RUNGS];
	const struct stream *st;
	struct stream_id id;
	struct buf b;
	size_t n;
	int rc = ladder_decode(&id, rungs, &n, payload);

	if (rc != 0 || n != 0) {
		return broken(s, "ladder", rc != 0 ? rc : ERR_PROTOCOL);
	}
	st = device_find_stream(s->device, &id);
	n = 0;
	if (st != NULL && st->received > 0) {
		rc = ladder_collect(&s->c->store, s->device, &id, rungs, &n);
	}
	buf_init(&b, LIMIT_FRAME);
	if (rc == 0) {
		rc = ladder_encode(&id, rungs, n, &b);
	}
	if (rc == 0) {
		send_msg(s, MSG_LADDER, &b);
	}
	buf_fini(&b);
	return rc;
}

/* ---- messages ---- */

/* 0: handled (the session may be ending); UV_ENOSPC and the like: nothing was done
 * and it has to wait; other errors end the session. */
static int handle(struct session *s, uint8_t type, struct slice payload)
{
	if (s->state == SESSION_HELLO && type != MSG_HELLO) {
		return broken(s, "a message before hello", ERR_PROTOCOL);
	}
	switch (type) {
	case MSG_HELLO:
		return s->state == SESSION_HELLO
			       ? on_hello(s, payload)
			       : broken(s, "a second hello", ERR_PROTOCOL);
	case MSG_SEGMENT:
		return on_segment(s, payload);
	case MSG_SEALED:
		return on_batch(s, payload);
	case MSG_HEAD:
		return on_head(s, payload);
	case MSG_LADDER:
		return on_ladder(s, payload);
	case MSG_PING:
	case MSG_BYE:
		return 0;
	case MSG_ERROR:
		session_move(s, SESSION_ENDING);
		drop_lanes(s);
		link_close(s->link);
		return 0;
	default:
		return broken(s, "unknown type", ERR_PROTOCOL);
	}
}

static bool is_full(int rc)
{
	return rc == UV_ENOSPC || rc == -EDQUOT || rc == UV_EFBIG;
}

/* Keeps a message until there is room on the disk. */
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
			send_msg(s, MSG_ACK, &b);
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
			send_msg(s, MSG_HEAD, &h->bytes);
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
