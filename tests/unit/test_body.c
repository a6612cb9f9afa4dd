/* Unit tests of wire/body.h: records become a body and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "wire/body.h"

enum { LIMIT = 64 * 1024, MAX_RECORDS = 200 };

#define OBSERVED INT64_C(1795363200123000000)

static struct record plain(uint64_t start, const char *line)
{
	struct record r = {
		.start = start,
		.line = slice_str(line),
		.observed_ns = OBSERVED,
		.header = {.time_ns = TIME_NONE, .priority = -1},
	};

	r.end = start + r.line.n + 1;
	return r;
}

/* The head that goes with one section. */
static struct batch_head head_of(const struct body_section *s, size_t n_sections,
				 size_t body_size)
{
	struct batch_head h = {.decoded = (uint32_t)body_size,
			       .n_streams = n_sections};

	for (size_t i = 0; i < n_sections; i++) {
		h.streams[i].id.b[0] = (uint8_t)(i + 1);
		h.streams[i].start = s[i].start;
		h.streams[i].end = s[i].end;
		h.streams[i].count = s[i].count;
	}
	return h;
}

static void ordinary_lines_cost_their_text_and_a_few_bytes(void **state)
{
	struct body_section s;
	struct body_reader reader;
	struct batch_head h;
	struct record r = plain(10, "first"), got;
	struct buf out, line;

	(void)state;
	buf_init(&out, LIMIT);
	buf_init(&line, BODY_LINE_MAX);
	body_section_init(&s, LIMIT);
	body_section_reset(&s, 10);
	assert_int_equal(body_add(&s, &r, false), 0);
	r = plain(16, "");
	assert_int_equal(body_add(&s, &r, false), 0);
	assert_int_equal(s.n_odd, 0);
	assert_int_equal(s.end, 17);
	assert_int_equal(body_section_write(&s, &out), 0);
	assert_true(out.n <= body_section_size(&s));
	assert_int_equal(out.n, 6 + 1 + 2 + 1 + 7);

	h = head_of(&s, 1, out.n);
	body_reader_init(&reader, &h, buf_slice(&out), &line);
	assert_int_equal(body_next(&reader, &got), 1);
	assert_true(slice_eq(got.line, SLICE_LIT("first")));
	assert_int_equal(got.start, 10);
	assert_int_equal(got.end, 16);
	assert_int_equal(got.flags, 0);
	assert_int_equal(got.stream.b[0], 1);
	assert_true(got.observed_ns == OBSERVED);
	assert_true(got.header.time_ns == TIME_NONE);
	assert_int_equal(body_next(&reader, &got), 1);
	assert_int_equal(got.line.n, 0);
	assert_int_equal(body_next(&reader, &got), 0);
	assert_int_equal(body_next(&reader, &got), 0);
	body_section_fini(&s);
	buf_fini(&out);
	buf_fini(&line);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	struct body_section s;
	struct record r = plain(0, "0123456789");
	int n = 0;

	(void)state;
	body_section_init(&s, 256);
	body_section_reset(&s, 0);
	while (body_add(&s, &r, true) == 0) {
		r.start = s.end;
		r.end = s.end + 11;
		n++;
	}
	assert_int_equal(body_add(&s, &r, true), ERR_TOO_LARGE);
	assert_int_equal(s.count, n);
	assert_int_equal(s.n_odd, n);
	assert_int_equal(s.shared.n, n);
	assert_int_equal(s.text.n, 11 + n - 1);
	assert_int_equal(s.end, n * 11);
	body_section_fini(&s);
}

static void what_a_line_shares_with_the_last_is_told_once(void **state)
{
	static const char *const lines[] = {
		"Nov 22 15:37:46 gw sshd[7]: first",
		"Nov 22 15:37:46 gw sshd[7]: fine",
		"Nov 22 15:37:46 gw sshd[7]: fine",
		"Nov 22 15:37:46 gw sshd[7]: fine and more",
		"",
		"Dec",
	};
	static const uint8_t shared[] = {0, 30, 32, 32, 0, 0};
	struct body_section s;
	uint64_t at = 0;

	(void)state;
	body_section_init(&s, LIMIT);
	body_section_reset(&s, 0);
	for (size_t i = 0; i < sizeof shared; i++) {
		struct record r = plain(at, lines[i]);

		assert_int_equal(body_add(&s, &r, false), 0);
		at = r.end;
	}
	assert_int_equal(s.shared.n, sizeof shared);
	assert_memory_equal(s.shared.p, shared, sizeof shared);
	assert_true(slice_eq(buf_slice(&s.text),
			     SLICE_LIT("Nov 22 15:37:46 gw sshd[7]: first\n"
				       "ne\n\n and more\n\nDec\n")));
	body_section_reset(&s, at);
	assert_int_equal(s.n_last, 0);
	body_section_fini(&s);
}

static void no_more_than_127_bytes_are_left_out(void **state)
{
	char text[200];
	struct body_section s;
	struct record r = plain(0, "");

	(void)state;
	memset(text, 'x', sizeof text);
	body_section_init(&s, LIMIT);
	body_section_reset(&s, 0);
	for (uint64_t i = 0; i < 2; i++) {
		r.line = slice(text, sizeof text);
		r.start = i * 201;
		r.end = r.start + 201;
		assert_int_equal(body_add(&s, &r, false), 0);
	}
	assert_int_equal((uint8_t)s.shared.p[1], BODY_SHARED_MAX);
	assert_int_equal(s.text.n, 201 + 201 - BODY_SHARED_MAX);
	body_section_fini(&s);
}

static void impossible_records_are_refused(void **state)
{
	struct body_section s;
	struct record r = plain(0, "a\nb");

	(void)state;
	body_section_init(&s, LIMIT);
	body_section_reset(&s, 0);
	assert_int_equal(body_add(&s, &r, false), UV_EINVAL);
	r = plain(0, "a");
	r.flags = 1u << 12;
	assert_int_equal(body_add(&s, &r, false), UV_EINVAL);
	r = plain(0, "a");
	assert_int_equal(body_add(&s, &r, false), 0);
	r = plain(3, "does not continue");
	assert_int_equal(body_add(&s, &r, false), UV_EINVAL);
	r = plain(2, "ends before its start");
	r.end = 1;
	assert_int_equal(body_add(&s, &r, false), UV_EINVAL);
	assert_int_equal(s.count, 1);
	body_section_fini(&s);
}

/* Random records of every kind. */
struct made {
	struct record r[MAX_RECORDS];
	bool with_time[MAX_RECORDS];
	char text[MAX_RECORDS][64];
	size_t n;
};

static uint64_t rnd(uint64_t n)
{
	return ((uint64_t)rand() << 31 ^ (uint64_t)rand()) % n;
}

static void make(struct made *m, uint64_t at)
{
	static const int64_t odd_times[] = {INT64_MIN + 1, INT64_MAX, 0, -1};

	m->n = 1 + rnd(MAX_RECORDS);
	for (size_t i = 0; i < m->n; i++) {
		struct record *r = &m->r[i];
		size_t len = rnd(sizeof m->text[i]), same = rnd(sizeof m->text[i]);

		for (size_t j = 0; j < len; j++) {
			char c = i > 0 && j < same ? m->text[i - 1][j] : (char)rand();

			m->text[i][j] = c == '\n' ? ' ' : c;
		}
		*r = plain(at, "");
		r->line = slice(m->text[i], len);
		r->end = at + len + 1;
		if (rnd(4) == 0) {
			r->end = at + rnd(5000);
		}
		if (rnd(4) == 0) {
			r->flags = (uint32_t)rnd(1 << 12);
		}
		m->with_time[i] = rnd(4) == 0;
		r->observed_ns = OBSERVED + (int64_t)i;
		if (rnd(3) == 0) {
			r->header.time_ns = rnd(4) == 0
						    ? odd_times[rnd(4)]
						    : OBSERVED - (int64_t)rnd(1u << 30);
		}
		at = r->end;
	}
}

static void fill(struct body_section *s, const struct made *m)
{
	int64_t least = INT64_MAX, greatest = INT64_MIN;

	body_section_reset(s, m->r[0].start);
	for (size_t i = 0; i < m->n; i++) {
		int64_t t = record_time_ns(&m->r[i]);

		assert_int_equal(body_add(s, &m->r[i], m->with_time[i]), 0);
		least = t < least ? t : least;
		greatest = t > greatest ? t : greatest;
	}
	assert_true(s->first_ns == least && s->last_ns == greatest);
}

static void assert_reads_back(struct body_reader *reader, const struct made *m,
			      size_t section)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct record *want = &m->r[i];
		struct record got;

		assert_int_equal(body_next(reader, &got), 1);
		assert_int_equal(got.stream.b[0], section + 1);
		assert_true(got.start == want->start && got.end == want->end);
		assert_int_equal(got.flags, want->flags);
		assert_true(slice_eq(got.line, want->line));
		assert_true(got.observed_ns == OBSERVED);
		assert_true(got.header.time_ns ==
			    (m->with_time[i] ? record_time_ns(want)
					     : TIME_NONE));
	}
}

static void any_records_come_back_as_they_were(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct made *m = calloc(3, sizeof *m);
	struct body_section s[3];
	struct buf out, line;

	(void)state;
	assert_non_null(m);
	print_message("seed %u\n", seed);
	srand(seed);
	buf_init(&out, LIMIT_BATCH_DECODED);
	buf_init(&line, BODY_LINE_MAX);
	for (size_t i = 0; i < 3; i++) {
		body_section_init(&s[i], LIMIT);
	}
	for (int round = 0; round < 200; round++) {
		size_t sections = 1 + rnd(3);
		struct body_reader reader;
		struct batch_head h;
		struct record got;

		buf_clear(&out);
		for (size_t i = 0; i < sections; i++) {
			make(&m[i], rnd(UINT64_C(1) << 50));
			fill(&s[i], &m[i]);
			assert_int_equal(body_section_write(&s[i], &out), 0);
		}
		h = head_of(s, sections, out.n);
		body_reader_init(&reader, &h, buf_slice(&out), &line);
		for (size_t i = 0; i < sections; i++) {
			assert_reads_back(&reader, &m[i], i);
		}
		assert_int_equal(body_next(&reader, &got), 0);
	}
	for (size_t i = 0; i < 3; i++) {
		body_section_fini(&s[i]);
	}
	buf_fini(&out);
	buf_fini(&line);
	free(m);
}

/* Reads to the end; returns what it said there. */
static int read_all(const struct batch_head *h, struct slice body)
{
	struct body_reader reader;
	struct record got;
	struct buf line;
	int rc;

	buf_init(&line, BODY_LINE_MAX);
	body_reader_init(&reader, h, body, &line);
	while ((rc = body_next(&reader, &got)) > 0) {
	}
	assert_int_equal(body_next(&reader, &got), rc); /* It sticks. */
	buf_fini(&line);
	return rc;
}

static void a_body_that_disagrees_with_its_head_is_refused(void **state)
{
	struct body_section s;
	struct record r = plain(0, "one");
	struct batch_head h, bad;
	struct buf out;

	(void)state;
	buf_init(&out, LIMIT);
	body_section_init(&s, LIMIT);
	body_section_reset(&s, 0);
	assert_int_equal(body_add(&s, &r, true), 0);
	r = plain(4, "two");
	assert_int_equal(body_add(&s, &r, false), 0);
	assert_int_equal(body_section_write(&s, &out), 0);
	h = head_of(&s, 1, out.n);
	assert_int_equal(read_all(&h, buf_slice(&out)), 0);
	bad = h;
	bad.streams[0].count++;
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_MALFORMED);
	bad.streams[0].count = 1;
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_MALFORMED);
	bad.streams[0].count = 0;
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_MALFORMED);
	bad = h;
	bad.streams[0].end++;
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_MALFORMED);
	bad = h;
	bad.streams[0].start++;
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_MALFORMED);
	bad = h;
	bad.n_streams = 2;
	bad.streams[1] = bad.streams[0];
	assert_int_equal(read_all(&bad, buf_slice(&out)), ERR_TRUNCATED);
	for (size_t i = 0; i < out.n; i++) {
		assert_true(read_all(&h, slice(out.p, i)) < 0);
	}
	assert_int_equal(buf_add_u8(&out, 'x'), 0);
	assert_int_equal(read_all(&h, buf_slice(&out)), ERR_MALFORMED);
	body_section_fini(&s);
	buf_fini(&out);
}

/* observed 0, nothing odd, what is shared, text. */
static int read_two(const char *shared, struct slice text)
{
	struct batch_head h = {.n_streams = 1};
	struct buf b;
	int rc;

	h.streams[0].count = 2;
	h.streams[0].end = 8; /* Two lines of three bytes. */
	buf_init(&b, LIMIT);
	assert_int_equal(buf_add(&b, "\0\0", 2), 0);
	assert_int_equal(buf_add(&b, shared, 2), 0);
	assert_int_equal(buf_add_varint(&b, text.n), 0);
	assert_int_equal(buf_add_slice(&b, text), 0);
	h.decoded = (uint32_t)b.n;
	rc = read_all(&h, buf_slice(&b));
	buf_fini(&b);
	return rc;
}

static void a_line_has_one_encoding(void **state)
{
	(void)state;
	assert_int_equal(read_two("\0\2", SLICE_LIT("abc\nx\n")), 0);
	assert_int_equal(read_two("\0\3", SLICE_LIT("abc\n\n")), 0);
	/* More could have been shared, or there is not so much to share. */
	assert_int_equal(read_two("\0\1", SLICE_LIT("abc\nbx\n")), ERR_MALFORMED);
	assert_int_equal(read_two("\0\0", SLICE_LIT("abc\nabx\n")), ERR_MALFORMED);
	assert_int_equal(read_two("\0\4", SLICE_LIT("abc\n\n")), ERR_MALFORMED);
	assert_int_equal(read_two("\1\2", SLICE_LIT("bc\nx\n")), ERR_MALFORMED);
	assert_int_equal(read_two("\0\xff", SLICE_LIT("abc\nx\n")), ERR_MALFORMED);
	assert_int_equal(read_two("\0\2", SLICE_LIT("abc\nx")), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			ordinary_lines_cost_their_text_and_a_few_bytes),
		cmocka_unit_test(
			what_does_not_fit_is_refused_and_changes_nothing),
		cmocka_unit_test(what_a_line_shares_with_the_last_is_told_once),
		cmocka_unit_test(no_more_than_127_bytes_are_left_out),
		cmocka_unit_test(a_line_has_one_encoding),
		cmocka_unit_test(impossible_records_are_refused),
		cmocka_unit_test(any_records_come_back_as_they_were),
		cmocka_unit_test(
			a_body_that_disagrees_with_its_head_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
