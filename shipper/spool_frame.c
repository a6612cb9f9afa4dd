#include "shipper/spool_frame.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "common/reader.h"

static const char mark[4] = {'N', 'J', '\xf5', '\xae'};

static uint64_t sum_of(struct slice s)
{
	return XXH64(s.p, s.n, 0);
}

int spool_frame_add(struct buf *out, enum frame_type type, struct slice note,
	      struct slice body)
{
	size_t at = out->n;
	int rc = buf_reserve(out, FRAME_HEAD + note.n + FRAME_SUM + body.n +
					  FRAME_TAIL);

	if (rc != 0) {
		return rc;
	}
	/* There is room: none of these can fail. */
	buf_add(out, mark, sizeof mark);
	buf_add_u8(out, (uint8_t)type);
	buf_add_u16(out, (uint16_t)note.n);
	buf_add_u32(out, (uint32_t)body.n);
	buf_add_slice(out, note);
	buf_add_u64(out, sum_of(slice(out->p + at, out->n - at)));
	buf_add_slice(out, body);
	buf_add_u32(out, (uint32_t)body.n);
	buf_add_u64(out, sum_of(body));
	return 0;
}

bool spool_frame_sum_holds(struct slice body, const uint8_t tail[static FRAME_TAIL])
{
	struct reader r = reader(slice((const char *)tail, FRAME_TAIL));

	return reader_u32(&r) == body.n && reader_u64(&r) == sum_of(body);
}

static size_t body_max(enum frame_type type)
{
	return type == FRAME_HEADER ? LIMIT_SEGMENT_HEADER : LIMIT_BATCH_SEALED;
}

/* A whole head at `at`; *body_n is how long the body behind it is. */
static bool read_head(struct slice file, size_t at, struct spool_frame *f,
		      size_t *body_n)
{
	struct slice rest = slice_skip(file, at);
	struct reader r = reader(rest);
	uint8_t type;
	size_t note_n;
	uint64_t sum;

	if (rest.n < FRAME_HEAD + FRAME_SUM ||
	    memcmp(rest.p, mark, sizeof mark) != 0) {
		return false;
	}
	reader_bytes(&r, sizeof mark);
	type = reader_u8(&r);
	note_n = reader_u16(&r);
	*body_n = reader_u32(&r);
	if ((type != FRAME_HEADER && type != FRAME_BATCH) ||
	    note_n > FRAME_NOTE || *body_n == 0 ||
	    *body_n > body_max((enum frame_type)type)) {
		return false;
	}
	f->type = (enum frame_type)type;
	f->note = reader_bytes(&r, note_n);
	sum = reader_u64(&r);
	return reader_ok(&r) &&
	       sum == sum_of(slice_head(rest, FRAME_HEAD + note_n));
}

static const uint8_t *bytes_at(struct slice file, size_t at)
{
	return (const uint8_t *)file.p + at;
}

/* The body behind a whole head. */
static void read_body(struct slice file, struct spool_frame *f, size_t n)
{
	size_t at = f->at + FRAME_HEAD + f->note.n + FRAME_SUM;

	if (file.n - at < n + FRAME_TAIL) {
		f->state = FRAME_CUT;
		f->end = file.n;
		return;
	}
	f->end = at + n + FRAME_TAIL;
	f->body = slice(file.p + at, n);
	f->state = spool_frame_sum_holds(f->body, bytes_at(file, at + n))
			   ? FRAME_WHOLE
			   : FRAME_NOTE_ONLY;
}

/* Where the next whole head begins, or the end of the file. */
static size_t find_head(struct slice file, size_t at)
{
	struct spool_frame f;
	size_t n;

	while (at < file.n) {
		const char *p = memmem(file.p + at, file.n - at, mark,
				       sizeof mark);

		if (p == NULL) {
			break;
		}
		at = (size_t)(p - file.p);
		if (read_head(file, at, &f, &n)) {
			return at;
		}
		at++;
	}
	return file.n;
}

/* The body of a frame whose head is destroyed is found from its tail. */
static bool find_body(struct slice file, size_t from, size_t end,
		      struct slice *body)
{
	struct reader r;
	size_t n;

	if (end - from < FRAME_TAIL) {
		return false;
	}
	r = reader(slice(file.p + end - FRAME_TAIL, FRAME_TAIL));
	n = reader_u32(&r);
	if (n == 0 || n > LIMIT_BATCH_SEALED || n > end - FRAME_TAIL - from) {
		return false;
	}
	*body = slice(file.p + end - FRAME_TAIL - n, n);
	return spool_frame_sum_holds(*body, bytes_at(file, end - FRAME_TAIL));
}

bool spool_frame_next(struct slice file, size_t *at, struct spool_frame *out)
{
	size_t n;

	*out = (struct spool_frame){.at = *at};
	if (*at >= file.n) {
		return false;
	}
	if (read_head(file, *at, out, &n)) {
		read_body(file, out, n);
	} else {
		out->note = SLICE_NONE;
		out->end = find_head(file, *at + 1);
		out->state = find_body(file, *at, out->end, &out->body)
				     ? FRAME_BODY_ONLY
				     : FRAME_JUNK;
	}
	*at = out->end;
	return true;
}

bool spool_frame_is_unfinished(struct slice rest)
{
	size_t n = rest.n < sizeof mark ? rest.n : sizeof mark;
	size_t zeros = 0;
	struct reader r = reader(slice_skip(rest, sizeof mark + 1));
	size_t note_n = reader_u16(&r);

	while (zeros < rest.n && rest.p[zeros] == '\0') {
		zeros++;
	}
	return zeros == rest.n ||
	       (memcmp(rest.p, mark, n) == 0 &&
		(rest.n < FRAME_HEAD ||
		 rest.n < FRAME_HEAD + note_n + FRAME_SUM));
}

int spool_frame_note_batch(struct buf *out, const struct batch_head *head)
{
	int rc = buf_add_u32(out, head->index);

	if (rc == 0) {
		rc = buf_add(out, head->hash.b, FRAME_HASH);
	}
	if (rc == 0) {
		rc = buf_add_u16(out, (uint16_t)head->n_streams);
	}
	for (size_t i = 0; i < head->n_streams && rc == 0; i++) {
		const struct batch_stream *s = &head->streams[i];

		rc = buf_add(out, &s->id, sizeof s->id);
		if (rc == 0) {
			rc = buf_add_u64(out, s->start);
		}
		if (rc == 0) {
			rc = buf_add_u64(out, s->end);
		}
	}
	return rc;
}

bool spool_frame_holds(const struct spool_frame *f, const struct batch_head *head)
{
	struct reader r = reader(f->note);

	if (f->state == FRAME_BODY_ONLY) {
		return f->end - f->at == FRAME_HEAD + FRAME_NOTE_FIXED +
						 head->n_streams * FRAME_STREAM +
						 FRAME_SUM + f->body.n +
						 FRAME_TAIL;
	}
	return reader_u32(&r) == head->index &&
	       slice_eq(reader_bytes(&r, FRAME_HASH),
			slice((const char *)head->hash.b, FRAME_HASH));
}

bool spool_frame_note_next(struct slice note, size_t *at, struct batch_stream *out)
{
	struct reader r;

	if (*at == 0) {
		*at = FRAME_NOTE_FIXED;
	}
	if (note.n < FRAME_STREAM || *at > note.n - FRAME_STREAM) {
		return false;
	}
	r = reader(slice_skip(note, *at));
	*out = (struct batch_stream){0};
	reader_copy(&r, &out->id, sizeof out->id);
	out->start = reader_u64(&r);
	out->end = reader_u64(&r);
	*at += FRAME_STREAM;
	return out->start <= out->end;
}
