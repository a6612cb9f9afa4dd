/* session_segment: segments, batches and heads of a session that is open. */
#include <stdlib.h>

#include "collector/deliver.h"
#include "collector/session.h"
#include "common/err.h"
#include "common/log.h"

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
	if (rc <= ERR_FULL) {
		/* Damage: whoever still has the segment brings it whole. */
		log_error("a stored segment is damaged from its beginning: it is "
			  "set aside and taken anew",
			  "device=%s lane=%s number=%llu error=\"%s\"",
			  s->name, lane_name(info->lane),
			  (unsigned long long)info->number, err_str(rc));
		rc = store_segment_set_aside(&s->c->store, s->device, &name);
		rc = rc == 0 ? UV_ENOENT : rc;
	}
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

int session_on_segment(struct session *s, struct slice payload)
{
	const struct segment_info *info;
	struct segment_msg m;
	struct follower *f = NULL;
	int rc = segment_msg_decode(&m, payload);

	if (rc == 0) {
		rc = follower_new(&f, m.header);
	}
	if (rc != 0) {
		return session_broken(s, "segment", rc);
	}
	info = follower_info(f);
	rc = check_info(s, info, &m);
	if (rc != 0) {
		rc = session_broken(s, "segment header", rc);
		goto out;
	}
	if (device_is_crowded(s->device)) {
		rc = ERR_AGAIN;
		goto out;
	}
	session_drop_lane(s, &s->lanes[m.lane]);
	rc = open_segment(s, &s->lanes[m.lane], info, &m);
	if (rc == ERR_CONFLICT) {
		rc = conflict(s, "the same segment and index with another "
				 "hash");
	} else if (rc == ERR_NOT_OURS) {
		rc = session_broken(s, "resumes behind what is stored", rc);
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
	session_drop_lane(s, l);
	l->discarding = true;
	buf_init(&b, 1024);
	if (nak_encode(&n, &b) == 0) {
		session_send(s, MSG_NAK, &b);
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
		return rc == UV_ENOMEM ? rc : session_broken(s, "batch", rc);
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

int session_on_batch(struct session *s, struct slice payload)
{
	struct session_lane *l;
	uint8_t lane = payload.n == 0 ? LANE_NR : (uint8_t)payload.p[0];

	if (lane >= LANE_NR) {
		return session_broken(s, "batch", ERR_MALFORMED);
	}
	l = &s->lanes[lane];
	if (l->segment == NULL) {
		return l->discarding ? 0 : session_broken(s, "batch without segment",
						  ERR_PROTOCOL);
	}
	payload = slice_skip(payload, 1);
	return l->replay != NULL ? old_batch(s, l, payload)
				 : new_batch(s, l, payload);
}

/* ---- heads ---- */

int session_on_head(struct session *s, struct slice payload)
{
	struct collector *c = s->c;
	struct session_head *due;
	struct segment *g;
	struct head h;
	int rc = payload.n > LIMIT_HEAD ? ERR_TOO_LARGE
					: head_verify(&h, payload, s->spki);

	if (rc != 0) {
		return session_broken(s, "head", rc);
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

int session_on_ladder(struct session *s, struct slice payload)
{
	struct rung rungs[LADDER_RUNGS];
	const struct stream *st;
	struct stream_id id;
	struct buf b;
	size_t n;
	int rc = ladder_decode(&id, rungs, &n, payload);

	if (rc != 0 || n != 0) {
		return session_broken(s, "ladder", rc != 0 ? rc : ERR_PROTOCOL);
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
		session_send(s, MSG_LADDER, &b);
	}
	buf_fini(&b);
	return rc;
}
