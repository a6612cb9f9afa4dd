#include "wire/body.h"

#include "common/err.h"

enum {
	ODD_TIME = 1 << 0,   /* an explicit time follows */
	ODD_LENGTH = 1 << 1, /* a raw length follows */
	ODD_SHIFT = 2,       /* the flags stand above */
	KNOWN_FLAGS = (1 << 12) - 1,
	VARINT_MAX = 10,
	/* Index, word, length and time. */
	ODD_MAX = 4 * VARINT_MAX,
	/* What a section takes beside table and text: observed time, number of
	 * odd records, two lengths. */
	SECTION_MAX = 4 * VARINT_MAX,
	NS_A_MS = 1000000,
};

void body_section_init(struct body_section *s, size_t limit)
{
	memset(s, 0, sizeof *s);
	buf_init(&s->odd, limit);
	buf_init(&s->shared, limit);
	buf_init(&s->text, limit);
}

void body_section_fini(struct body_section *s)
{
	buf_fini(&s->odd);
	buf_fini(&s->shared);
	buf_fini(&s->text);
}

void body_section_reset(struct body_section *s, uint64_t start)
{
	buf_clear(&s->odd);
	buf_clear(&s->shared);
	buf_clear(&s->text);
	s->n_last = 0;
	s->count = s->n_odd = s->last_odd = 0;
	s->start = s->end = start;
	s->observed_ns = s->first_ns = s->last_ns = 0;
}

/* Towards minus infinity, so that a time is never before its milliseconds. */
static int64_t floor_ms(int64_t ns)
{
	return ns / NS_A_MS - (ns % NS_A_MS < 0);
}

/* The table's entry of record number s->count. */
static int add_odd(struct body_section *s, const struct record *r,
		   bool with_time, bool with_length)
{
	uint64_t word = (uint64_t)r->flags << ODD_SHIFT |
			(with_length ? ODD_LENGTH : 0) |
			(with_time ? ODD_TIME : 0);
	uint32_t skip = s->n_odd == 0 ? s->count : s->count - s->last_odd - 1;
	size_t was = s->odd.n;
	int rc = buf_add_varint(&s->odd, skip);

	if (rc == 0) {
		rc = buf_add_varint(&s->odd, word);
	}
	if (rc == 0 && with_length) {
		rc = buf_add_varint(&s->odd, r->end - r->start);
	}
	if (rc == 0 && with_time) {
		/* Relative to the section's observed time; unsigned, since
		 * times from outside may lie as far apart as they like. */
		uint64_t base = (uint64_t)floor_ms(s->observed_ns) * NS_A_MS;

		rc = buf_add_varint(
			&s->odd,
			zigzag((int64_t)((uint64_t)record_time_ns(r) - base)));
	}
	if (rc != 0) {
		s->odd.n = was;
		return rc;
	}
	s->n_odd++;
	s->last_odd = s->count;
	return 0;
}

/* How many bytes the line begins with as the last one did. */
static size_t shared_with_last(const struct body_section *s, struct slice line)
{
	size_t max = line.n < s->n_last ? line.n : s->n_last, n = 0;
	uint64_t a, b;

	while (n + sizeof a <= max) {
		memcpy(&a, s->last + n, sizeof a);
		memcpy(&b, line.p + n, sizeof b);
		if (a != b) {
			break;
		}
		n += sizeof a;
	}
	while (n < max && s->last[n] == line.p[n]) {
		n++;
	}
	return n;
}

/* Room was made for it. */
static void add_text(struct body_section *s, struct slice line, size_t shared)
{
	size_t keep = line.n < BODY_SHARED_MAX ? line.n : BODY_SHARED_MAX;
	char *to = s->text.p + s->text.n;

	if (line.n > shared) {
		memcpy(to, line.p + shared, line.n - shared);
	}
	if (keep > shared) {
		memcpy(s->last + shared, line.p + shared, keep - shared);
	}
	to[line.n - shared] = '\n';
	s->n_last = (uint8_t)keep;
	s->text.n += line.n - shared + 1;
	s->shared.p[s->shared.n++] = (char)shared;
}

static void note_times(struct body_section *s, int64_t ns)
{
	if (s->count == 0 || ns < s->first_ns) {
		s->first_ns = ns;
	}
	if (s->count == 0 || ns > s->last_ns) {
		s->last_ns = ns;
	}
}

static bool fits(const struct body_section *s, size_t n, bool odd)
{
	return s->odd.n + s->shared.n + 1 + s->text.n + n + 1 +
		       (odd ? ODD_MAX : 0) <=
	       s->text.limit;
}

int body_add(struct body_section *s, const struct record *r, bool with_time)
{
	bool with_length = r->end - r->start != r->line.n + 1;
	bool odd = r->flags != 0 || with_length || with_time;
	size_t shared = shared_with_last(s, r->line);
	struct slice rest = slice_skip(r->line, shared);
	int rc;

	if (s->count == 0) {
		s->start = s->end = r->start;
		s->observed_ns = r->observed_ns;
	}
	/* What it shares was looked through with the last line. */
	if (r->start != s->end || r->end < r->start ||
	    (r->flags & ~(uint32_t)KNOWN_FLAGS) != 0 ||
	    (rest.n > 0 && memchr(rest.p, '\n', rest.n) != NULL)) {
		return UV_EINVAL;
	}
	if (!fits(s, rest.n, odd)) {
		return ERR_TOO_LARGE;
	}
	rc = buf_reserve(&s->text, rest.n + 1);
	rc = rc != 0 ? rc : buf_reserve(&s->shared, 1);
	if (rc == 0 && odd) {
		rc = add_odd(s, r, with_time, with_length);
	}
	if (rc != 0) {
		return rc;
	}
	add_text(s, r->line, shared);
	note_times(s, record_time_ns(r));
	s->end = r->end;
	s->count++;
	return 0;
}

size_t body_section_size(const struct body_section *s)
{
	return s->odd.n + s->shared.n + s->text.n + SECTION_MAX;
}

int body_section_write_head(const struct body_section *s, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if ((rc = buf_add_varint(out, zigzag(floor_ms(s->observed_ns)))) != 0 ||
	    (rc = buf_add_varint(out, s->n_odd)) != 0 ||
	    (s->n_odd > 0 &&
	     ((rc = buf_add_varint(out, s->odd.n)) != 0 ||
	      (rc = buf_add_slice(out, buf_slice(&s->odd))) != 0)) ||
	    (rc = buf_add_slice(out, buf_slice(&s->shared))) != 0 ||
	    (rc = buf_add_varint(out, s->text.n)) != 0) {
		out->n = was;
	}
	return rc;
}

int body_section_write(const struct body_section *s, struct buf *out)
{
	size_t was = out->n;
	int rc = body_section_write_head(s, out);

	if (rc == 0) {
		rc = buf_add_slice(out, buf_slice(&s->text));
	}
	if (rc != 0) {
		out->n = was;
	}
	return rc;
}

/* ---- reading ---- */

/* Starts section r->section: its header, then the first odd record's index. */
static int open_section(struct body_reader *r)
{
	const struct batch_stream *s = &r->head->streams[r->section];
	struct reader *in = &r->rest;
	int64_t ms = unzigzag(reader_varint(in));

	r->odd_left = (uint32_t)reader_varint_max(in, s->count);
	r->odd = r->odd_left > 0 ? reader_blob(in, r->head->decoded)
				 : SLICE_NONE;
	r->shared = reader_bytes(in, s->count);
	r->text = reader_blob(in, r->head->decoded);
	if (!reader_ok(in)) {
		return in->p == in->end ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	if (ms > INT64_MAX / NS_A_MS || ms < INT64_MIN / NS_A_MS ||
	    s->count == 0) {
		return ERR_MALFORMED;
	}
	r->observed_ns = ms * NS_A_MS;
	r->left = s->count;
	r->index = 0;
	r->position = s->start;
	buf_clear(r->line);
	return 0;
}

/* Reads the index of the next odd record, if there is one.  next: the first
 * index that it may be. */
static bool next_odd(struct body_reader *r, uint32_t next)
{
	struct reader in = reader(r->odd);
	uint64_t skip;

	if (r->odd_left == 0) {
		return r->odd.n == 0; /* The table has to be used up. */
	}
	skip = reader_varint_max(&in, UINT32_MAX);
	if (!reader_ok(&in) || skip + next >= (uint64_t)next + r->left) {
		return false;
	}
	r->next_odd = next + (uint32_t)skip;
	r->odd = slice(in.p, reader_left(&in));
	return true;
}

/* Takes the entry of the record at hand. */
static bool read_odd(struct body_reader *r, struct record *out)
{
	struct reader in = reader(r->odd);
	uint64_t word = reader_varint_max(
		&in, (uint64_t)KNOWN_FLAGS << ODD_SHIFT | ODD_LENGTH | ODD_TIME);
	uint64_t time;

	out->flags = (uint32_t)(word >> ODD_SHIFT);
	if ((word & ODD_LENGTH) != 0) {
		out->end = out->start + reader_varint(&in);
	}
	if ((word & ODD_TIME) != 0) {
		time = (uint64_t)unzigzag(reader_varint(&in));
		out->header.time_ns =
			(int64_t)(time + (uint64_t)r->observed_ns);
		if (out->header.time_ns == TIME_NONE) {
			return false;
		}
	}
	if (!reader_ok(&in)) {
		return false;
	}
	r->odd = slice(in.p, reader_left(&in));
	r->odd_left--;
	return true;
}

/* Puts the line at hand together: what it shares with the last one, which stands
 * there, and its rest. */
static int read_line(struct body_reader *r)
{
	const char *end = r->text.n == 0
				  ? NULL
				  : memchr(r->text.p, '\n', r->text.n);
	size_t shared = (uint8_t)r->shared.p[r->index];
	struct slice rest;
	int rc;

	if (end == NULL || shared > BODY_SHARED_MAX || shared > r->line->n) {
		return ERR_MALFORMED;
	}
	rest = slice(r->text.p, (size_t)(end - r->text.p));
	/* There is one encoding: what is shared is not told again. */
	if (shared < BODY_SHARED_MAX && shared < r->line->n && rest.n > 0 &&
	    rest.p[0] == r->line->p[shared]) {
		return ERR_MALFORMED;
	}
	r->line->n = shared;
	/* One more, so that an empty line has an address as well. */
	rc = buf_reserve(r->line, rest.n + 1);
	if (rc == 0) {
		rc = buf_add_slice(r->line, rest);
	}
	r->text = slice_skip(r->text, rest.n + 1);
	return rc;
}

/* The record at hand, out of a section that has one left. */
static int read_record(struct body_reader *r, struct record *out)
{
	const struct batch_stream *s = &r->head->streams[r->section];
	int rc = read_line(r);

	if (rc != 0) {
		return rc;
	}
	out->stream = s->id;
	out->flags = 0;
	out->line = buf_slice(r->line);
	out->start = r->position;
	out->end = r->position + out->line.n + 1;
	out->observed_ns = r->observed_ns;
	out->header = (struct header){.time_ns = TIME_NONE, .priority = -1};
	event_reset(&out->event);
	r->left--;
	if (r->odd_left > 0 && r->next_odd == r->index &&
	    (!read_odd(r, out) || !next_odd(r, r->index + 1))) {
		return ERR_MALFORMED;
	}
	if (out->end < out->start || out->end > s->end) {
		return ERR_MALFORMED;
	}
	r->position = out->end;
	r->index++;
	return 0;
}

void body_reader_init(struct body_reader *r, const struct batch_head *head,
		      struct slice body, struct buf *line)
{
	memset(r, 0, sizeof *r);
	r->rest = reader(body);
	r->head = head;
	r->line = line;
}

/* 1: r stands before a record; 0: the body ends here. */
static int go_to_record(struct body_reader *r)
{
	const struct batch_head *h = r->head;
	int rc;

	while (r->left == 0) {
		if (r->index != 0) { /* A section has just ended. */
			if (r->position != h->streams[r->section].end ||
			    r->text.n != 0) {
				return ERR_MALFORMED;
			}
			r->section++;
			r->index = 0;
		}
		if (r->section == h->n_streams) {
			return reader_done(&r->rest) ? 0 : ERR_MALFORMED;
		}
		rc = open_section(r);
		if (rc != 0) {
			return rc;
		}
		if (!next_odd(r, 0)) {
			return ERR_MALFORMED;
		}
	}
	return 1;
}

int body_next(struct body_reader *r, struct record *out)
{
	int rc;

	if (r->rc != 0) {
		return r->rc;
	}
	rc = go_to_record(r);
	if (rc > 0) {
		rc = read_record(r, out);
		rc = rc == 0 ? 1 : rc;
	}
	if (rc < 0) {
		r->rc = rc;
	}
	return rc;
}
