#include "shipper/spool_frame.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "common/reader.h"

enum {
	HEAD_MAX = FRAME_HEAD + FRAME_NOTE + FRAME_SUM,
	SEARCH = 64 * 1024, /* bytes looked through at a time */
};
_Static_assert(HEAD_MAX + LIMIT_BATCH_SEALED + FRAME_TAIL <= SPOOL_WINDOW,
	       "a frame fits into the window");
_Static_assert((int)LIMIT_SEGMENT_HEADER <= (int)LIMIT_BATCH_SEALED,
	       "a header is no larger than a batch");

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

/* A whole head at the beginning of `rest`; *body_n is how long the body behind it is. */
static bool read_head(struct slice rest, struct spool_frame *f, size_t *body_n)
{
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

static bool body_holds(struct slice body)
{
	return spool_frame_sum_holds(body, (const uint8_t *)body.p + body.n);
}

/* The body behind a whole head. */
static void read_body(struct spool_bytes *file, struct spool_frame *f, size_t n)
{
	size_t head = FRAME_HEAD + f->note.n + FRAME_SUM;
	struct slice all;

	f->body_at = f->at + head;
	if (file->size - f->body_at < n + FRAME_TAIL) {
		f->state = FRAME_CUT;
		f->end = file->size;
		return;
	}
	f->end = f->body_at + n + FRAME_TAIL;
	/* The head once more: the window may move. */
	all = spool_bytes_at(file, f->at, head + n + FRAME_TAIL);
	f->state = FRAME_NOTE_ONLY;
	if (all.n == 0) { /* The body can't be read. */
		f->note = slice_head(slice_skip(spool_bytes_at(file, f->at, head), FRAME_HEAD),
				     f->note.n);
		return;
	}
	f->note = slice(all.p + FRAME_HEAD, f->note.n);
	f->body = slice(all.p + head, n);
	if (body_holds(f->body)) {
		f->state = FRAME_WHOLE;
	}
}

/* Where the next whole head begins, or the end of the file. */
static uint64_t find_head(struct spool_bytes *file, uint64_t at)
{
	struct spool_frame f;
	size_t n;

	while (at < file->size) {
		struct slice part = spool_bytes_at(file, at, SEARCH);
		const char *p = part.n == 0 ? NULL
					    : memmem(part.p, part.n, mark, sizeof mark);

		if (p == NULL) {
			/* A mark may begin in its last bytes. */
			at += part.n == SEARCH ? SEARCH - sizeof mark + 1 : SEARCH;
			continue;
		}
		at += (size_t)(p - part.p);
		if (read_head(spool_bytes_at(file, at, HEAD_MAX), &f, &n)) {
			return at;
		}
		at++;
	}
	return file->size;
}

/* The body of a frame whose head is destroyed is found from its tail. */
static bool find_body(struct spool_bytes *file, uint64_t from, struct spool_frame *f)
{
	struct slice tail;
	struct reader r;
	size_t n;

	if (f->end - from < FRAME_TAIL) {
		return false;
	}
	tail = spool_bytes_at(file, f->end - FRAME_TAIL, FRAME_TAIL);
	r = reader(tail);
	n = reader_u32(&r);
	if (tail.n < FRAME_TAIL || n == 0 || n > LIMIT_BATCH_SEALED ||
	    n > f->end - FRAME_TAIL - from) {
		return false;
	}
	f->body_at = f->end - FRAME_TAIL - n;
	f->body = slice_head(spool_bytes_at(file, f->body_at, n + FRAME_TAIL), n);
	return f->body.n == n && body_holds(f->body);
}

bool spool_frame_next(struct spool_bytes *file, uint64_t *at, struct spool_frame *out)
{
	size_t n;

	*out = (struct spool_frame){.at = *at};
	if (*at >= file->size) {
		return false;
	}
	if (read_head(spool_bytes_at(file, *at, HEAD_MAX), out, &n)) {
		read_body(file, out, n);
	} else {
		out->note = SLICE_NONE;
		out->end = find_head(file, *at + 1);
		out->state = find_body(file, *at, out) ? FRAME_BODY_ONLY : FRAME_JUNK;
	}
	*at = out->end;
	return true;
}

static bool only_zeros(struct spool_bytes *file, uint64_t at)
{
	while (at < file->size) {
		struct slice part = spool_bytes_at(file, at, SEARCH);

		/* Each byte is the one before it, and the first is zero. */
		if (part.n == 0 || part.p[0] != '\0' ||
		    memcmp(part.p, part.p + 1, part.n - 1) != 0) {
			return false;
		}
		at += part.n;
	}
	return true;
}

bool spool_frame_is_unfinished(struct spool_bytes *file, uint64_t at)
{
	uint64_t left = file->size - at;
	struct slice rest = spool_bytes_at(file, at, FRAME_HEAD);
	size_t n = rest.n < sizeof mark ? rest.n : sizeof mark;
	struct reader r = reader(slice_skip(rest, sizeof mark + 1));
	size_t note_n = reader_u16(&r);

	if (n > 0 && memcmp(rest.p, mark, n) == 0 &&
	    (left < FRAME_HEAD || left < FRAME_HEAD + note_n + FRAME_SUM)) {
		return true;
	}
	return only_zeros(file, at);
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
