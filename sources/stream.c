#include "sources/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/reader.h"
#include "sources/veil.h"

enum { TABLE_VERSION = 1 };
static const char table_magic[4] = {'N', 'J', 'S', 'T'};

enum { FLAG_FINISHED = 1, FLAG_GAP_TOLD = 2, FLAG_FORK = 4, FLAG_FIRST = 8, FLAG_AWAY = 16,
       FLAG_ALL = 31 };

static void mark_once(const unsigned char *secret, const struct stream_id *id,
		      uint8_t out[static 8])
{
	uint8_t text[16] = "once:";
	XXH64_canonical_t c;

	memcpy(text + 8, id->b, 8);
	XXH64_canonicalFromHash(&c, XXH3_64bits_withSecret(text, sizeof text, secret,
							   STREAM_SECRET));
	memcpy(out, c.digest, 8);
}

int stream_id_once(struct sys *sys, const unsigned char secret[static STREAM_SECRET],
		   struct stream_id *out)
{
	int rc = sys_random(sys, out, sizeof *out);

	if (rc == 0) {
		mark_once(secret, out, out->b + 8);
	}
	return rc;
}

bool stream_is_once(const unsigned char secret[static STREAM_SECRET],
		    const struct stream_id *id)
{
	uint8_t mark[8];

	mark_once(secret, id, mark);
	return memcmp(id->b + 8, mark, sizeof mark) == 0;
}

int stream_init(struct stream *s, const unsigned char *secret,
		uint32_t line_max)
{
	memset(s, 0, sizeof *s);
	s->hash = XXH3_createState();
	if (s->hash == NULL) {
		return UV_ENOMEM;
	}
	lines_init(&s->lines, line_max, 0, 0);
	XXH3_64bits_reset_withSecret(s->hash, secret, STREAM_SECRET);
	s->st.h = XXH3_64bits_digest(s->hash);
	s->hash_at_position = s->st.h;
	s->secret = secret;
	veil_hash(s->hash, secret);
	return 0;
}

void stream_fini(struct stream *s)
{
	stream_state_fini(&s->st);
	XXH3_freeState(s->hash);
	s->hash = NULL;
}

uint64_t stream_hash_at(struct stream *s, uint64_t position)
{
	if (position == s->position && s->hashed == position) {
		return s->hash_at_position;
	}
	assert(s->chunk != NULL && position >= s->hashed &&
	       position - s->chunk_base <= s->chunk_n);
	XXH3_64bits_update(s->hash, s->chunk + (s->hashed - s->chunk_base),
			   (size_t)(position - s->hashed));
	s->hashed = position;
	return XXH3_64bits_digest(s->hash);
}

void stream_begin_chunk(struct stream *s, struct slice data)
{
	veil_hash(s->hash, s->secret);
	s->chunk = data.n > 0 ? data.p : "";
	s->chunk_base = s->position;
	s->chunk_line = s->lines.line_start;
	s->chunk_n = data.n;
}

static void keep_bytes(struct stream *s, struct slice data)
{
	size_t keep;

	if (data.n >= STREAM_LAST) {
		memcpy(s->last, data.p + data.n - STREAM_LAST, STREAM_LAST);
		s->n_last = STREAM_LAST;
		return;
	}
	if (data.n == 0) {
		return;
	}
	keep = STREAM_LAST - data.n;
	if (keep > s->n_last) {
		keep = s->n_last;
	}
	memmove(s->last, s->last + s->n_last - keep, keep);
	memcpy(s->last + keep, data.p, data.n);
	s->n_last = keep + data.n;
}

static void keep_last(struct stream *s, struct slice data)
{
	veil(s->last, s->n_last, s->secret);
	keep_bytes(s, data);
	veil(s->last, s->n_last, s->secret);
}

/* Where the line began that position is in, or that ends there. */
static uint64_t last_line(const struct stream *s, uint64_t end)
{
	size_t n = (size_t)(end - s->chunk_base);
	const char *newline;

	if (s->lines.line_start < end) {
		return s->lines.line_start;
	}
	newline = n < 2 ? NULL : memrchr(s->chunk, '\n', n - 1);
	return newline != NULL ? s->chunk_base + (uint64_t)(newline - s->chunk) + 1
			       : s->chunk_line;
}

/* The line began in this chunk, or its beginning is kept already. */
static void keep_head(struct stream *s, uint64_t end)
{
	uint64_t at = last_line(s, end);

	if (end == s->chunk_base) {
		return;
	}
	if (end - at <= STREAM_LAST) {
		s->n_head = 0;
	} else if (at >= s->chunk_base) {
		s->head_at = at;
		s->n_head = STREAM_LAST;
		memcpy(s->head, s->chunk + (at - s->chunk_base), STREAM_LAST);
		veil(s->head, STREAM_LAST, s->secret);
	} else if (s->head_at != at) {
		s->n_head = 0;
	}
}

static bool are(const unsigned char *veiled, size_t n, const char *p,
		const unsigned char *secret)
{
	unsigned char bytes[STREAM_LAST];

	memcpy(bytes, p, n);
	veil(bytes, n, secret);
	return memcmp(bytes, veiled, n) == 0;
}

bool stream_last_is(const struct stream *s, const char *p)
{
	return are(s->last, s->n_last, p, s->secret);
}

bool stream_head_is(const struct stream *s, const char *p)
{
	return are(s->head, s->n_head, p, s->secret);
}

void stream_end_chunk(struct stream *s, size_t n)
{
	uint64_t end = s->chunk_base + n;
	uint64_t h;

	/* Whoever asked for H beyond what was then taken: it can't be undone. */
	assert(n <= s->chunk_n && s->hashed <= end);
	h = stream_hash_at(s, end);
	keep_last(s, slice(s->chunk, n));
	keep_head(s, end);
	veil_hash(s->hash, s->secret);
	s->position = end;
	s->hash_at_position = h;
	s->chunk = NULL;
	s->chunk_n = 0;
	if (n > 0) {
		s->marks[s->n_marks % STREAM_MARKS] =
			(struct stream_rung){end, h};
		s->n_marks++;
	}
}

void stream_resume_at(struct stream *s, uint64_t position, uint64_t line_start,
		      const struct XXH3_state_s *hash, struct slice last)
{
	XXH3_copyState(s->hash, hash);
	s->position = position;
	s->hashed = position;
	s->hash_at_position = XXH3_64bits_digest(s->hash);
	veil_hash(s->hash, s->secret);
	s->n_last = s->n_head = 0;
	keep_last(s, last);
	lines_init(&s->lines, s->lines.line_max, position, line_start);
}

/* The rung whose loss hurts least: where its neighbours are close together
 * for how far in the past they are.  The first rung stays. */
static void thin(struct stream_state *st)
{
	double best = -1;
	uint32_t drop = 1;

	for (uint32_t i = 1; i < st->n_rungs; i++) {
		uint64_t next = i + 1 < st->n_rungs ? st->rungs[i + 1].position
						    : st->acked;
		double gap = (double)(next - st->rungs[i - 1].position);
		double far = (double)(st->acked - st->rungs[i].position);

		if (best < 0 || gap / far < best) {
			best = gap / far;
			drop = i;
		}
	}
	memmove(&st->rungs[drop], &st->rungs[drop + 1],
		(st->n_rungs - drop - 1) * sizeof st->rungs[0]);
	st->n_rungs--;
}

void stream_state_acked(struct stream_state *st, uint64_t position, uint64_t h)
{
	struct stream_rung was = {st->acked, st->h};

	if (position <= st->acked) {
		return;
	}
	st->acked = position;
	st->h = h;
	if (was.position == 0) {
		return;
	}
	if (st->n_rungs == STREAM_RUNGS) {
		thin(st);
	}
	st->rungs[st->n_rungs++] = was;
}

void stream_state_add_rung(struct stream_state *st, uint64_t position,
			   uint64_t h)
{
	uint32_t at = 0;

	if (position == 0 || position >= st->acked) {
		return;
	}
	if (st->n_rungs == STREAM_RUNGS) {
		thin(st);
	}
	while (at < st->n_rungs && st->rungs[at].position < position) {
		at++;
	}
	if (at < st->n_rungs && st->rungs[at].position == position) {
		return;
	}
	memmove(&st->rungs[at + 1], &st->rungs[at],
		(st->n_rungs - at) * sizeof st->rungs[0]);
	st->rungs[at] = (struct stream_rung){position, h};
	st->n_rungs++;
}

void stream_note_first(struct stream *s, struct slice data)
{
	const char *end = data.n > 0 ? memchr(data.p, '\n', data.n) : NULL;
	size_t n;

	if (s->position > 0 || s->st.first.position > 0 || end == NULL) {
		return;
	}
	n = (size_t)(end - data.p) + 1;
	s->st.first = (struct stream_rung){
		n, XXH3_64bits_withSecret(data.p, n, s->secret, STREAM_SECRET)};
}

bool stream_first_is(const struct stream *s, struct slice data)
{
	struct stream_rung first = s->st.first;

	return first.position == 0 ||
	       (data.n >= first.position &&
		XXH3_64bits_withSecret(data.p, (size_t)first.position, s->secret,
				       STREAM_SECRET) == first.h);
}

void stream_note_top(struct stream_state *st, const struct stream *s)
{
	if (s->position > st->top.position) {
		st->top = (struct stream_rung){s->position,
					       s->hash_at_position};
	}
}

int stream_state_copy(struct stream_state *to, const struct stream_state *from)
{
	*to = *from;
	if (from->path != NULL) {
		to->path = strdup(from->path);
		if (to->path == NULL) {
			memset(to, 0, sizeof *to);
			return UV_ENOMEM;
		}
	}
	return 0;
}

void stream_state_fini(struct stream_state *st)
{
	free(st->path);
	st->path = NULL;
}

void stream_states_free(struct stream_state *states, size_t n)
{
	for (size_t i = 0; states != NULL && i < n; i++) {
		stream_state_fini(&states[i]);
	}
	free(states);
}

static int add_varints(struct buf *out, const uint64_t *v, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = buf_add_varint(out, v[i]);
	}
	return rc;
}

/* Of n_rungs those that are spread best, at most keep. */
static uint32_t nth_rung(const struct stream_state *st, uint32_t i, uint32_t keep)
{
	return st->n_rungs <= keep ? i : (i + 1) * st->n_rungs / keep - 1;
}

static int encode_state(const struct stream_state *st, uint32_t keep,
			struct buf *out)
{
	uint32_t n_rungs = st->n_rungs < keep ? st->n_rungs : keep;
	struct slice path = slice_str(st->path);
	uint8_t flags = (uint8_t)((st->finished ? FLAG_FINISHED : 0) |
				  (st->gap_told ? FLAG_GAP_TOLD : 0) |
				  (st->fork ? FLAG_FORK : 0) |
				  (st->first.position > 0 ? FLAG_FIRST : 0) |
				  (st->away_ns != 0 ? FLAG_AWAY : 0));
	uint64_t numbers[] = {
		st->dev, st->ino, st->start, st->acked, st->detect,
		st->position, st->size, zigzag(st->mtime_ns),
		zigzag(st->born_ns), zigzag(st->seen_ns), st->top.position,
		n_rungs,
	};
	uint64_t below = 0;
	int rc;

	if (path.n > STREAM_PATH_MAX || st->n_rungs > STREAM_RUNGS) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add(out, st->id.b, sizeof st->id.b);
	rc = rc != 0 ? rc : buf_add_u8(out, flags);
	rc = rc != 0 ? rc : buf_add_varint(out, path.n);
	rc = rc != 0 ? rc : buf_add_slice(out, path);
	rc = rc != 0 ? rc : buf_add_u64(out, st->h);
	rc = rc != 0 ? rc : buf_add_u64(out, st->top.h);
	rc = rc != 0 ? rc : add_varints(out, numbers,
					sizeof numbers / sizeof numbers[0]);
	for (uint32_t i = 0; rc == 0 && i < n_rungs; i++) {
		const struct stream_rung *r = &st->rungs[nth_rung(st, i, keep)];

		rc = buf_add_varint(out, r->position - below);
		rc = rc != 0 ? rc : buf_add_u64(out, r->h);
		below = r->position;
	}
	if (rc == 0 && st->first.position > 0) {
		rc = buf_add_varint(out, st->first.position);
		rc = rc != 0 ? rc : buf_add_u64(out, st->first.h);
	}
	if (rc == 0 && st->away_ns != 0) {
		rc = buf_add_varint(out, zigzag(st->away_ns));
	}
	return rc;
}

int stream_table_encode(const struct stream_state *states, size_t n,
			struct buf *out)
{
	size_t before = out->n;
	int rc;

	if (n > STREAM_TABLE_MAX) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add(out, table_magic, sizeof table_magic);
	rc = rc != 0 ? rc : buf_add_u8(out, TABLE_VERSION);
	rc = rc != 0 ? rc : buf_add_varint(out, n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = encode_state(&states[i],
				  n > STREAM_TABLE_MANY ? STREAM_RUNGS_FEW
							: STREAM_RUNGS,
				  out);
	}
	if (rc != 0) {
		out->n = before;
	}
	return rc;
}

static bool decode_rungs(struct reader *r, struct stream_state *st)
{
	uint64_t below = 0;

	for (uint32_t i = 0; i < st->n_rungs; i++) {
		uint64_t step = reader_varint(r);

		st->rungs[i].h = reader_u64(r);
		if (!reader_ok(r) || step == 0 || step > UINT64_MAX - below) {
			return false;
		}
		below += step;
		st->rungs[i].position = below;
	}
	return st->n_rungs == 0 || below < st->acked;
}

/* Of a file, absolute; of another source "kmsg:..." and the like (sources/source.h). */
static bool plausible_place(struct slice path)
{
	size_t n = 0;

	while (n < path.n && path.p[n] >= 'a' && path.p[n] <= 'z') {
		n++;
	}
	return path.n == 0 || path.p[0] == '/' ||
	       (n > 0 && n < path.n && path.p[n] == ':');
}

static bool plausible(const struct stream_state *st, struct slice path)
{
	return st->top.position <= INT64_MAX &&
	       plausible_place(path) &&
	       (path.n == 0 || memchr(path.p, '\0', path.n) == NULL) &&
	       st->position <= INT64_MAX && st->acked <= st->position &&
	       st->detect <= st->position && st->start <= st->position;
}

static bool decode_first(struct reader *r, struct stream_rung *first)
{
	first->position = reader_varint(r);
	first->h = reader_u64(r);
	return reader_ok(r) && first->position > 0 && first->position <= INT64_MAX;
}

static bool decode_away(struct reader *r, struct stream_state *st)
{
	st->away_ns = unzigzag(reader_varint(r));
	return reader_ok(r) && st->away_ns != 0;
}

static int decode_state(struct reader *r, struct stream_state *st)
{
	struct slice path;
	uint8_t flags;

	reader_copy(r, st->id.b, sizeof st->id.b);
	flags = reader_u8(r);
	path = reader_blob(r, STREAM_PATH_MAX);
	st->h = reader_u64(r);
	st->top.h = reader_u64(r);
	st->dev = reader_varint(r);
	st->ino = reader_varint(r);
	st->start = reader_varint(r);
	st->acked = reader_varint(r);
	st->detect = reader_varint(r);
	st->position = reader_varint(r);
	st->size = reader_varint(r);
	st->mtime_ns = unzigzag(reader_varint(r));
	st->born_ns = unzigzag(reader_varint(r));
	st->seen_ns = unzigzag(reader_varint(r));
	st->top.position = reader_varint(r);
	st->n_rungs = (uint32_t)reader_varint_max(r, STREAM_RUNGS);
	if (!reader_ok(r)) {
		return ERR_TRUNCATED;
	}
	if ((flags & ~FLAG_ALL) != 0 || !plausible(st, path) ||
	    !decode_rungs(r, st) ||
	    ((flags & FLAG_FIRST) != 0 && !decode_first(r, &st->first)) ||
	    ((flags & FLAG_AWAY) != 0 && !decode_away(r, st))) {
		return ERR_MALFORMED;
	}
	st->finished = (flags & FLAG_FINISHED) != 0;
	st->gap_told = (flags & FLAG_GAP_TOLD) != 0;
	st->fork = (flags & FLAG_FORK) != 0;
	if (path.n > 0) {
		st->path = strndup(path.p, path.n);
		if (st->path == NULL) {
			return UV_ENOMEM;
		}
	}
	return 0;
}

int stream_table_decode(struct slice bytes, struct stream_state **out,
			size_t *n)
{
	/* The smallest state: id, flags, no path, two H, twelve numbers. */
	enum { STATE_MIN = 16 + 1 + 1 + 16 + 12 };
	struct reader r = reader(bytes);
	struct slice magic = reader_bytes(&r, sizeof table_magic);
	uint8_t version = reader_u8(&r);
	uint64_t count;
	struct stream_state *states;
	int rc = 0;

	*out = NULL;
	*n = 0;
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (!slice_eq(magic, slice(table_magic, sizeof table_magic))) {
		return ERR_MALFORMED;
	}
	if (version != TABLE_VERSION) {
		return ERR_VERSION;
	}
	count = reader_varint(&r);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (count > STREAM_TABLE_MAX) {
		return ERR_TOO_LARGE;
	}
	if (count > reader_left(&r) / STATE_MIN) {
		return ERR_TRUNCATED;
	}
	states = calloc(count > 0 ? count : 1, sizeof *states);
	if (states == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = decode_state(&r, &states[i]);
	}
	if (rc == 0 && !reader_done(&r)) {
		rc = ERR_MALFORMED;
	}
	if (rc != 0) {
		stream_states_free(states, count);
		return rc;
	}
	*out = states;
	*n = count;
	return 0;
}
