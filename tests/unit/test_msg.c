/* Unit tests of wire/msg.h: every message comes back as it was, and not when
 * it was cut or goes on behind its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "wire/msg.h"

static const struct msg_stream stream_a = {
	.id = {{1, 2}}, .received = 500, .durable = 400, .h_received = 77,
	.h_durable = UINT64_MAX};
static const struct msg_segment segment_a = {
	.id = {{3, 4}}, .index = -1, .hash = {{5}}};

/* Decodes as one type of message and forgets the result. */
static int decode(uint8_t type, struct slice payload)
{
	union {
		struct hello hello;
		struct welcome welcome;
		struct segment_msg segment;
		struct ack ack;
		struct nak nak;
		struct error_msg error;
	} m;
	struct rung rungs[LADDER_RUNGS];
	struct stream_id id;
	size_t n;

	switch (type) {
	case MSG_HELLO:
		return hello_decode(&m.hello, payload);
	case MSG_WELCOME:
		return welcome_decode(&m.welcome, payload);
	case MSG_SEGMENT:
		return segment_msg_decode(&m.segment, payload);
	case MSG_ACK:
		return ack_decode(&m.ack, payload);
	case MSG_NAK:
		return nak_decode(&m.nak, payload);
	case MSG_ERROR:
		return error_msg_decode(&m.error, payload);
	default:
		return ladder_decode(&id, rungs, &n, payload);
	}
}

/* Neither a shorter nor a longer payload decodes; reads stay within it (ASan). */
static void assert_tight(uint8_t type, const struct buf *b)
{
	for (size_t i = 0; i <= b->n + 1; i++) {
		char *copy = calloc(1, i + 1);
		int rc;

		assert_non_null(copy);
		memcpy(copy, b->p, i < b->n ? i : b->n);
		rc = decode(type, slice(copy, i));
		assert_true(i == b->n ? rc == 0
				      : rc == ERR_TRUNCATED ||
						rc == ERR_MALFORMED);
		free(copy);
	}
}

static void lists(struct buf *segments, struct buf *streams)
{
	struct msg_segment s = segment_a;

	buf_init(segments, LIMIT_FRAME);
	buf_init(streams, LIMIT_FRAME);
	assert_int_equal(msg_add_segment(segments, &s), 0);
	s.index = LIMIT_SEGMENT_BATCHES - 1;
	assert_int_equal(msg_add_segment(segments, &s), 0);
	assert_int_equal(msg_add_stream(streams, &stream_a), 0);
}

static void hello_comes_back_as_it_was(void **state)
{
	struct buf segments, streams, out;
	struct msg_segment seg;
	struct msg_stream stream;
	struct hello h = {
		.version_min = 1, .version_max = 3, .instance = {1},
		.boot = {2}, .machine = {3}, .time_ms = -5,
		.software = SLICE_LIT("nightjar-agent 0.1.0"),
		.store_id = SLICE_LIT("0123456789abcdef"),
		.acked_head = SLICE_LIT("a head"),
	}, got;

	(void)state;
	lists(&segments, &streams);
	buf_init(&out, LIMIT_FRAME);
	h.segments = buf_slice(&segments);
	h.streams = buf_slice(&streams);
	assert_int_equal(hello_encode(&h, &out), 0);
	assert_int_equal(hello_decode(&got, buf_slice(&out)), 0);
	assert_int_equal(got.version_max, 3);
	assert_memory_equal(got.instance, h.instance, 16);
	assert_memory_equal(got.boot, h.boot, 16);
	assert_memory_equal(got.machine, h.machine, 32);
	assert_true(got.time_ms == -5);
	assert_true(slice_eq(got.software, h.software));
	assert_true(slice_eq(got.store_id, h.store_id));
	assert_true(slice_eq(got.acked_head, h.acked_head));
	assert_int_equal(msg_segments_next(&got.segments, &seg), 1);
	assert_memory_equal(&seg.id, &segment_a.id, 16);
	assert_true(seg.index == -1);
	assert_int_equal(msg_segments_next(&got.segments, &seg), 1);
	assert_true(seg.index == LIMIT_SEGMENT_BATCHES - 1);
	assert_int_equal(msg_segments_next(&got.segments, &seg), 0);
	assert_int_equal(msg_streams_next(&got.streams, &stream), 1);
	assert_memory_equal(&stream, &stream_a, sizeof stream);
	assert_int_equal(msg_streams_next(&got.streams, &stream), 0);
	assert_tight(MSG_HELLO, &out);
	buf_fini(&segments);
	buf_fini(&streams);
	buf_fini(&out);
}

static void hello_of_other_versions_is_named_as_such(void **state)
{
	struct hello h;

	(void)state;
	assert_int_equal(hello_decode(&h, SLICE_LIT("\x02\x09whatever")),
			 ERR_VERSION);
	assert_int_equal(hello_decode(&h, slice("\0\0", 2)), ERR_VERSION);
	assert_int_equal(hello_decode(&h, SLICE_LIT("\x02\x01")),
			 ERR_MALFORMED);
}

static void welcome_comes_back_as_it_was(void **state)
{
	struct buf segments, streams, out;
	struct welcome w = {
		.version = 1, .store_id = {9}, .time_ms = 1795363200000,
		.window_log = 21, .max_segment_decoded = 1 << 24,
		.max_frame = LIMIT_FRAME, .n_keys = 2,
	}, got;
	const struct slice pub = slice(w.keys[1].public_key, 32);
	struct hash32 hash;

	(void)state;
	lists(&segments, &streams);
	buf_init(&out, LIMIT_FRAME);
	w.keys[1].public_key[0] = 1;
	w.segments = buf_slice(&segments);
	w.streams = buf_slice(&streams);
	assert_int_equal(welcome_encode(&w, &out), 0);
	assert_int_equal(welcome_decode(&got, buf_slice(&out)), 0);
	assert_memory_equal(got.store_id, w.store_id, 16);
	assert_true(got.time_ms == w.time_ms);
	assert_int_equal(got.window_log, 21);
	assert_int_equal(got.max_segment_decoded, 1 << 24);
	assert_int_equal(got.max_frame, LIMIT_FRAME);
	assert_int_equal(got.n_keys, 2);
	assert_int_equal(got.keys[1].public_key[0], 1);
	assert_int_equal(hash32_of(&hash, &pub, 1), 0);
	assert_memory_equal(got.keys[1].id, hash.b, 8);
	assert_true(slice_eq(got.segments, w.segments));
	assert_true(slice_eq(got.streams, w.streams));
	assert_tight(MSG_WELCOME, &out);

	w.n_keys = 0;
	assert_int_equal(welcome_encode(&w, &out), UV_EINVAL);
	out.p[0] = 2;
	assert_int_equal(welcome_decode(&got, buf_slice(&out)), ERR_VERSION);
	buf_fini(&segments);
	buf_fini(&streams);
	buf_fini(&out);
}

static void segment_ack_and_nak_come_back_as_they_were(void **state)
{
	struct segment_msg m = {.lane = LANE_KEPT, .after = 41,
				.hash = {{6}},
				.header = SLICE_LIT("a header")}, m2;
	struct nak n = {.segment = {{8}}, .stream = stream_a}, n2;
	struct ack a, a2;
	struct buf segments, streams, out;

	(void)state;
	lists(&segments, &streams);
	buf_init(&out, LIMIT_FRAME);
	assert_int_equal(segment_msg_encode(&m, &out), 0);
	assert_int_equal(segment_msg_decode(&m2, buf_slice(&out)), 0);
	assert_int_equal(m2.lane, LANE_KEPT);
	assert_true(m2.after == 41);
	assert_true(hash32_eq(&m2.hash, &m.hash));
	assert_true(slice_eq(m2.header, m.header));
	assert_tight(MSG_SEGMENT, &out);
	out.p[0] = LANE_NR;
	assert_int_equal(segment_msg_decode(&m2, buf_slice(&out)),
			 ERR_MALFORMED);

	buf_clear(&out);
	assert_int_equal(nak_encode(&n, &out), 0);
	assert_int_equal(nak_decode(&n2, buf_slice(&out)), 0);
	assert_memory_equal(&n2, &n, sizeof n);
	assert_tight(MSG_NAK, &out);

	buf_clear(&out);
	a.segments = buf_slice(&segments);
	a.streams = buf_slice(&streams);
	assert_int_equal(ack_encode(&a, &out), 0);
	assert_int_equal(ack_decode(&a2, buf_slice(&out)), 0);
	assert_true(slice_eq(a2.segments, a.segments));
	assert_true(slice_eq(a2.streams, a.streams));
	assert_tight(MSG_ACK, &out);
	buf_fini(&segments);
	buf_fini(&streams);
	buf_fini(&out);
}

static void error_comes_back_as_it_was(void **state)
{
	struct error_msg e = {.code = MSG_ERROR_CLONED,
			      .retry_after_ms = 60000,
			      .text = SLICE_LIT("what to do")}, got;
	struct buf out;

	(void)state;
	buf_init(&out, LIMIT_FRAME);
	assert_int_equal(error_msg_encode(&e, &out), 0);
	assert_int_equal(error_msg_decode(&got, buf_slice(&out)), 0);
	assert_int_equal(got.code, MSG_ERROR_CLONED);
	assert_int_equal(got.retry_after_ms, 60000);
	assert_true(slice_eq(got.text, e.text));
	assert_tight(MSG_ERROR, &out);
	buf_fini(&out);
}

static void ladders_descend_and_have_at_most_64_rungs(void **state)
{
	struct rung rungs[LADDER_RUNGS + 1], got[LADDER_RUNGS];
	struct stream_id id = {{1}}, id2;
	struct buf out;
	size_t n;

	(void)state;
	buf_init(&out, LIMIT_FRAME);
	for (size_t i = 0; i <= LADDER_RUNGS; i++) {
		rungs[i] = (struct rung){100000 - i * 1000, i};
	}
	assert_int_equal(
		ladder_encode(&id, rungs, LADDER_RUNGS + 1, &out),
		ERR_TOO_LARGE);
	for (size_t want = 0; want <= LADDER_RUNGS; want += 16) {
		buf_clear(&out);
		assert_int_equal(ladder_encode(&id, rungs, want, &out), 0);
		assert_int_equal(ladder_decode(&id2, got, &n, buf_slice(&out)),
				 0);
		assert_int_equal(n, want);
		assert_memory_equal(&id2, &id, sizeof id);
		assert_memory_equal(got, rungs, want * sizeof *got);
		assert_tight(MSG_LADDER, &out);
	}
	rungs[1].position = rungs[0].position;
	buf_clear(&out);
	assert_int_equal(ladder_encode(&id, rungs, 2, &out), UV_EINVAL);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
}

static void lists_past_the_limit_are_refused(void **state)
{
	struct msg_stream s = stream_a;
	struct buf streams, out;
	struct ack a = {0};

	(void)state;
	buf_init(&streams, LIMIT_FRAME);
	buf_init(&out, LIMIT_FRAME);
	for (int i = 0; i <= LIMIT_HELLO_STREAMS; i++) {
		assert_int_equal(msg_add_stream(&streams, &s), 0);
	}
	a.streams = buf_slice(&streams);
	assert_int_equal(ack_encode(&a, &out), ERR_TOO_LARGE);
	assert_int_equal(out.n, 0);
	assert_int_equal(buf_add_varint(&out, 0), 0);
	assert_int_equal(buf_add_varint(&out, streams.n), 0);
	assert_int_equal(buf_add_slice(&out, a.streams), 0);
	assert_int_equal(ack_decode(&a, buf_slice(&out)), ERR_TOO_LARGE);
	buf_fini(&streams);
	buf_fini(&out);
}

static void more_durable_than_received_can_not_be_said(void **state)
{
	struct msg_stream s = stream_a;
	struct msg_segment g = segment_a;
	struct buf list;

	(void)state;
	buf_init(&list, LIMIT_FRAME);
	s.durable = s.received + 1;
	assert_int_equal(msg_add_stream(&list, &s), UV_EINVAL);
	g.index = -2;
	assert_int_equal(msg_add_segment(&list, &g), UV_EINVAL);
	g.index = LIMIT_SEGMENT_BATCHES;
	assert_int_equal(msg_add_segment(&list, &g), UV_EINVAL);
	assert_int_equal(list.n, 0);
	buf_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_comes_back_as_it_was),
		cmocka_unit_test(hello_of_other_versions_is_named_as_such),
		cmocka_unit_test(welcome_comes_back_as_it_was),
		cmocka_unit_test(segment_ack_and_nak_come_back_as_they_were),
		cmocka_unit_test(error_comes_back_as_it_was),
		cmocka_unit_test(ladders_descend_and_have_at_most_64_rungs),
		cmocka_unit_test(lists_past_the_limit_are_refused),
		cmocka_unit_test(more_durable_than_received_can_not_be_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
