/* Unit tests of collector/entry.h and collector/format.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/format.h"
#include "common/err.h"
#include "tests/support/memory_file.h"

static void entries_come_back_as_they_went_in(void **state)
{
	struct slice parts[2] = {SLICE_LIT("one "), SLICE_LIT("two")};
	struct entry e;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(entry_add(&b, 100, ENTRY_BATCH, parts, 2), 0);
	assert_int_equal(entry_take(buf_slice(&b), 100, &e), 0);
	assert_int_equal(e.kind, ENTRY_BATCH);
	assert_true(slice_eq(e.payload, SLICE_LIT("one two")));
	assert_int_equal(e.next, 100 + b.n);
	/* The same bytes somewhere else are not that entry. */
	assert_int_equal(entry_take(buf_slice(&b), 101, &e), ERR_DAMAGED);
	buf_fini(&b);
}

static void every_cut_is_a_tear_and_every_flip_is_seen(void **state)
{
	struct slice part = SLICE_LIT("payload of an entry");
	struct entry e;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(entry_add(&b, 8, ENTRY_BATCH, &part, 1), 0);
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(entry_take(slice(b.p, n), 8, &e),
				 ERR_TRUNCATED);
	}
	for (size_t bit = 0; bit < b.n * 8; bit++) {
		b.p[bit / 8] = (char)(b.p[bit / 8] ^ 1 << bit % 8);
		assert_int_not_equal(entry_take(buf_slice(&b), 8, &e), 0);
		b.p[bit / 8] = (char)(b.p[bit / 8] ^ 1 << bit % 8);
	}
	/* A tail that was made longer and never filled. */
	memset(b.p, 0, b.n);
	assert_int_equal(entry_take(buf_slice(&b), 8, &e), ERR_TRUNCATED);
	buf_fini(&b);
}

static void a_limit_hides_what_may_be_half_written(void **state)
{
	struct slice part = SLICE_LIT("x");
	struct memory_file f;
	struct entry_reader r;
	struct entry e;
	struct buf b;
	size_t one;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(entry_add(&b, 0, ENTRY_BATCH, &part, 1), 0);
	one = b.n;
	assert_int_equal(entry_add(&b, b.n, ENTRY_BATCH, &part, 1), 0);
	memory_file_init(&f, (const uint8_t *)b.p, b.n);
	entry_reader_init(&r, &f.sys, 0, 0);
	r.limit = one;
	assert_int_equal(entry_reader_next(&r, &e), 1);
	assert_int_equal(entry_reader_next(&r, &e), 0);
	r.limit = UINT64_MAX;
	assert_int_equal(entry_reader_next(&r, &e), 1);
	assert_int_equal(entry_reader_next(&r, &e), 0);
	entry_reader_fini(&r);
	buf_fini(&b);
}

static void an_envelope_tells_what_is_taken(void **state)
{
	struct envelope e = {.arrival = 300, .durable = 280,
			     .received_ms = 12345, .n_cuts = 2,
			     .cuts = {{1, 50}, {3, 70}}};
	struct envelope got;
	struct slice batch;
	bool extends;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(envelope_add(&b, &e), 0);
	assert_int_equal(buf_add(&b, "batch", 5), 0);
	assert_int_equal(envelope_take(&got, &batch, buf_slice(&b)), 0);
	assert_true(slice_eq(batch, SLICE_LIT("batch")));
	assert_int_equal(got.arrival, 300);
	assert_int_equal(got.durable, 280);
	assert_int_equal(envelope_take_from(&got, 0, 7), 7);
	assert_int_equal(envelope_take_from(&got, 1, 7), 50);
	assert_int_equal(envelope_take_from(&got, 3, 7), 70);
	assert_false(envelope_takes(50, 40, 50, &extends));
	assert_true(envelope_takes(50, 40, 51, &extends));
	assert_true(extends);
	assert_true(envelope_takes(50, 50, 60, &extends));
	assert_false(extends);
	assert_true(envelope_takes(50, 50, 50, &extends));
	assert_false(envelope_takes(50, 49, 49, &extends));
	buf_fini(&b);
}

static void an_envelope_with_streams_out_of_order_is_refused(void **state)
{
	struct envelope e = {.arrival = 1, .n_cuts = 2,
			     .cuts = {{3, 50}, {3, 70}}};
	struct slice batch;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(envelope_add(&b, &e), 0);
	assert_int_equal(envelope_take(&e, &batch, buf_slice(&b)),
			 ERR_MALFORMED);
	buf_fini(&b);
}

static void a_newer_version_is_told_from_damage(void **state)
{
	struct file_head h = {.after = -1, .name = SLICE_LIT("gw"),
			      .header = SLICE_LIT("header")};
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(file_head_add(&b, &h), 0);
	assert_int_equal(file_head_take(&h, buf_slice(&b)), 0);
	assert_true(slice_eq(h.name, SLICE_LIT("gw")));
	assert_int_equal(h.after, -1);
	b.p[0] = STORE_VERSION + 1;
	assert_int_equal(file_head_take(&h, buf_slice(&b)), ERR_VERSION);
	buf_fini(&b);
}

static void only_the_one_way_to_write_a_name_is_a_name(void **state)
{
	static const char *const bad[] = {
		"", "file", "file-1-", "file-0000000001-00.seg",
		"file-1-000102030405060708090a0b0c0d0e0f.seg",
		"file-0000000001-000102030405060708090A0b0c0d0e0f.seg",
		"disk-0000000001-000102030405060708090a0b0c0d0e0f.seg",
		"file-0000000001-000102030405060708090a0b0c0d0e0f.0.seg",
		"file-0000000001-000102030405060708090a0b0c0d0e0f.seg.damaged",
	};
	struct segment_name n = {.lane = LANE_ALERT, .number = 12, .part = 3};
	struct segment_name got;
	char text[SEGMENT_NAME];

	(void)state;
	n.id.b[15] = 0xab;
	segment_name_format(text, &n);
	assert_string_equal(
		text, "alert-0000000012-000000000000000000000000000000ab.3.seg");
	assert_true(segment_name_parse(&got, text));
	assert_int_equal(segment_name_compare(&n, &got), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(segment_name_parse(&got, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_back_as_they_went_in),
		cmocka_unit_test(every_cut_is_a_tear_and_every_flip_is_seen),
		cmocka_unit_test(a_limit_hides_what_may_be_half_written),
		cmocka_unit_test(an_envelope_tells_what_is_taken),
		cmocka_unit_test(
			an_envelope_with_streams_out_of_order_is_refused),
		cmocka_unit_test(a_newer_version_is_told_from_damage),
		cmocka_unit_test(only_the_one_way_to_write_a_name_is_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
