#include "wire/msg.h"

#include "common/err.h"

enum {
	TEXT_MAX = 256,   /* software name */
	ERROR_TEXT_MAX = 1024,
	HEAD_MAX = 512,   /* a signed head */
	WINDOW_LOG_MIN = 10,
	WINDOW_LOG_MAX = 27,
	/* The shortest encodings, so that a count can be held against the bytes
	 * that are there. */
	STREAM_MIN = 16 + 2 + 16,
	SEGMENT_MIN = 16 + 1 + 32,
};

/* What a decoder says at its end: everything has to be used up. */
static int finish(const struct reader *r)
{
	if (reader_ok(r)) {
		return reader_done(r) ? 0 : ERR_MALFORMED;
	}
	return r->p == r->end ? ERR_TRUNCATED : ERR_MALFORMED;
}

/* ---- lists: entries one after another; their number is not written ---- */

int msg_add_stream(struct buf *list, const struct msg_stream *s)
{
	size_t was = list->n;
	int rc;

	if (s->durable > s->received) {
		return UV_EINVAL;
	}
	if ((rc = buf_add(list, s->id.b, sizeof s->id.b)) != 0 ||
	    (rc = buf_add_varint(list, s->received)) != 0 ||
	    (rc = buf_add_varint(list, s->received - s->durable)) != 0 ||
	    (rc = buf_add_u64(list, s->h_received)) != 0 ||
	    (rc = buf_add_u64(list, s->h_durable)) != 0) {
		list->n = was;
	}
	return rc;
}

int msg_add_segment(struct buf *list, const struct msg_segment *s)
{
	size_t was = list->n;
	int rc;

	if (s->index < -1 || s->index >= LIMIT_SEGMENT_BATCHES) {
		return UV_EINVAL;
	}
	if ((rc = buf_add(list, s->id.b, sizeof s->id.b)) != 0 ||
	    (rc = buf_add_varint(list, (uint64_t)(s->index + 1))) != 0 ||
	    (rc = buf_add(list, s->hash.b, sizeof s->hash.b)) != 0) {
		list->n = was;
	}
	return rc;
}

static void read_stream(struct reader *r, struct msg_stream *out)
{
	uint64_t open;

	reader_copy(r, out->id.b, sizeof out->id.b);
	out->received = reader_varint(r);
	open = reader_varint_max(r, out->received);
	out->durable = out->received - open;
	out->h_received = reader_u64(r);
	out->h_durable = reader_u64(r);
}

static void read_segment(struct reader *r, struct msg_segment *out)
{
	reader_copy(r, out->id.b, sizeof out->id.b);
	out->index = (int64_t)reader_varint_max(r, LIMIT_SEGMENT_BATCHES) - 1;
	reader_copy(r, out->hash.b, sizeof out->hash.b);
}

/* Moves *list behind what r has read of it. */
static int step(struct slice *list, const struct reader *r)
{
	if (!reader_ok(r)) {
		return r->p == r->end ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	*list = slice(r->p, reader_left(r));
	return 1;
}

int msg_streams_next(struct slice *list, struct msg_stream *out)
{
	struct reader r = reader(*list);

	if (list->n == 0) {
		return 0;
	}
	read_stream(&r, out);
	return step(list, &r);
}

int msg_segments_next(struct slice *list, struct msg_segment *out)
{
	struct reader r = reader(*list);

	if (list->n == 0) {
		return 0;
	}
	read_segment(&r, out);
	return step(list, &r);
}

/* A whole list is looked through when its message is decoded, so that whoever
 * walks it later meets no error half-way. */
static int check_streams(struct slice list)
{
	struct msg_stream s;
	size_t n = 0;
	int rc;

	if (list.n / STREAM_MIN > LIMIT_HELLO_STREAMS) {
		return ERR_TOO_LARGE;
	}
	while ((rc = msg_streams_next(&list, &s)) > 0) {
		if (++n > LIMIT_HELLO_STREAMS) {
			return ERR_TOO_LARGE;
		}
	}
	return rc;
}

static int check_segments(struct slice list)
{
	struct msg_segment s;
	size_t n = 0;
	int rc;

	if (list.n / SEGMENT_MIN > LIMIT_HELLO_SEGMENTS) {
		return ERR_TOO_LARGE;
	}
	while ((rc = msg_segments_next(&list, &s)) > 0) {
		if (++n > LIMIT_HELLO_SEGMENTS) {
			return ERR_TOO_LARGE;
		}
	}
	return rc;
}

static int check_lists(struct slice segments, struct slice streams)
{
	int rc = check_segments(segments);

	return rc != 0 ? rc : check_streams(streams);
}

static int add_blob(struct buf *out, struct slice s)
{
	int rc = buf_add_varint(out, s.n);

	return rc != 0 ? rc : buf_add_slice(out, s);
}

/* Gives back what an encoder that failed half-way has written. */
static int undo(struct buf *out, size_t was, int rc)
{
	if (rc != 0) {
		out->n = was;
	}
	return rc;
}

/* ---- hello, welcome ---- */

int hello_encode(const struct hello *h, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if (h->software.n > TEXT_MAX || h->acked_head.n > HEAD_MAX) {
		return ERR_TOO_LARGE;
	}
	if (h->store_id.n != 0 && h->store_id.n != 16) {
		return UV_EINVAL;
	}
	if ((rc = check_lists(h->segments, h->streams)) != 0 ||
	    (rc = buf_add_u8(out, h->version_min)) != 0 ||
	    (rc = buf_add_u8(out, h->version_max)) != 0 ||
	    (rc = buf_add(out, h->instance, sizeof h->instance)) != 0 ||
	    (rc = buf_add(out, h->boot, sizeof h->boot)) != 0 ||
	    (rc = buf_add(out, h->machine, sizeof h->machine)) != 0 ||
	    (rc = buf_add_varint(out, zigzag(h->time_ms))) != 0 ||
	    (rc = add_blob(out, h->software)) != 0 ||
	    (rc = add_blob(out, h->store_id)) != 0 ||
	    (rc = add_blob(out, h->acked_head)) != 0 ||
	    (rc = add_blob(out, h->segments)) != 0) {
		return undo(out, was, rc);
	}
	return undo(out, was, add_blob(out, h->streams));
}

/* The versions come first and never move: an end that knows neither can still
 * say so. */
int hello_decode(struct hello *h, struct slice payload)
{
	struct reader r = reader(payload);
	int rc;

	memset(h, 0, sizeof *h);
	h->version_min = reader_u8(&r);
	h->version_max = reader_u8(&r);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (h->version_min > h->version_max) {
		return ERR_MALFORMED;
	}
	if (h->version_min > PROTOCOL_VERSION ||
	    h->version_max < PROTOCOL_VERSION_MIN) {
		return ERR_VERSION;
	}
	reader_copy(&r, h->instance, sizeof h->instance);
	reader_copy(&r, h->boot, sizeof h->boot);
	reader_copy(&r, h->machine, sizeof h->machine);
	h->time_ms = unzigzag(reader_varint(&r));
	h->software = reader_blob(&r, TEXT_MAX);
	h->store_id = reader_blob(&r, 16);
	h->acked_head = reader_blob(&r, HEAD_MAX);
	h->segments = reader_blob(&r, LIMIT_FRAME);
	h->streams = reader_blob(&r, LIMIT_FRAME);
	rc = finish(&r);
	if (rc == 0 && h->store_id.n != 0 && h->store_id.n != 16) {
		rc = ERR_MALFORMED;
	}
	return rc != 0 ? rc : check_lists(h->segments, h->streams);
}

static bool welcome_good(const struct welcome *w)
{
	return w->n_keys >= 1 && w->n_keys <= LIMIT_RECIPIENTS &&
	       w->window_log >= WINDOW_LOG_MIN &&
	       w->window_log <= WINDOW_LOG_MAX && w->max_frame > 0 &&
	       w->max_frame <= LIMIT_FRAME && w->max_segment_decoded > 0;
}

int welcome_encode(const struct welcome *w, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if (!welcome_good(w)) {
		return UV_EINVAL;
	}
	if ((rc = check_lists(w->segments, w->streams)) != 0 ||
	    (rc = buf_add_u8(out, w->version)) != 0 ||
	    (rc = buf_add(out, w->store_id, sizeof w->store_id)) != 0 ||
	    (rc = buf_add_varint(out, zigzag(w->time_ms))) != 0 ||
	    (rc = buf_add_u8(out, w->window_log)) != 0 ||
	    (rc = buf_add_varint(out, w->max_segment_decoded)) != 0 ||
	    (rc = buf_add_varint(out, w->max_frame)) != 0 ||
	    (rc = buf_add_u8(out, (uint8_t)w->n_keys)) != 0) {
		return undo(out, was, rc);
	}
	for (size_t i = 0; i < w->n_keys && rc == 0; i++) {
		rc = buf_add(out, w->keys[i].public_key,
			     sizeof w->keys[i].public_key);
	}
	if (rc == 0) {
		rc = add_blob(out, w->segments);
	}
	if (rc == 0) {
		rc = add_blob(out, w->streams);
	}
	return undo(out, was, rc);
}

/* Key ids are computed, not sent: an id that does not belong to its key can't
 * be told. */
static int read_keys(struct reader *r, struct welcome *w)
{
	uint8_t n = reader_u8(r);

	if (n > LIMIT_RECIPIENTS) {
		return ERR_MALFORMED;
	}
	w->n_keys = n;
	for (size_t i = 0; i < n; i++) {
		struct seal_key *k = &w->keys[i];
		const struct slice pub = slice(k->public_key,
					       sizeof k->public_key);
		struct hash32 hash;
		int rc;

		reader_copy(r, k->public_key, sizeof k->public_key);
		rc = hash32_of(&hash, &pub, 1);
		if (rc != 0) {
			return rc;
		}
		memcpy(k->id, hash.b, sizeof k->id);
	}
	return 0;
}

int welcome_decode(struct welcome *w, struct slice payload)
{
	struct reader r = reader(payload);
	int rc;

	memset(w, 0, sizeof *w);
	w->version = reader_u8(&r);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (w->version < PROTOCOL_VERSION_MIN || w->version > PROTOCOL_VERSION) {
		return ERR_VERSION;
	}
	reader_copy(&r, w->store_id, sizeof w->store_id);
	w->time_ms = unzigzag(reader_varint(&r));
	w->window_log = reader_u8(&r);
	w->max_segment_decoded = (uint32_t)reader_varint_max(&r, UINT32_MAX);
	w->max_frame = (uint32_t)reader_varint_max(&r, UINT32_MAX);
	rc = read_keys(&r, w);
	if (rc != 0) {
		return rc;
	}
	w->segments = reader_blob(&r, LIMIT_FRAME);
	w->streams = reader_blob(&r, LIMIT_FRAME);
	rc = finish(&r);
	if (rc == 0 && !welcome_good(w)) {
		rc = ERR_MALFORMED;
	}
	return rc != 0 ? rc : check_lists(w->segments, w->streams);
}

/* ---- the others ---- */

int segment_msg_encode(const struct segment_msg *m, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if (m->header.n > LIMIT_SEGMENT_HEADER) {
		return ERR_TOO_LARGE;
	}
	if ((unsigned)m->lane >= LANE_NR || m->after < -1 ||
	    m->after >= LIMIT_SEGMENT_BATCHES) {
		return UV_EINVAL;
	}
	if ((rc = buf_add_u8(out, (uint8_t)m->lane)) != 0 ||
	    (rc = buf_add_varint(out, (uint64_t)(m->after + 1))) != 0 ||
	    (rc = buf_add(out, m->hash.b, sizeof m->hash.b)) != 0) {
		return undo(out, was, rc);
	}
	return undo(out, was, add_blob(out, m->header));
}

int segment_msg_decode(struct segment_msg *m, struct slice payload)
{
	struct reader r = reader(payload);
	uint8_t lane = reader_u8(&r);
	int rc;

	memset(m, 0, sizeof *m);
	m->after = (int64_t)reader_varint_max(&r, LIMIT_SEGMENT_BATCHES) - 1;
	reader_copy(&r, m->hash.b, sizeof m->hash.b);
	m->header = reader_blob(&r, LIMIT_SEGMENT_HEADER);
	rc = finish(&r);
	if (rc == 0 && lane >= LANE_NR) {
		rc = ERR_MALFORMED;
	}
	m->lane = rc == 0 ? (enum lane)lane : LANE_FILE;
	return rc;
}

int ack_encode(const struct ack *a, struct buf *out)
{
	size_t was = out->n;
	int rc = check_lists(a->segments, a->streams);

	if (rc == 0) {
		rc = add_blob(out, a->segments);
	}
	if (rc == 0) {
		rc = add_blob(out, a->streams);
	}
	return undo(out, was, rc);
}

int ack_decode(struct ack *a, struct slice payload)
{
	struct reader r = reader(payload);
	int rc;

	a->segments = reader_blob(&r, LIMIT_FRAME);
	a->streams = reader_blob(&r, LIMIT_FRAME);
	rc = finish(&r);
	return rc != 0 ? rc : check_lists(a->segments, a->streams);
}

int nak_encode(const struct nak *n, struct buf *out)
{
	size_t was = out->n;
	int rc = buf_add(out, n->segment.b, sizeof n->segment.b);

	if (rc == 0) {
		rc = msg_add_stream(out, &n->stream);
	}
	return undo(out, was, rc);
}

int nak_decode(struct nak *n, struct slice payload)
{
	struct reader r = reader(payload);

	reader_copy(&r, n->segment.b, sizeof n->segment.b);
	read_stream(&r, &n->stream);
	return finish(&r);
}

int error_msg_encode(const struct error_msg *e, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if (e->text.n > ERROR_TEXT_MAX) {
		return ERR_TOO_LARGE;
	}
	if ((rc = buf_add_u16(out, e->code)) != 0 ||
	    (rc = buf_add_u32(out, e->retry_after_ms)) != 0) {
		return undo(out, was, rc);
	}
	return undo(out, was, add_blob(out, e->text));
}

int error_msg_decode(struct error_msg *e, struct slice payload)
{
	struct reader r = reader(payload);

	e->code = reader_u16(&r);
	e->retry_after_ms = reader_u32(&r);
	e->text = reader_blob(&r, ERROR_TEXT_MAX);
	return finish(&r);
}

int ladder_encode(const struct stream_id *id, const struct rung *rungs,
		  size_t n, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if (n > LADDER_RUNGS) {
		return ERR_TOO_LARGE;
	}
	if ((rc = buf_add(out, id->b, sizeof id->b)) != 0 ||
	    (rc = buf_add_u8(out, (uint8_t)n)) != 0) {
		return undo(out, was, rc);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (i > 0 && rungs[i].position >= rungs[i - 1].position) {
			rc = UV_EINVAL;
		} else if ((rc = buf_add_varint(out, rungs[i].position)) == 0) {
			rc = buf_add_u64(out, rungs[i].h);
		}
	}
	return undo(out, was, rc);
}

int ladder_decode(struct stream_id *id, struct rung rungs[static LADDER_RUNGS],
		  size_t *n, struct slice payload)
{
	struct reader r = reader(payload);
	uint8_t count;

	*n = 0;
	reader_copy(&r, id->b, sizeof id->b);
	count = reader_u8(&r);
	if (count > LADDER_RUNGS) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < count; i++) {
		rungs[i].position = reader_varint(&r);
		rungs[i].h = reader_u64(&r);
		if (reader_ok(&r) && i > 0 &&
		    rungs[i].position >= rungs[i - 1].position) {
			return ERR_MALFORMED;
		}
	}
	if (finish(&r) == 0) {
		*n = count;
	}
	return finish(&r);
}
