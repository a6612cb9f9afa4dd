#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#include "common/err.h"
#include "sources/names.h"
#include "sources/stream.h"

static const unsigned char secret[STREAM_SECRET] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static uint64_t h_of(const char *text, size_t n)
{
	XXH3_state_t *state = XXH3_createState();
	uint64_t h;

	XXH3_64bits_reset_withSecret(state, secret, sizeof secret);
	XXH3_64bits_update(state, text, n);
	h = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return h;
}

static void the_hash_is_that_of_the_bytes_before(void **state)
{
	static const char text[] = "one line\nanother line\nand a third one\n";
	struct stream s;

	(void)state;
	assert_int_equal(stream_init(&s, secret, 100), 0);
	assert_int_equal(stream_hash_at(&s, 0), h_of(text, 0));
	stream_begin_chunk(&s, slice(text, 22));
	assert_int_equal(stream_hash_at(&s, 9), h_of(text, 9));
	assert_int_equal(stream_hash_at(&s, 9), h_of(text, 9));
	stream_end_chunk(&s, 22);
	assert_int_equal(stream_hash_at(&s, 22), h_of(text, 22));
	stream_begin_chunk(&s, slice(text + 22, 16));
	stream_end_chunk(&s, 0);
	assert_int_equal(s.position, 22);
	stream_begin_chunk(&s, slice(text + 22, 16));
	stream_end_chunk(&s, 16);
	assert_int_equal(stream_hash_at(&s, 38), h_of(text, 38));
	assert_int_equal(s.n_last, 38);
	assert_true(stream_last_is(&s, text));
	assert_memory_not_equal(s.last, text, 38);
	stream_fini(&s);
}

static void the_last_bytes_are_kept(void **state)
{
	char text[1000];
	struct stream s;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = (char)(i * 31 % 251);
	}
	assert_int_equal(stream_init(&s, secret, 100), 0);
	for (size_t n = 1; at + n < sizeof text; n = n * 3 % 89 + 1) {
		stream_begin_chunk(&s, slice(text + at, n));
		stream_end_chunk(&s, n);
		at += n;
		assert_int_equal(s.n_last, at < 64 ? at : 64);
		assert_true(stream_last_is(&s, text + at - s.n_last));
		text[at - 1] ^= 1;
		assert_false(stream_last_is(&s, text + at - s.n_last));
		text[at - 1] ^= 1;
	}
	stream_fini(&s);
}

static void the_ladder_is_bounded_and_thin_in_the_past(void **state)
{
	struct stream_state st = {0};

	(void)state;
	for (uint64_t p = 100; p <= 1000000; p += 100) {
		stream_state_acked(&st, p, p * 7);
		assert_true(st.n_rungs <= STREAM_RUNGS);
	}
	assert_int_equal(st.acked, 1000000);
	assert_int_equal(st.rungs[0].position, 100);
	assert_true(st.rungs[st.n_rungs - 1].position > 999000);
	for (uint32_t i = 0; i < st.n_rungs; i++) {
		assert_int_equal(st.rungs[i].h, st.rungs[i].position * 7);
		assert_true(i == 0 || st.rungs[i].position >
					      st.rungs[i - 1].position);
	}
	stream_state_acked(&st, 5, 5);
	assert_int_equal(st.acked, 1000000);
	stream_state_add_rung(&st, 123456, 3);
	assert_true(st.n_rungs <= STREAM_RUNGS);
	for (uint32_t i = 1; i < st.n_rungs; i++) {
		assert_true(st.rungs[i].position > st.rungs[i - 1].position);
	}
}

static void fill(struct stream_state *st, unsigned i)
{
	memset(st, 0, sizeof *st);
	memset(st->id.b, (int)i, sizeof st->id.b);
	st->path = i % 3 == 0 ? NULL : strdup(i % 3 == 1 ? "/var/log/auth.log" : "kmsg:0123");
	st->dev = i;
	st->ino = UINT64_MAX - i;
	st->acked = 1000 * (uint64_t)i;
	st->h = 0x1234567890abcdef;
	st->position = st->acked + 77;
	st->top = (struct stream_rung){st->position, 99};
	st->first = (struct stream_rung){i % 4, i % 4 == 0 ? 0 : 98};
	st->detect = st->acked;
	st->mtime_ns = -5;
	st->finished = i % 2;
	st->gap_told = i % 5 == 0;
	st->fork = i % 7 == 0;
	st->away_ns = i % 3 == 0 ? 0 : -(int64_t)i;
	for (unsigned j = 0; j < i % (STREAM_RUNGS + 1); j++) {
		st->rungs[st->n_rungs++] =
			(struct stream_rung){j * 10 + 1, j};
	}
}

static void a_table_comes_back_as_it_was(void **state)
{
	struct stream_state *states = calloc(100, sizeof *states), *back;
	struct buf out;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		fill(&states[i], i + 1);
	}
	buf_init(&out, 1 << 24);
	assert_int_equal(stream_table_encode(states, 100, &out), 0);
	assert_int_equal(stream_table_decode(buf_slice(&out), &back, &n), 0);
	assert_int_equal(n, 100);
	for (unsigned i = 0; i < 100; i++) {
		struct stream_state a = states[i], b = back[i];

		assert_int_equal(a.path == NULL, b.path == NULL);
		assert_true(a.path == NULL || strcmp(a.path, b.path) == 0);
		assert_int_equal(a.ino, b.ino);
		assert_int_equal(a.acked, b.acked);
		assert_int_equal(a.h, b.h);
		assert_int_equal(a.top.position, b.top.position);
		assert_int_equal(a.top.h, b.top.h);
		assert_int_equal(a.first.position, b.first.position);
		assert_int_equal(a.first.h, b.first.h);
		assert_int_equal(a.mtime_ns, b.mtime_ns);
		assert_int_equal(a.finished, b.finished);
		assert_int_equal(a.fork, b.fork);
		assert_int_equal(a.away_ns, b.away_ns);
		assert_int_equal(a.n_rungs, b.n_rungs);
		assert_memory_equal(a.rungs, b.rungs, sizeof a.rungs);
	}
	stream_states_free(back, n);
	/* Every shorter one is refused. */
	for (size_t cut = 0; cut < out.n; cut += 1 + cut / 50) {
		assert_true(stream_table_decode(slice(out.p, cut), &back, &n) <
			    0);
		assert_null(back);
	}
	out.p[4]++;
	assert_int_equal(stream_table_decode(buf_slice(&out), &back, &n),
			 ERR_VERSION);
	buf_fini(&out);
	assert_int_equal(stream_table_encode(states, STREAM_TABLE_MAX + 1,
					     &out), ERR_TOO_LARGE);
	stream_states_free(states, 100);
}

static void rotated_names_are_known(void **state)
{
	(void)state;
	assert_true(names_is_rotation("/a/x.log.1", "/b/x.log"));
	assert_true(names_is_rotation("x.log-20261122", "/b/x.log"));
	assert_false(names_is_rotation("/a/x.log", "/a/x.log"));
	assert_false(names_is_rotation("/a/x.logs", "/a/x.log"));
	assert_true(names_related("/a/x.log.1", "/a/x.log.2.gz"));
	assert_false(names_related("/a/y.log", "/a/x.log"));
	assert_true(names_is_numbered("/a/x.log.1", "/a/x.log"));
	assert_true(names_is_numbered("/a/x.log-20261122-1", "/a/x.log"));
	assert_true(names_is_numbered("/a/x.log.old", "/a/x.log"));
	assert_false(names_is_numbered("/a/x.log.swp", "/a/x.log"));
	assert_false(names_is_numbered("/a/x.log", "/a/x.log"));
	assert_true(names_is_numbered("/a/x.1.2", "/a/x.1"));
	assert_true(names_compressed("x.log.1.gz"));
}

static void globs_match_whole_components(void **state)
{
	(void)state;
	assert_true(names_matches("/var/log/*.log", "/var/log/a.log"));
	assert_false(names_matches("/var/log/*.log", "/var/log/d/a.log"));
	assert_false(names_matches("/var/log/*.log", "/var/log/.a.log"));
	assert_true(names_could_match("/var/*/x", "/var/log"));
	assert_false(names_could_match("/var/*/x", "/var/log/y"));
	assert_false(names_could_match("/var/x", "/var/x/y"));
	assert_false(names_glob_valid("relative/*.log"));
}

static void a_watermark_goes_back_to_what_is_known(void **state)
{
	struct stream_state st = {0};
	const uint64_t theirs = 77;

	(void)state;
	for (uint64_t at = 100; at <= 500; at += 100) {
		stream_state_acked(&st, at, at + 1);
	}
	/* Not above where it stands. */
	assert_int_equal(stream_state_lower(&st, 500, NULL), 0);
	assert_int_equal(st.acked, 500);
	/* To the highest rung that is not above. */
	assert_int_equal(stream_state_lower(&st, 350, NULL), 0);
	assert_int_equal(st.acked, 300);
	assert_int_equal(st.h, 301);
	assert_int_equal(st.n_rungs, 2);
	/* The file is still recognised by all that was read. */
	assert_int_equal(st.top.position, 500);
	assert_int_equal(st.top.h, 501);
	/* To the collector's own place, with its H. */
	assert_int_equal(stream_state_lower(&st, 250, &theirs), 0);
	assert_int_equal(st.acked, 250);
	assert_int_equal(st.h, 77);
	assert_int_equal(st.top.position, 500);
	/* Nothing below is known but the beginning. */
	assert_int_equal(stream_state_lower(&st, 50, NULL), 0);
	assert_int_equal(st.acked, 0);
	assert_int_equal(st.n_rungs, 0);
}

static void a_watermark_does_not_go_below_its_stream(void **state)
{
	struct stream_state st = {.start = 100, .acked = 100, .h = 5};

	(void)state;
	/* It stands at its start: it is read again from there. */
	assert_int_equal(stream_state_lower(&st, 10, NULL), 0);
	assert_int_equal(st.acked, 100);
	assert_int_equal(st.h, 5);
	stream_state_acked(&st, 200, 6);
	stream_state_acked(&st, 300, 7);
	assert_int_equal(stream_state_lower(&st, 10, NULL), 0);
	assert_int_equal(st.acked, 100);
	assert_int_equal(st.h, 5);
}

static int some_bytes(struct sys *sys, void *out, size_t n)
{
	(void)sys;
	memset(out, 0x5a, n);
	return 0;
}

static void an_id_says_that_its_stream_ends_with_its_process(void **state)
{
	static const struct sys_ops ops = {.random = some_bytes};
	unsigned char other[STREAM_SECRET];
	struct sys sys = {.ops = &ops};
	struct stream_id id, any;

	(void)state;
	memset(&any, 0x5a, sizeof any);
	assert_int_equal(stream_id_once(&sys, secret, &id), 0);
	assert_memory_equal(&id, &any, 8);
	assert_true(stream_is_once(secret, &id));
	assert_false(stream_is_once(secret, &any));
	for (size_t i = 0; i < sizeof other; i++) {
		other[i] = (unsigned char)(i * i);
	}
	assert_false(stream_is_once(other, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_says_that_its_stream_ends_with_its_process),
		cmocka_unit_test(the_hash_is_that_of_the_bytes_before),
		cmocka_unit_test(the_last_bytes_are_kept),
		cmocka_unit_test(a_watermark_goes_back_to_what_is_known),
		cmocka_unit_test(a_watermark_does_not_go_below_its_stream),
		cmocka_unit_test(the_ladder_is_bounded_and_thin_in_the_past),
		cmocka_unit_test(a_table_comes_back_as_it_was),
		cmocka_unit_test(rotated_names_are_known),
		cmocka_unit_test(globs_match_whole_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
