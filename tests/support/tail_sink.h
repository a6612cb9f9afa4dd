/* tail_sink: what stands behind a tail in tests: cuts lines, holds them until
 * they are acknowledged, stores them by the collector's rules (one watermark per
 * stream, what is below it is trimmed, a hole is an error), and keeps the last
 * checkpoint.
 */
#ifndef TESTS_SUPPORT_TAIL_SINK_H
#define TESTS_SUPPORT_TAIL_SINK_H

#include "sources/tail.h"
#include "tests/support/world.h"

struct sink_row {
	struct stream_id id;
	uint64_t start, end, h;
	uint32_t flags;
	char *text;
	size_t n;
};

struct sink_stream {
	struct stream_id id;
	uint64_t w, h;
	bool fork;
	bool named; /* in the table that a restart finds */
};

struct sink {
	struct world *world;
	struct sources_options *options;
	struct tail *tail;
	struct buf table; /* the last checkpoint */
	bool forgets; /* the tail's table is too small */
	bool hello; /* the collector tells its watermarks at the start */
	int64_t begun_ns; /* as for tail_begun() */
	int64_t look_back_ns; /* the table is lost: as for tail_look_back(); 0: it is not */
	struct sink_stream streams[2048];
	size_t n_streams;
	struct sink_row *pending, *stored;
	size_t n_pending, room_pending, n_stored, room_stored;
	size_t room; /* rows that may be pending; then it is full */
	/* Called whenever a stream is opened, before any of it is read. */
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;
	unsigned opened, closed, gaps, forks, truncated, verified, blind;
	int answer;
	const char *gap_reason;
	uint64_t gap_from;
};

static const unsigned char sink_secret[STREAM_SECRET] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 201, 202, 203, 204,
};

static inline struct sink_stream *sink_find(struct sink *k,
					    const struct stream_id *id)
{
	for (size_t i = 0; i < k->n_streams; i++) {
		if (stream_id_eq(&k->streams[i].id, id)) {
			return &k->streams[i];
		}
	}
	assert(k->n_streams < 2048);
	k->streams[k->n_streams] = (struct sink_stream){.id = *id};
	return &k->streams[k->n_streams++];
}

static inline void sink_checkpoint(struct sink *k)
{
	struct stream_state *states;
	size_t n;

	if (tail_states(k->tail, &states, &n) != 0) {
		abort();
	}
	buf_clear(&k->table);
	if (stream_table_encode(states, n, &k->table) != 0) {
		abort();
	}
	stream_states_free(states, n);
}

static inline void sink_opened(void *arg, struct stream *s)
{
	struct sink *k = arg;
	struct sink_stream *ss = sink_find(k, &s->st.id);

	k->opened++;
	if (s->st.fork) {
		k->forks += !ss->fork;
		ss->fork = true;
	}
	if (ss->w < s->st.start) {
		ss->w = s->st.start; /* The gap record [0, start). */
	}
	sink_checkpoint(k);
	if (k->meanwhile != NULL) {
		k->meanwhile(k->meanwhile_arg);
	}
}

static inline void sink_row_add(struct sink_row **rows, size_t *n,
				size_t *room, struct sink_row row)
{
	if (*n == *room) {
		*room = *room * 2 + 64;
		*rows = realloc(*rows, *room * sizeof **rows);
	}
	(*rows)[(*n)++] = row;
}

static inline size_t sink_chunk(void *arg, struct stream *s,
				struct slice data, unsigned flags)
{
	struct sink *k = arg;
	struct slice rest = data;
	struct line line;
	struct lines before = s->lines;
	struct slice rest_before = rest;

	while (lines_next(&s->lines, &rest, (flags & TAIL_FINAL) != 0, &line)) {
		struct sink_row row = {.id = s->st.id, .start = line.start,
				       .end = line.end, .flags = line.flags};

		if (k->n_pending >= k->room) {
			s->lines = before;
			rest = rest_before;
			break;
		}
		row.h = stream_hash_at(s, line.end);
		row.n = line.text.n;
		row.text = malloc(row.n + 1);
		if (row.n > 0) {
			memcpy(row.text, line.text.p, row.n);
		}
		row.text[row.n] = '\0';
		sink_row_add(&k->pending, &k->n_pending, &k->room_pending, row);
		before = s->lines;
		rest_before = rest;
	}
	return data.n - rest.n;
}

static inline void sink_closed(void *arg, struct stream *s,
			       enum tail_close why)
{
	struct sink *k = arg;

	(void)s;
	k->closed++;
	k->truncated += why == TAIL_TRUNCATED;
}

static inline void sink_gap(void *arg, const struct stream_state *st,
			    uint64_t from, const char *reason)
{
	struct sink *k = arg;

	(void)st;
	k->gaps++;
	k->gap_from = from;
	k->gap_reason = reason;
}

static inline void sink_verified(void *arg, const struct stream_id *id,
				 uint64_t position, int answer)
{
	struct sink *k = arg;

	(void)id;
	(void)position;
	k->verified++;
	k->answer = answer;
}

static inline void sink_blind(void *arg, struct slice subject, struct slice detail)
{
	struct sink *k = arg;

	assert(subject.n > 0 && detail.n > 0);
	k->blind++;
}

static const struct tail_callbacks sink_callbacks = {
	.opened = sink_opened, .chunk = sink_chunk, .closed = sink_closed,
	.gap = sink_gap, .verified = sink_verified, .blind = sink_blind,
};

/* As the handshake finds it: what the collector has under this id is not what
 * stands in the file.  The stream is given up, and the file read as a fork. */
static inline void sink_disagree(struct sink *k, struct stream_id id)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_pending; i++) {
		if (stream_id_eq(&k->pending[i].id, &id)) {
			free(k->pending[i].text);
		} else {
			k->pending[n++] = k->pending[i];
		}
	}
	k->n_pending = n;
	if (tail_fork(k->tail, &id, 0) != 0) {
		abort();
	}
}

static inline bool sink_agrees(struct sink *k, const struct sink_row *row)
{
	struct sink_stream *ss = sink_find(k, &row->id);

	if (row->start >= ss->w || ss->h == 0) {
		return true;
	}
	/* The collector's ladder, at its densest. */
	for (size_t i = 0; i < k->n_stored; i++) {
		const struct sink_row *old = &k->stored[i];

		if (old->end == row->end && stream_id_eq(&old->id, &row->id)) {
			return old->h == row->h;
		}
	}
	return false;
}

static inline void sink_ack(struct sink *k, size_t n)
{
	for (size_t i = 0; i < k->n_pending; i++) {
		if (!sink_agrees(k, &k->pending[i])) {
			sink_disagree(k, k->pending[i].id);
			i = (size_t)-1; /* From the front again. */
		}
	}
	n = n < k->n_pending ? n : k->n_pending;
	for (size_t i = 0; i < n; i++) {
		int rc;
		struct sink_row row = k->pending[i];
		struct sink_stream *ss = sink_find(k, &row.id);

		if (!ss->named) {
			/* Nothing is sent of a stream that the table does not name. */
			sink_checkpoint(k);
			ss->named = true;
		}
		if (row.end > ss->w || (row.end == row.start)) {
			if (row.start != ss->w) {
				printf("stream w=%llu row=[%llu,%llu)\n",
				       (unsigned long long)ss->w,
				       (unsigned long long)row.start,
				       (unsigned long long)row.end);
				abort(); /* A hole, or a straddling record. */
			}
			ss->w = row.end;
			ss->h = row.h;
			sink_row_add(&k->stored, &k->n_stored,
				     &k->room_stored, row);
		} else {
			free(row.text);
		}
		rc = tail_watermark(k->tail, &row.id, row.end, row.h);
		if (rc != 0 && !(k->forgets && rc == UV_ENOENT)) {
			fprintf(stderr, "watermark %llu refused: %s\n",
				(unsigned long long)row.end, err_str(rc));
			abort();
		}
		tail_detected(k->tail, &row.id, row.end);
	}
	if (n > 0) {
		memmove(k->pending, k->pending + n,
			(k->n_pending - n) * sizeof k->pending[0]);
	}
	k->n_pending -= n;
	tail_resume(k->tail);
}

static inline void sink_ack_all(struct sink *k)
{
	sink_ack(k, k->n_pending);
}

static inline void sink_drop_pending(struct sink *k)
{
	for (size_t i = 0; i < k->n_pending; i++) {
		free(k->pending[i].text);
	}
	k->n_pending = 0;
}

/* 0 or the error of tail_new(). */
static inline int sink_try_start(struct sink *k)
{
	struct stream_state *states;
	size_t n;
	int rc = tail_new(&k->tail, &k->world->sys, k->options, sink_secret,
			  &sink_callbacks, k);

	if (rc != 0) {
		return rc;
	}
	if (k->table.n > 0) {
		rc = stream_table_decode(buf_slice(&k->table), &states, &n);
		for (size_t i = 0; rc == 0 && k->hello && i < n; i++) {
			states[i].unsent = sink_find(k, &states[i].id)->w ==
					   states[i].start;
		}
		if (rc == 0) {
			rc = tail_restore(k->tail, states, n);
		}
		if (rc != 0) {
			fprintf(stderr, "the checkpoint: %s\n", err_str(rc));
			abort();
		}
		stream_states_free(states, n);
	}
	for (size_t i = 0; i < k->n_streams && k->hello; i++) {
		struct stream_state st = {.id = k->streams[i].id,
					  .acked = k->streams[i].w,
					  .position = k->streams[i].w,
					  .detect = k->streams[i].w,
					  .h = k->streams[i].h};

		/* The gap record of a fork has no H. */
		if (st.h != 0 && tail_restore(k->tail, &st, 1) != 0) {
			abort();
		}
	}
	tail_begun(k->tail, k->begun_ns);
	if (k->look_back_ns != 0) {
		tail_look_back(k->tail, k->look_back_ns);
	}
	return tail_start(k->tail);
}

static inline void sink_start(struct sink *k)
{
	int rc = sink_try_start(k);

	assert(rc == 0);
	(void)rc;
}

/* As if the process was killed. */
static inline void sink_crash(struct sink *k)
{
	tail_free(k->tail);
	k->tail = NULL;
	sink_drop_pending(k);
}

static inline void sink_init(struct sink *k, struct world *w,
			     struct sources_options *o)
{
	*k = (struct sink){.world = w, .options = o, .room = SIZE_MAX};
	buf_init(&k->table, 64 * 1024 * 1024);
}

static inline void sink_fini(struct sink *k)
{
	sink_crash(k);
	for (size_t i = 0; i < k->n_stored; i++) {
		free(k->stored[i].text);
	}
	free(k->pending);
	free(k->stored);
	buf_fini(&k->table);
}

/* How often a line was stored; *flagged: one of them in a forked stream. */
static inline unsigned sink_count(struct sink *k, const char *text,
				  bool *flagged)
{
	unsigned n = 0;

	*flagged = false;
	for (size_t i = 0; i < k->n_stored; i++) {
		if (strcmp(k->stored[i].text, text) == 0) {
			n++;
			*flagged |= sink_find(k, &k->stored[i].id)->fork;
		}
	}
	return n;
}

#endif
