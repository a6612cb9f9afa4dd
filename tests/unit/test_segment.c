/* Unit tests of wire/segment.h: sealing, following and opening, and what
 * happens when any byte is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "wire/segment.h"

enum { MAX_BATCHES = 32 };

struct fixture {
	struct seal_secret secret;
	struct sealer *sealer;
	struct opener *opener;
	struct follower *follower;
	struct buf batch[MAX_BATCHES];
	size_t n;
};

/* Randomness that fails at one call, everything else the real thing. */
static struct {
	struct sys sys;
	struct sys_ops ops;
	int countdown;
} faulty;

static int faulty_random(struct sys *s, void *out, size_t n)
{
	(void)s;
	return faulty.countdown-- == 0 ? UV_EIO
				       : sys_random(sys_plain(), out, n);
}

static struct sys *faulty_sys(int countdown)
{
	faulty.ops = *sys_plain()->ops;
	faulty.ops.random = faulty_random;
	faulty.sys.ops = &faulty.ops;
	faulty.countdown = countdown;
	return &faulty.sys;
}

static struct sealer_params params(const struct seal_key *keys, size_t n)
{
	return (struct sealer_params){
		.lane = LANE_FILE,
		.number = 7,
		.device = {{1, 2, 3}},
		.created_ms = 1795363200000,
		.window_log = 17,
		.level = 2,
		.head_every_s = 10,
		.recipients = keys,
		.n_recipients = n,
	};
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct sealer_params p;

	assert_non_null(f);
	assert_int_equal(seal_secret_new(&f->secret, sys_plain()), 0);
	p = params(&f->secret.pub, 1);
	assert_int_equal(sealer_new(&f->sealer, sys_plain(), &p), 0);
	assert_int_equal(opener_new(&f->opener, sealer_header(f->sealer),
				    &f->secret, 1),
			 0);
	assert_int_equal(
		follower_new(&f->follower, sealer_header(f->sealer)), 0);
	for (size_t i = 0; i < MAX_BATCHES; i++) {
		buf_init(&f->batch[i], LIMIT_BATCH_SEALED);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sealer_free(f->sealer);
	opener_free(f->opener);
	follower_free(f->follower);
	for (size_t i = 0; i < MAX_BATCHES; i++) {
		buf_fini(&f->batch[i]);
	}
	free(f);
	return 0;
}

static struct batch_head one_stream(uint64_t start, uint64_t end)
{
	struct batch_head h = {
		.first_ms = 1795363201000,
		.last_ms = 1795363202500,
		.n_streams = 1,
	};

	h.streams[0] = (struct batch_stream){
		.id = {{9, 9, 9}}, .start = start, .end = end, .count = 3,
		.h = 0x1122334455667788};
	return h;
}

/* Seals body as the next batch. */
static struct slice seal(struct fixture *f, struct batch_head *h,
			 struct slice body)
{
	struct buf *out = &f->batch[f->n++];

	assert_int_equal(sealer_seal(f->sealer, h, body, out), 0);
	return buf_slice(out);
}

static void assert_heads_equal(const struct batch_head *a,
			       const struct batch_head *b)
{
	assert_int_equal(a->index, b->index);
	assert_int_equal(a->first_ms, b->first_ms);
	assert_int_equal(a->last_ms, b->last_ms);
	assert_int_equal(a->decoded, b->decoded);
	assert_int_equal(a->n_streams, b->n_streams);
	for (size_t i = 0; i < a->n_streams; i++) {
		const struct batch_stream *s = &a->streams[i];
		const struct batch_stream *t = &b->streams[i];

		assert_memory_equal(&s->id, &t->id, sizeof s->id);
		assert_int_equal(s->start, t->start);
		assert_int_equal(s->end, t->end);
		assert_int_equal(s->count, t->count);
		assert_int_equal(s->h, t->h);
	}
	assert_true(hash32_eq(&a->hash, &b->hash));
}

static void assert_opens(struct fixture *f, struct slice batch,
			 const struct batch_head *want, struct slice body)
{
	struct batch_head got, peeked;
	struct buf out;

	buf_init(&out, LIMIT_BATCH_DECODED);
	assert_int_equal(follower_peek(f->follower, batch, &peeked), 0);
	assert_heads_equal(want, &peeked);
	assert_int_equal(follower_commit(f->follower, &peeked), 0);
	assert_int_equal(opener_open(f->opener, batch, &got, &out), 0);
	assert_heads_equal(want, &got);
	assert_true(slice_eq(buf_slice(&out), body));
	buf_fini(&out);
}

static void a_segment_opens_as_it_was_sealed(void **state)
{
	struct fixture *f = *state;
	const struct slice bodies[] = {
		SLICE_LIT("the first body\n"),
		SLICE_LIT("x"),
		SLICE_LIT("the first body\nand more of it\n"),
	};
	uint64_t at = 5;

	for (size_t i = 0; i < 3; i++) {
		struct batch_head h = one_stream(at, at + 100);
		struct slice b;

		at += 100;
		if (i == 2) { /* One more stream joins, the first jumps. */
			h.n_streams = 2;
			h.streams[1] = h.streams[0];
			h.streams[0].id.b[0] = 77;
			h.streams[0].start = 0;
			h.streams[1].start += 50;
			h.first_ms -= 100000;
		}
		b = seal(f, &h, bodies[i]);
		assert_int_equal(h.index, i);
		assert_int_equal(h.decoded, bodies[i].n);
		assert_opens(f, b, &h, bodies[i]);
	}
	assert_int_equal(sealer_next_index(f->sealer), 3);
	assert_int_equal(opener_next_index(f->opener), 3);
	assert_int_equal(follower_next_index(f->follower), 3);
}

static void the_header_says_what_the_sealer_was_told(void **state)
{
	struct fixture *f = *state;
	const struct segment_info *i = follower_info(f->follower);
	struct hash32 s = sealer_hash(f->sealer);
	struct hash32 t = follower_hash(f->follower);

	assert_int_equal(i->version, SEGMENT_VERSION);
	assert_int_equal(i->lane, LANE_FILE);
	assert_int_equal(i->number, 7);
	assert_int_equal(i->created_ms, 1795363200000);
	assert_int_equal(i->window_log, 17);
	assert_int_equal(i->head_every_s, 10);
	assert_int_equal(i->device.b[2], 3);
	assert_int_equal(i->n_recipients, 1);
	assert_memory_equal(i->recipient[0], f->secret.pub.id, 8);
	assert_memory_equal(i, sealer_info(f->sealer), sizeof *i);
	assert_memory_equal(i, opener_info(f->opener), sizeof *i);
	assert_true(hash32_eq(&s, &t));
}

static void a_quiet_batch_has_forty_bytes_beside_its_text(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(0, 100);
	static char noise[64];
	struct slice b;

	for (size_t i = 0; i < sizeof noise; i++) {
		noise[i] = (char)rand(); /* Incompressible: zstd adds 3. */
	}
	seal(f, &h, slice(noise, sizeof noise));
	h = one_stream(100, 200);
	h.first_ms += 60000;
	h.last_ms += 60000;
	b = seal(f, &h, slice(noise, sizeof noise));
	h = one_stream(200, 300);
	for (size_t i = 0; i < sizeof noise; i++) {
		noise[i] = (char)rand();
	}
	b = seal(f, &h, slice(noise, sizeof noise));
	assert_in_range(b.n, 0, sizeof noise + 3 + 42);
}

static void either_of_two_recipients_opens(void **state)
{
	struct fixture *f = *state;
	struct seal_secret two[2];
	struct seal_key keys[2];
	struct sealer_params p = params(keys, 2);
	struct batch_head h = one_stream(0, 3);
	struct sealer *s;
	struct opener *o;
	struct buf out, body;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(seal_secret_new(&two[i], sys_plain()), 0);
		keys[i] = two[i].pub;
	}
	buf_init(&out, LIMIT_BATCH_SEALED);
	buf_init(&body, LIMIT_BATCH_DECODED);
	assert_int_equal(sealer_new(&s, sys_plain(), &p), 0);
	assert_int_equal(sealer_seal(s, &h, SLICE_LIT("abc"), &out), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(opener_new(&o, sealer_header(s), &two[i], 1),
				 0);
		assert_int_equal(opener_open(o, buf_slice(&out), NULL, &body),
				 0);
		assert_true(slice_eq(buf_slice(&body), SLICE_LIT("abc")));
		opener_free(o);
	}
	assert_int_equal(opener_new(&o, sealer_header(s), &f->secret, 1),
			 ERR_NOT_OURS);
	assert_null(o);
	sealer_free(s);
	buf_fini(&out);
	buf_fini(&body);
}

/* The core's length in the header of one recipient. */
static size_t core_of(struct slice header)
{
	return header.n - 1 - (8 + 32 + 48);
}

static void every_flipped_bit_of_the_header_shows(void **state)
{
	struct fixture *f = *state;
	struct slice good = sealer_header(f->sealer);
	struct hash32 want = follower_hash(f->follower);
	char *bad = malloc(good.n);

	assert_non_null(bad);
	for (size_t i = 0; i < good.n * 8; i++) {
		struct follower *fo;
		struct opener *o;
		struct hash32 got;
		int rc;

		memcpy(bad, good.p, good.n);
		bad[i / 8] = (char)(bad[i / 8] ^ 1 << i % 8);
		assert_int_not_equal(opener_new(&o, slice(bad, good.n),
						&f->secret, 1),
				     0);
		assert_null(o);
		rc = follower_new(&fo, slice(bad, good.n));
		if (rc == 0) {
			/* The recipients stand beside the chain. */
			got = follower_hash(fo);
			assert_int_equal(hash32_eq(&got, &want),
					 i / 8 >= core_of(good));
		}
		follower_free(fo);
	}
	free(bad);
}

static void every_flipped_bit_of_a_batch_shows(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(3, 50), got;
	struct slice good = seal(f, &h, SLICE_LIT("some body\nof two lines\n"));
	struct buf body;
	char *bad = malloc(good.n);

	assert_non_null(bad);
	buf_init(&body, LIMIT_BATCH_DECODED);
	for (size_t i = 0; i < good.n * 8; i++) {
		memcpy(bad, good.p, good.n);
		bad[i / 8] = (char)(bad[i / 8] ^ 1 << i % 8);
		assert_int_not_equal(opener_open(f->opener,
						 slice(bad, good.n), NULL,
						 &body),
				     0);
		assert_int_equal(body.n, 0);
		if (follower_peek(f->follower, slice(bad, good.n), &got) ==
		    0) {
			assert_false(hash32_eq(&got.hash, &h.hash));
		}
	}
	/* Refusing has not moved anything. */
	assert_opens(f, good, &h, SLICE_LIT("some body\nof two lines\n"));
	buf_fini(&body);
	free(bad);
}

static void truncated_headers_and_batches_are_refused(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(3, 50), got;
	struct slice header = sealer_header(f->sealer);
	struct slice good = seal(f, &h, SLICE_LIT("some body\n"));
	struct buf body;

	buf_init(&body, LIMIT_BATCH_DECODED);
	for (size_t i = 0; i < header.n; i++) {
		char *cut = malloc(i + 1);
		struct follower *fo;
		struct opener *o;

		memcpy(cut, header.p, i);
		assert_int_not_equal(follower_new(&fo, slice(cut, i)), 0);
		assert_int_not_equal(
			opener_new(&o, slice(cut, i), &f->secret, 1), 0);
		free(cut);
	}
	for (size_t i = 0; i < good.n; i++) {
		char *cut = malloc(i + 1);
		int rc;

		memcpy(cut, good.p, i);
		assert_int_not_equal(
			opener_open(f->opener, slice(cut, i), NULL, &body), 0);
		rc = follower_peek(f->follower, slice(cut, i), &got);
		assert_true(rc != 0 || !hash32_eq(&got.hash, &h.hash));
		free(cut);
	}
	assert_opens(f, good, &h, SLICE_LIT("some body\n"));
	buf_fini(&body);
}

static void replay_reorder_and_omission_are_refused(void **state)
{
	struct fixture *f = *state;
	struct batch_head h[3];
	struct slice b[3];
	struct buf body;

	buf_init(&body, LIMIT_BATCH_DECODED);
	for (size_t i = 0; i < 3; i++) {
		h[i] = one_stream(i * 10, i * 10 + 10);
		b[i] = seal(f, &h[i], SLICE_LIT("same body\n"));
	}
	assert_int_not_equal(opener_open(f->opener, b[1], NULL, &body), 0);
	assert_opens(f, b[0], &h[0], SLICE_LIT("same body\n"));
	assert_int_not_equal(opener_open(f->opener, b[0], NULL, &body), 0);
	assert_int_not_equal(opener_open(f->opener, b[2], NULL, &body), 0);
	assert_opens(f, b[1], &h[1], SLICE_LIT("same body\n"));
	assert_opens(f, b[2], &h[2], SLICE_LIT("same body\n"));
	buf_fini(&body);
}

static void a_commit_at_another_index_is_refused(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(0, 10), got;
	struct slice b = seal(f, &h, SLICE_LIT("body\n"));

	assert_int_equal(follower_peek(f->follower, b, &got), 0);
	assert_int_equal(follower_commit(f->follower, &got), 0);
	assert_int_equal(follower_commit(f->follower, &got), UV_EINVAL);
	assert_int_equal(follower_next_index(f->follower), 1);
}

static void a_batch_with_a_stream_twice_is_not_sealed(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(0, 10);

	h.n_streams = 2;
	h.streams[1] = h.streams[0];
	assert_int_equal(sealer_seal(f->sealer, &h, SLICE_LIT("b"),
				     &f->batch[0]),
			 UV_EINVAL);
	assert_int_equal(f->batch[0].n, 0);
	/* Its state is unknown from here on. */
	h.n_streams = 1;
	assert_int_equal(sealer_seal(f->sealer, &h, SLICE_LIT("b"),
				     &f->batch[0]),
			 ERR_POISONED);
}

static void bodies_of_any_size_within_the_limit_pass(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {1, 2, 255, 131071, 131072, 131073,
				       LIMIT_BATCH_DECODED};
	char *noise = malloc(LIMIT_BATCH_DECODED + 1);
	struct batch_head h;

	assert_non_null(noise);
	for (size_t i = 0; i <= LIMIT_BATCH_DECODED; i++) {
		noise[i] = (char)rand();
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct slice body = slice(noise, sizes[i]), b;

		h = one_stream(0, 1);
		b = seal(f, &h, body);
		assert_opens(f, b, &h, body);
	}
	h = one_stream(0, 1);
	assert_int_equal(sealer_seal(f->sealer, &h,
				     slice(noise, LIMIT_BATCH_DECODED + 1),
				     &f->batch[f->n]),
			 ERR_TOO_LARGE);
	free(noise);
}

static void streams_come_and_go_up_to_the_limit(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	unsigned made = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	while (f->n < MAX_BATCHES) {
		struct batch_head h = one_stream(0, 0);
		struct slice body = SLICE_LIT("lines\n"), b;
		const unsigned known = made;

		h.n_streams = 1 + (size_t)rand() % LIMIT_BATCH_STREAMS;
		for (size_t i = 0; i < h.n_streams; i++) {
			unsigned no = i < 8 && known > 8
					      ? (known - 8 + (unsigned)i)
					      : made++;

			memset(&h.streams[i].id, 0, 16);
			memcpy(&h.streams[i].id, &no, sizeof no);
			h.streams[i].start = (uint64_t)rand();
			h.streams[i].end =
				h.streams[i].start + (uint64_t)rand();
			h.streams[i].count = 1 + (uint32_t)rand() % 1000;
			h.streams[i].h = (uint64_t)rand() << 33;
		}
		if (made > LIMIT_SEGMENT_STREAMS) {
			assert_int_equal(sealer_seal(f->sealer, &h, body,
						     &f->batch[f->n]),
					 ERR_FULL);
			return;
		}
		b = seal(f, &h, body);
		assert_opens(f, b, &h, body);
	}
}

/* The chain as docs/segment.md has it, written down once more. */
static void the_chain_is_the_one_of_the_document(void **state)
{
	struct fixture *f = *state;
	struct batch_head h = one_stream(3, 50);
	struct slice header = sealer_header(f->sealer), b;
	const struct slice first[] = {SLICE_LIT("nightjar segment v1"),
				      slice_head(header, core_of(header))};
	struct hash32 before, want;
	struct slice parts[4];
	struct buf logical, nonce;

	assert_int_equal(hash32_of(&before, first, 2), 0);
	want = sealer_hash(f->sealer);
	assert_true(hash32_eq(&before, &want));
	seal(f, &h, SLICE_LIT("text\n"));
	b = seal(f, &h, SLICE_LIT("more\n"));
	/* The second batch: index 1, and a previous hash that is a batch's. */
	buf_init(&logical, 4096);
	buf_init(&nonce, 64);
	assert_int_equal(opener_open(f->opener, buf_slice(&f->batch[0]), &h,
				     &logical),
			 0);
	before = h.hash;
	assert_int_equal(opener_open(f->opener, b, &h, &logical), 0);
	buf_clear(&logical);
	buf_add(&logical, before.b, 32);
	buf_add_u8(&logical, 1);
	buf_add(&logical, sealer_info(f->sealer)->device.b, 32);
	buf_add_u8(&logical, LANE_FILE);
	buf_add(&logical, sealer_info(f->sealer)->id.b, 16);
	buf_add_u32(&logical, 1);
	buf_add_u64(&logical, (uint64_t)h.first_ms);
	buf_add_u64(&logical, (uint64_t)h.last_ms);
	buf_add_u32(&logical, 5);
	buf_add_u16(&logical, 1);
	buf_add(&logical, h.streams[0].id.b, 16);
	buf_add_u64(&logical, 3);
	buf_add_u64(&logical, 50);
	buf_add_u32(&logical, 3);
	buf_add_u64(&logical, 0x1122334455667788);
	assert_int_equal(logical.n, 108 + 44);
	buf_add_u32(&nonce, 1);
	buf_add(&nonce, b.p, 8);
	/* fresh 8; first, span, decoded, streams: 2, 2, 1, 1; word 1, start 1
	 * (it jumps back), length 1, count 1, h 8. */
	parts[0] = buf_slice(&logical);
	parts[1] = buf_slice(&nonce);
	parts[2] = slice_skip(b, 8 + 6 + 4 + 8);
	assert_int_equal(hash32_of(&want, parts, 3), 0);
	assert_true(hash32_eq(&want, &h.hash));
	buf_fini(&logical);
	buf_fini(&nonce);
}

/* What no sealer writes, a follower does not take. */
static void a_batch_with_a_stream_twice_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct batch_head h;
	struct buf b;

	for (int second = 0; second < 2; second++) {
		buf_init(&b, 4096);
		buf_add(&b, "randomly", 8);
		buf_add_varint(&b, 0); /* first */
		buf_add_varint(&b, 0); /* span */
		buf_add_varint(&b, 5); /* decoded */
		buf_add_varint(&b, 2); /* streams */
		for (unsigned i = 0; i < 2; i++) {
			uint8_t id[16] = {(uint8_t)(i * (unsigned)second)};

			buf_add_varint(&b, i << 1); /* New. */
			buf_add(&b, id, sizeof id);
			buf_add_varint(&b, 10); /* length */
			buf_add_varint(&b, 1);  /* count */
			buf_add_u64(&b, 0);
		}
		buf_add(&b, "ciphertext and tag....", 22);
		/* The same but for the id is fine. */
		assert_int_equal(follower_peek(f->follower, buf_slice(&b), &h),
				 second == 0 ? ERR_MALFORMED : 0);
		buf_fini(&b);
	}
}

static void impossible_parameters_are_refused(void **state)
{
	struct fixture *f = *state;
	struct sealer_params good = params(&f->secret.pub, 1), p;
	struct sealer *s;

	p = good;
	p.n_recipients = 0;
	assert_int_equal(sealer_new(&s, sys_plain(), &p), UV_EINVAL);
	p = good;
	p.n_recipients = LIMIT_RECIPIENTS + 1;
	assert_int_equal(sealer_new(&s, sys_plain(), &p), UV_EINVAL);
	p = good;
	p.window_log = 9;
	assert_int_equal(sealer_new(&s, sys_plain(), &p), UV_EINVAL);
	p = good;
	p.window_log = 28;
	assert_int_equal(sealer_new(&s, sys_plain(), &p), UV_EINVAL);
	p = good;
	p.lane = LANE_NR;
	assert_int_equal(sealer_new(&s, sys_plain(), &p), UV_EINVAL);
	assert_null(s);
}

static void failing_randomness_makes_no_segment_and_no_batch(void **state)
{
	struct fixture *f = *state;
	struct sealer_params p = params(&f->secret.pub, 1);
	struct batch_head h = one_stream(0, 1);
	struct sealer *s;
	int n;

	for (n = 0; sealer_new(&s, faulty_sys(n), &p) != 0; n++) {
		assert_null(s);
	}
	assert_int_equal(n, 3); /* Segment id, content key, ephemeral key. */
	faulty.countdown = 0;
	assert_int_equal(sealer_seal(s, &h, SLICE_LIT("b"), &f->batch[0]),
			 UV_EIO);
	assert_int_equal(f->batch[0].n, 0);
	sealer_free(s);
}

static void another_version_or_algorithm_is_named_as_such(void **state)
{
	struct fixture *f = *state;
	struct slice good = sealer_header(f->sealer);
	struct follower *fo;
	char bad[LIMIT_SEGMENT_HEADER];

	for (size_t i = 4; i < 13; i++) {
		memcpy(bad, good.p, good.n);
		bad[i]++;
		assert_int_equal(follower_new(&fo, slice(bad, good.n)),
				 ERR_VERSION);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_segment_opens_as_it_was_sealed),
		T(the_header_says_what_the_sealer_was_told),
		T(a_quiet_batch_has_forty_bytes_beside_its_text),
		T(either_of_two_recipients_opens),
		T(every_flipped_bit_of_the_header_shows),
		T(every_flipped_bit_of_a_batch_shows),
		T(truncated_headers_and_batches_are_refused),
		T(replay_reorder_and_omission_are_refused),
		T(a_commit_at_another_index_is_refused),
		T(a_batch_with_a_stream_twice_is_not_sealed),
		T(bodies_of_any_size_within_the_limit_pass),
		T(streams_come_and_go_up_to_the_limit),
		T(the_chain_is_the_one_of_the_document),
		T(a_batch_with_a_stream_twice_is_not_followed),
		T(impossible_parameters_are_refused),
		T(failing_randomness_makes_no_segment_and_no_batch),
		T(another_version_or_algorithm_is_named_as_such),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
