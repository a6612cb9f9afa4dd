/* Unit tests of wire/segment.h against a device that has the key and uses it for
 * anything: what stands behind the authentication must hold as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/err.h"
#include "wire/chain.h"
#include "wire/hpke.h"

enum { WINDOW_LOG = 15 };

struct fixture {
	struct chain chain;
	uint8_t key[AEAD_KEY];
	struct buf header, batch, body;
	struct seal_secret secret;
	struct opener *opener;
	ZSTD_CCtx *zstd;
	char packed[4096];
	size_t n_packed;
};

/* A header that commits to `committed` and wraps `wrapped`. */
static void make_header(struct fixture *f, const uint8_t committed[AEAD_KEY],
			const uint8_t wrapped[AEAD_KEY])
{
	static const uint8_t ephemeral[32] = {9};
	struct segment_info *info = &f->chain.info;
	struct segment_wrap wrap;
	uint8_t hpke_info[WRAP_INFO];

	buf_clear(&f->header);
	*info = (struct segment_info){.version = SEGMENT_VERSION,
				      .lane = LANE_FILE,
				      .number = 1,
				      .window_log = WINDOW_LOG,
				      .n_recipients = 1};
	assert_int_equal(segment_core_encode(info, &f->header), 0);
	assert_int_equal(segment_commitment(info->commitment,
					    buf_slice(&f->header), committed),
			 0);
	buf_clear(&f->header);
	assert_int_equal(segment_core_encode(info, &f->header), 0);
	assert_int_equal(segment_batch_key(f->key, buf_slice(&f->header),
					   committed),
			 0);
	assert_int_equal(chain_start(&f->chain, buf_slice(&f->header)), 0);
	memcpy(wrap.key_id, f->secret.pub.id, 8);
	segment_wrap_info(hpke_info, info, wrap.key_id);
	assert_int_equal(hpke_seal(wrap.enc, wrap.sealed,
				   f->secret.pub.public_key, ephemeral,
				   slice(hpke_info, sizeof hpke_info),
				   slice(info->commitment, 32),
				   slice(wrapped, AEAD_KEY)),
			 0);
	assert_int_equal(segment_wraps_encode(&wrap, 1, &f->header), 0);
}

static const uint8_t key_a[AEAD_KEY] = {1}, key_b[AEAD_KEY] = {2};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	buf_init(&f->header, LIMIT_SEGMENT_HEADER);
	buf_init(&f->batch, LIMIT_BATCH_SEALED);
	buf_init(&f->body, LIMIT_BATCH_DECODED);
	f->secret.secret[0] = 1;
	assert_int_equal(seal_secret_derive(&f->secret), 0);
	f->zstd = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_windowLog, WINDOW_LOG);
	make_header(f, key_a, key_a);
	assert_int_equal(opener_new(&f->opener, buf_slice(&f->header),
				    &f->secret, 1),
			 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	opener_free(f->opener);
	chain_fini(&f->chain);
	buf_fini(&f->header);
	buf_fini(&f->batch);
	buf_fini(&f->body);
	ZSTD_freeCCtx(f->zstd);
	free(f);
	return 0;
}

/* Seals f->packed as it is, with this claim of its size, and opens it. */
static int open_packed(struct fixture *f, uint32_t decoded)
{
	static const uint8_t fresh[BATCH_NONCE];
	uint8_t aad[AAD_MAX], nonce[AEAD_NONCE];
	struct batch_head h = {.index = f->chain.next,
			       .decoded = decoded,
			       .n_streams = 1};
	size_t at;
	int rc;

	h.streams[0].count = 1;
	h.streams[0].start = h.streams[0].end = f->chain.next;
	buf_clear(&f->batch);
	assert_int_equal(buf_add(&f->batch, fresh, sizeof fresh), 0);
	assert_int_equal(chain_encode(&f->chain, &h, &f->batch), 0);
	at = f->batch.n;
	assert_int_equal(buf_add(&f->batch, f->packed, f->n_packed), 0);
	assert_int_equal(buf_reserve(&f->batch, AEAD_TAG), 0);
	chain_nonce(nonce, h.index, fresh);
	assert_int_equal(
		aead_seal(f->key, nonce,
			  slice(aad, chain_aad(&f->chain, &h, aad)),
			  (uint8_t *)f->batch.p + at, f->n_packed),
		0);
	f->batch.n += AEAD_TAG;
	rc = opener_open(f->opener, buf_slice(&f->batch), &h, &f->body);
	if (rc == 0) {
		assert_int_equal(chain_reserve(&f->chain, 1), 0);
		chain_commit(&f->chain, &h);
	}
	return rc;
}

static void pack(struct fixture *f, const char *text, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {text, strlen(text), 0};
	ZSTD_outBuffer out = {f->packed, sizeof f->packed, f->n_packed};

	assert_false(ZSTD_isError(
		ZSTD_compressStream2(f->zstd, &out, &in, end)));
	f->n_packed = out.pos;
}

static void an_honest_body_opens(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		f->n_packed = 0;
		pack(f, "some text", ZSTD_e_flush);
		assert_int_equal(open_packed(f, 9), 0);
		assert_int_equal(f->body.n, 9);
	}
}

static void a_lie_about_the_size_is_refused(void **state)
{
	struct fixture *f = *state;
	static const uint32_t lies[] = {1, 8, 10, 100, LIMIT_BATCH_DECODED};

	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		tear_down(state);
		set_up(state);
		f = *state;
		pack(f, "some text", ZSTD_e_flush);
		assert_int_equal(open_packed(f, lies[i]), ERR_COMPRESS);
		assert_int_equal(f->body.n, 0);
		/* Its history is in the middle of something. */
		assert_int_equal(open_packed(f, 9), ERR_POISONED);
	}
}

static void bytes_behind_the_body_are_refused(void **state)
{
	struct fixture *f = *state;

	pack(f, "some text", ZSTD_e_flush);
	memcpy(f->packed + f->n_packed, "garbage", 7);
	f->n_packed += 7;
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

/* A second block that the claimed size would hide for the next batch. */
static void a_body_hidden_behind_the_body_is_refused(void **state)
{
	struct fixture *f = *state;

	pack(f, "some text", ZSTD_e_flush);
	pack(f, "hidden", ZSTD_e_flush);
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

static void a_frame_that_ends_is_refused(void **state)
{
	struct fixture *f = *state;

	pack(f, "some text", ZSTD_e_end);
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

static void what_is_no_zstd_is_refused(void **state)
{
	struct fixture *f = *state;

	memcpy(f->packed, "some text", 9);
	f->n_packed = 9;
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

static void a_window_larger_than_the_header_says_is_refused(void **state)
{
	struct fixture *f = *state;

	ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_windowLog, WINDOW_LOG + 1);
	pack(f, "some text", ZSTD_e_flush);
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

static void half_a_block_is_refused(void **state)
{
	struct fixture *f = *state;

	pack(f, "some text", ZSTD_e_flush);
	f->n_packed -= 3;
	assert_int_equal(open_packed(f, 9), ERR_COMPRESS);
}

static void a_key_other_than_the_committed_one_is_refused(void **state)
{
	struct fixture *f = *state;
	struct opener *o;

	make_header(f, key_a, key_b);
	assert_int_equal(opener_new(&o, buf_slice(&f->header), &f->secret, 1),
			 ERR_AUTH);
	assert_null(o);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(an_honest_body_opens),
		T(a_lie_about_the_size_is_refused),
		T(bytes_behind_the_body_are_refused),
		T(a_body_hidden_behind_the_body_is_refused),
		T(a_frame_that_ends_is_refused),
		T(what_is_no_zstd_is_refused),
		T(a_window_larger_than_the_header_says_is_refused),
		T(half_a_block_is_refused),
		T(a_key_other_than_the_committed_one_is_refused),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
