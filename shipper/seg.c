#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/lane.h"

/* The queue of a lane's segments, oldest first, and what each of them holds. */

const struct hash32 *seg_hash(const struct seg *s, int64_t index)
{
	return index < 0 ? &s->hash0 : &s->batches[index].hash;
}

struct seg *lane_find(struct lane_state *ln, const struct segment_id *id)
{
	for (struct seg *s = ln->first; s != NULL; s = s->next) {
		if (memcmp(&s->info.id, id, sizeof *id) == 0) {
			return s;
		}
	}
	return NULL;
}

static void seg_free(struct seg *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		free(s->batches[i].bytes);
	}
	free(s->batches);
	free(s->streams);
	free(s->header);
	sealer_free(s->sealer);
	free(s);
}

void seg_free_all(struct lane_state *ln)
{
	while (ln->first != NULL) {
		struct seg *s = ln->first;

		ln->first = s->next;
		spool_file_close(&s->file, ln->sh->sys);
		seg_free(s);
	}
	ln->last = NULL;
}

static struct seg *seg_new(struct lane_state *ln)
{
	struct seg *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->lane = ln;
	s->file = spool_file_none();
	s->sent = -1;
	s->acked = -1;
	s->headed = -2;
	s->previous_index = ln->closed_index;
	s->previous_hash = ln->closed_hash;
	s->opened_ns = sys_mono_ns(ln->sh->sys);
	s->added_ns = s->opened_ns;
	return s;
}

/* Numbers grow strictly over the life of a device; the clock keeps that true
 * when the last number was lost with the state. */
static uint64_t next_number(struct lane_state *ln)
{
	int64_t now_ms = sys_wall_ns(ln->sh->sys) / 1000000;
	uint64_t number = now_ms > 0 ? (uint64_t)now_ms : 0;

	for (int i = 0; i < QUEUE_NR; i++) {
		const struct lane_state *other = &ln->sh->lanes[i];
		/* Numbers that follow each other are of one queue: their heads
		 * name the segment before. */
		uint64_t least = other->last_number + (other == ln ? 1 : 2);

		if (other->lane == ln->lane && other->last_number > 0 &&
		    number < least) {
			number = least;
		}
	}
	ln->last_number = number;
	return number;
}

static void insert_last(struct lane_state *ln, struct seg *s)
{
	if (ln->last == NULL) {
		ln->first = s;
	} else {
		ln->last->next = s;
	}
	ln->last = s;
}

/* Spool files sort by order; a gap that takes a segment's place stands just
 * before it. */
enum { ORDER_STEP = 16 };

struct seg *seg_begin(struct lane_state *ln)
{
	struct seg *s = seg_new(ln);

	if (s != NULL) {
		s->info.lane = ln->lane;
		s->info.number = next_number(ln);
		s->order = s->info.number * ORDER_STEP;
		insert_last(ln, s);
	}
	return s;
}

struct seg *seg_begin_before(struct lane_state *ln, struct seg *after,
			     uint64_t order)
{
	struct seg *s = seg_new(ln);
	struct seg **link = &ln->first;

	if (s == NULL) {
		return NULL;
	}
	while (*link != after) {
		link = &(*link)->next;
	}
	s->info.lane = ln->lane;
	s->info.number = next_number(ln);
	s->order = order;
	s->next = after;
	*link = s;
	if (after == NULL) {
		ln->last = s;
	}
	return s;
}

void lane_drop_seg(struct lane_state *ln, struct seg *seg)
{
	struct shipper *sh = ln->sh;
	struct seg **link = &ln->first;
	struct seg *before = NULL;

	while (*link != seg) {
		before = *link;
		link = &before->next;
	}
	*link = seg->next;
	if (ln->last == seg) {
		ln->last = before;
	}
	sh->memory -= seg->memory;
	sh->spool_bytes -= seg->counted;
	if (seg->file.path != NULL) {
		spool_file_remove(&seg->file, sh->sys);
	}
	client_forget(sh->client, seg);
	seg_free(seg);
}

void lane_note_durable(struct lane_state *ln, const struct msg_stream *w)
{
	for (struct seg *s = ln->first; s != NULL; s = s->next) {
		for (size_t i = 0; i < s->n_streams; i++) {
			struct seg_stream *t = &s->streams[i];

			if (memcmp(&t->id, &w->id, sizeof t->id) == 0 &&
			    w->durable > t->durable) {
				t->durable = w->durable < t->end ? w->durable
								 : t->end;
			}
		}
	}
}

static bool is_held(const struct lane_state *ln, const struct seg *s)
{
	for (size_t i = 0; i < s->n_streams; i++) {
		if (s->streams[i].held < s->streams[i].end) {
			return false;
		}
	}
	return s->n > 0 && !(lane_busy(ln) && ln->job.seg == s) &&
	       ln->gap_before != s && ln->abandon != s && !lane_owes(ln, s);
}

void lane_note_held(struct lane_state *ln)
{
	for (struct seg *s = ln->first, *next; s != NULL; s = next) {
		next = s->next;
		for (size_t i = 0; i < s->n_streams; i++) {
			s->streams[i].held = s->streams[i].durable;
			s->streams[i].durable = 0;
		}
		if (is_held(ln, s)) {
			/* The open one is the last. */
			if (!s->closed) {
				lane_close_segment(ln);
			}
			lane_drop_seg(ln, s);
		}
	}
}

static int seg_room(struct seg *s)
{
	uint32_t room = s->room == 0 ? 8 : s->room * 2;
	struct seg_batch *p;

	if (s->n < s->room) {
		return 0;
	}
	p = realloc(s->batches, room * sizeof *p);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	s->batches = p;
	s->room = room;
	return 0;
}

static int note_stream(struct seg *s, const struct batch_stream *b)
{
	struct seg_stream *p;

	s->records += b->count;
	for (size_t i = 0; i < s->n_streams; i++) {
		p = &s->streams[i];
		if (memcmp(&p->id, &b->id, sizeof b->id) == 0) {
			p->end = b->end;
			p->h = b->h;
			return 0;
		}
	}
	if (s->n_streams == s->streams_room) {
		size_t room = s->streams_room == 0 ? 4 : s->streams_room * 2;

		p = realloc(s->streams, room * sizeof *p);
		if (p == NULL) {
			return UV_ENOMEM;
		}
		s->streams = p;
		s->streams_room = room;
	}
	s->streams[s->n_streams++] =
		(struct seg_stream){.id = b->id, .start = b->start, .end = b->end,
				    .h = b->h};
	return 0;
}

int seg_adopt_batch(struct seg *s, struct spool_place place,
		    const struct batch_head *head)
{
	int rc = seg_room(s);

	for (size_t i = 0; i < head->n_streams && rc == 0; i++) {
		rc = note_stream(s, &head->streams[i]);
	}
	if (rc == 0) {
		s->batches[s->n++] = (struct seg_batch){
			NULL, place.len, place, head->hash};
		s->decoded += head->decoded;
	}
	return rc;
}

/* Takes a sealed batch: its bytes are copied unless they stand in the file. */
int seg_take_batch(struct seg *s, const struct job *job)
{
	char *bytes = NULL;
	int rc;

	if (!job->to_file) {
		bytes = malloc(job->out.n);
		if (bytes == NULL) {
			return UV_ENOMEM;
		}
		memcpy(bytes, job->out.p, job->out.n);
	}
	rc = seg_adopt_batch(s, job->place, &job->head);
	if (rc != 0) {
		free(bytes);
		return rc;
	}
	s->batches[s->n - 1].bytes = bytes;
	s->batches[s->n - 1].len = (uint32_t)job->out.n;
	s->added_ns = sys_mono_ns(s->lane->sh->sys);
	if (bytes != NULL) {
		s->memory += job->out.n;
		s->lane->sh->memory += job->out.n;
	}
	return 0;
}

int seg_bytes(struct seg *s, uint32_t index, struct buf *scratch,
	      struct slice *out)
{
	const struct seg_batch *b = &s->batches[index];
	int rc;

	if (b->bytes != NULL) {
		*out = slice(b->bytes, b->len);
		return 0;
	}
	rc = spool_file_read(&s->file, s->lane->sh->sys, b->place, scratch);
	*out = buf_slice(scratch);
	return rc;
}

int seg_set_header(struct seg *s, struct slice header)
{
	s->header = malloc(header.n);
	if (s->header == NULL) {
		return UV_ENOMEM;
	}
	memcpy(s->header, header.p, header.n);
	s->header_len = header.n;
	return 0;
}

struct seg *lane_adopt(struct lane_state *ln, const struct spool_found *found)
{
	struct seg *s = seg_new(ln);
	struct follower *f = NULL;

	if (s == NULL) {
		return NULL;
	}
	s->file.path = strdup(found->path);
	if (s->file.path == NULL || follower_new(&f, found->header) != 0 ||
	    seg_set_header(s, found->header) != 0) {
		follower_free(f);
		free(s->file.path);
		seg_free(s);
		return NULL;
	}
	s->hash0 = follower_hash(f);
	follower_free(f);
	s->info = *found->info;
	s->order = found->order;
	s->closed = true; /* A segment never outlives its process. */
	s->recovered = true;
	s->previous_index = -1;
	if (s->info.number > ln->last_number) {
		ln->last_number = s->info.number;
	}
	insert_last(ln, s);
	return s;
}
