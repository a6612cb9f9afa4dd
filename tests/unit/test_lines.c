#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sources/lines.h"

enum { ROWS = 4096 };

struct rows {
	struct line v[ROWS];
	size_t n;
};

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Cuts text as a tail would that sees it grow by pieces of at most max bytes. */
static void cut(struct rows *r, struct slice text, uint32_t line_max,
		uint64_t from, uint64_t line_start, size_t max, uint64_t *seed)
{
	struct lines l;
	size_t seen = from;

	lines_init(&l, line_max, from, line_start);
	r->n = 0;
	while (seen < text.n || l.position < text.n ||
	       l.record_start < l.position) {
		struct slice data;
		bool final = seen == text.n;

		data = slice(text.p + l.position, seen - l.position);
		if (!final) {
			data.n = lines_ready(&l, data);
		}
		while (lines_next(&l, &data, final, &r->v[r->n])) {
			assert_true(++r->n < ROWS);
		}
		/* What is said to be ready is taken. */
		assert_int_equal(data.n, 0);
		if (seen < text.n) {
			seen += 1 + next(seed) % max;
			seen = seen < text.n ? seen : text.n;
		}
	}
}

static void same(const struct rows *a, const struct rows *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_int_equal(a->v[i].start, b->v[i].start);
		assert_int_equal(a->v[i].end, b->v[i].end);
		assert_int_equal(a->v[i].flags, b->v[i].flags);
		assert_true(slice_eq(a->v[i].text, b->v[i].text));
	}
}

static void whole(struct rows *r, struct slice text, uint32_t line_max)
{
	uint64_t seed = 1;

	cut(r, text, line_max, 0, 0, text.n + 1, &seed);
}

static void each_line_is_a_record_with_its_newline(void **state)
{
	struct rows r;

	(void)state;
	whole(&r, SLICE_LIT("one\n\ntwo\r\n\0x\nend"), 100);
	assert_int_equal(r.n, 5);
	assert_int_equal(r.v[1].start, 4);
	assert_int_equal(r.v[1].end, 5);
	assert_int_equal(r.v[1].text.n, 0);
	assert_true(slice_eq(r.v[2].text, SLICE_LIT("two\r")));
	assert_true(slice_eq(r.v[3].text, SLICE_LIT("\0x")));
	assert_int_equal(r.v[4].flags, RECORD_NO_NEWLINE);
}

static void a_line_of_just_the_cap_is_not_cut(void **state)
{
	struct rows r;

	(void)state;
	whole(&r, SLICE_LIT("12345678\nx\n"), 8);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].flags, 0);
	assert_int_equal(r.v[0].end, 9);
}

static void an_oversize_line_is_cut_and_skipped(void **state)
{
	struct rows r;

	(void)state;
	whole(&r, SLICE_LIT("123456789\nx\n"), 8);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.v[0].flags, RECORD_CUT);
	assert_int_equal(r.v[0].end, 8);
	assert_int_equal(r.v[1].flags, RECORD_SKIP);
	assert_int_equal(r.v[1].start, 8);
	assert_int_equal(r.v[1].end, 10);
	assert_int_equal(r.v[1].text.n, 0);
	assert_int_equal(r.v[2].flags, 0);
}

static void skips_end_at_fixed_distances(void **state)
{
	size_t n = 3 * LINES_SKIP + 100;
	char *text = malloc(n);
	struct rows r;

	(void)state;
	memset(text, 'x', n);
	text[n - 1] = '\n';
	whole(&r, slice(text, n), 8);
	assert_int_equal(r.n, 5);
	assert_int_equal(r.v[1].end, 8 + LINES_SKIP);
	assert_int_equal(r.v[2].end, 8 + 2 * LINES_SKIP);
	assert_int_equal(r.v[4].end, n);
	free(text);
}

static void reading_inside_a_line_gives_a_continuation(void **state)
{
	struct slice data = SLICE_LIT("rest\nnext\n");
	struct lines l;
	struct line line;

	(void)state;
	lines_init(&l, 100, 50, 49);
	assert_true(lines_next(&l, &data, false, &line));
	assert_int_equal(line.flags, RECORD_CONTINUATION);
	assert_int_equal(line.start, 50);
	assert_true(lines_next(&l, &data, false, &line));
	assert_int_equal(line.flags, 0);
	assert_false(lines_next(&l, &data, false, &line));
}

static void a_record_can_be_put_back(void **state)
{
	struct slice data = SLICE_LIT("one\ntwo\n"), before = data;
	struct lines l, saved;
	struct line a, b;

	(void)state;
	lines_init(&l, 100, 0, 0);
	saved = l;
	assert_true(lines_next(&l, &data, false, &a));
	l = saved;
	data = before;
	assert_true(lines_next(&l, &data, false, &b));
	assert_int_equal(a.end, b.end);
}

/* Any pieces, and any restart at the end of a record, give the same records. */
static void records_depend_on_the_bytes_alone(void **state)
{
	enum { N = 5000 };
	static struct rows all, some;
	char text[N];

	(void)state;
	for (uint64_t round = 1; round < 400; round++) {
		uint64_t seed = round * 0x9e3779b97f4a7c15u;
		uint32_t line_max = 1 + (uint32_t)(next(&seed) % 40);
		uint64_t rare = 2 + next(&seed) % 60;
		uint64_t total = 0;
		size_t at;

		for (size_t i = 0; i < N; i++) {
			text[i] = next(&seed) % rare == 0 ? '\n' : 'a';
		}
		whole(&all, slice(text, N), line_max);
		cut(&some, slice(text, N), line_max, 0, 0,
		    1 + next(&seed) % 90, &seed);
		if (all.n != some.n) {
			print_error("seed %llu\n", (unsigned long long)round);
		}
		same(&all, &some);
		for (size_t i = 0; i < all.n; i++) {
			assert_int_equal(all.v[i].start, total);
			total = all.v[i].end;
		}
		assert_int_equal(total, N);
		/* From the end of some record on. */
		at = next(&seed) % all.n;
		total = all.v[at].end;
		while (total > 0 && text[total - 1] != '\n') {
			total--;
		}
		cut(&some, slice(text, N), line_max, all.v[at].end, total,
		    1 + next(&seed) % 90, &seed);
		memmove(all.v, all.v + at + 1,
			(all.n - at - 1) * sizeof all.v[0]);
		all.n -= at + 1;
		same(&all, &some);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_a_record_with_its_newline),
		cmocka_unit_test(a_line_of_just_the_cap_is_not_cut),
		cmocka_unit_test(an_oversize_line_is_cut_and_skipped),
		cmocka_unit_test(skips_end_at_fixed_distances),
		cmocka_unit_test(reading_inside_a_line_gives_a_continuation),
		cmocka_unit_test(a_record_can_be_put_back),
		cmocka_unit_test(records_depend_on_the_bytes_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
