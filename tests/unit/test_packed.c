#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "tests/support/memory_sys.h"
#include "tests/support/compress.h"

enum { N = 700000, WINDOW = 300000 };

static char *text; /* N bytes that compress somewhat */

static int make_text(void **state)
{
	uint64_t r = 88172645463325252u;

	(void)state;
	text = malloc(N);
	for (size_t i = 0; text != NULL && i < N; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		text[i] = (char)(i % 61 == 60 ? '\n' : 'a' + (r >> 20) % 16);
	}
	return text == NULL;
}

static int drop_text(void **state)
{
	(void)state;
	free(text);
	return 0;
}

/* All of the content in pieces of `piece` bytes into out (of n bytes): how many, or the
 * error. */
static int64_t read_all(const void *packed, size_t packed_n,
			enum content_kind kind, size_t piece, char *out, size_t n)
{
	struct memory_sys m;
	struct content *u;
	uint64_t at = 0;
	int64_t got;

	memory_sys_init(&m, "x", packed, packed_n);
	assert_int_equal(content_open(&u, &m.sys, 3, kind, WINDOW), 0);
	do {
		size_t want = n - at < piece ? n - at : piece;

		got = content_pread(u, out + at, want > 0 ? want : 1, at);
		if (got > 0) {
			at += (uint64_t)got;
		}
		assert_true(at <= n);
	} while (got > 0 || got == UV_EAGAIN);
	content_close(u);
	return got < 0 ? got : (int64_t)at;
}

static void what_was_compressed_is_read_whole_in_any_pieces(void **state)
{
	static const size_t pieces[] = {7, 4096, 100001, WINDOW};
	unsigned char *packed = malloc(compress_bound(N));
	char *out = malloc(N + 1);

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);
		size_t n = compress_bytes(kind, text, N, packed);

		for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
			assert_int_equal(read_all(packed, n, kind, pieces[i],
						  out, N + 1), N);
			assert_memory_equal(out, text, N);
		}
	}
	free(packed);
	free(out);
}

static void several_members_are_one_content(void **state)
{
	unsigned char *packed = malloc(2 * compress_bound(1000));
	char out[2001];

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);
		size_t n = compress_bytes(kind, text, 1000, packed);

		n += compress_bytes(kind, text + 1000, 1000, packed + n);
		assert_int_equal(read_all(packed, n, kind, 300, out, sizeof out),
				 2000);
		assert_memory_equal(out, text, 2000);
	}
	free(packed);
}

static void without_its_trailer_nothing_counts(void **state)
{
	unsigned char *packed = malloc(compress_bound(3000));
	char out[3001];

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);
		size_t n = compress_bytes(kind, text, 3000, packed);

		for (size_t cut = 0; cut < n; cut++) {
			assert_int_equal(read_all(packed, cut, kind, 1000, out,
						  sizeof out), ERR_TRUNCATED);
		}
	}
	free(packed);
}

/* zstd's frames as the library writes them here bear no checksum. */
static void a_flipped_byte_never_passes_the_checksum(void **state)
{
	unsigned char *packed = malloc(compress_bound(3000));
	char out[200000];

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);
		size_t n = compress_bytes(kind, text, 3000, packed);

		for (size_t i = 0; i < n && kind != CONTENT_ZSTD; i++) {
			int64_t got;

			packed[i] ^= 0x55;
			got = read_all(packed, n, kind, 1000, out, sizeof out);
			/* A name or a time in gzip's head may be anything. */
			assert_true(got < 0 ||
				    (got == 3000 &&
				     memcmp(out, text, 3000) == 0));
			packed[i] ^= 0x55;
		}
	}
	free(packed);
}

static void one_may_go_back(void **state)
{
	unsigned char *packed = malloc(compress_bound(N));
	struct memory_sys m;
	struct content *u;
	char out[100];
	static const uint64_t places[] = {0, 650000, 649000, 10, 300000, 5};

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);
		size_t n = compress_bytes(kind, text, N, packed);

		memory_sys_init(&m, "x", packed, n);
		assert_int_equal(content_open(&u, &m.sys, 3, kind, WINDOW), 0);
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
			int64_t got;

			do {
				got = content_pread(u, out, sizeof out, places[i]);
			} while (got == UV_EAGAIN);
			assert_int_equal(got, sizeof out);
			assert_memory_equal(out, text + places[i], sizeof out);
		}
		content_close(u);
	}
	free(packed);
}

static void a_window_beyond_the_limit_is_refused(void **state)
{
	size_t room = ZSTD_compressBound(N);
	unsigned char *packed = malloc(room);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = {text, N, 0};
	ZSTD_outBuffer out = {packed, room, 0};
	char content[100];

	(void)state;
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27);
	while (ZSTD_compressStream2(c, &out, &in, ZSTD_e_continue) != 0 &&
	       in.pos < in.size) {
	}
	while (ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) != 0) {
	}
	assert_int_equal(read_all(packed, out.pos, CONTENT_ZSTD, 100, content,
				  sizeof content), ERR_LIMIT);
	ZSTD_freeCCtx(c);
	free(packed);
}

/* gzip pads like this for tapes, and so does dd: it is no damage, however short. */
static void zeros_behind_a_gzip_member_are_no_damage(void **state)
{
	static const size_t zeros[] = {1, 7, 511, 4096, 65535, 65536, 200000};
	unsigned char *packed = calloc(1, 2 * compress_bound(3000) + 400000);
	char *out = malloc(7000);
	size_t n = compress_bytes(CONTENT_GZIP, text, 3000, packed);

	(void)state;
	for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
		size_t end = n + zeros[i];

		assert_int_equal(read_all(packed, end, CONTENT_GZIP, 1000, out, 7000),
				 3000);
		/* A member behind them counts; anything else is damage. */
		end += compress_bytes(CONTENT_GZIP, text + 3000, 3000, packed + end);
		assert_int_equal(read_all(packed, end, CONTENT_GZIP, 1000, out, 7000),
				 6000);
		assert_memory_equal(out, text, 6000);
		packed[n + zeros[i]] = 'x';
		assert_int_equal(read_all(packed, end, CONTENT_GZIP, 1000, out, 7000),
				 ERR_MALFORMED);
		memset(packed + n, 0, end - n);
	}
	free(packed);
	free(out);
}

static void nothing_but_zeros_is_no_member(void **state)
{
	static const unsigned char zeros[4096];
	char out[10];

	(void)state;
	assert_int_equal(read_all(zeros, sizeof zeros, CONTENT_GZIP, 10, out, sizeof out),
			 ERR_MALFORMED);
}

/* The bytes of a file, and behind them for ever zeros, as a sparse file has them, or
 * empty frames that are skipped. */
struct endless {
	struct memory_sys memory; /* first */
	enum content_kind kind;
	uint64_t bytes;           /* that were read */
};

static int64_t endless_pread(struct sys *s, int fd, void *buf, size_t n, uint64_t offset)
{
	static const unsigned char frame[8] = {0x50, 0x2a, 0x4d, 0x18};
	struct endless *e = (struct endless *)s;
	int64_t got = memory_pread(s, fd, buf, n, offset);
	size_t from = got > 0 ? (size_t)got : 0;
	unsigned char *p = buf;

	e->bytes += n;
	for (size_t i = from; i < n; i++) {
		p[i] = e->kind == CONTENT_ZSTD
			       ? frame[(offset + i - e->memory.n) % sizeof frame]
			       : 0;
	}
	return (int64_t)n;
}

static void what_decodes_to_nothing_ends_a_call_as_well(void **state)
{
	unsigned char packed[COMPRESS_ROOM + 2000];
	char out[1001];

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		struct endless e = {.kind = compress_kind(k)};
		size_t n = compress_bytes(e.kind, text, 1000, packed);
		struct content *u;

		memory_sys_init(&e.memory, "x", packed, n);
		e.memory.ops.pread = endless_pread;
		assert_int_equal(content_open(&u, &e.memory.sys, 3, e.kind, WINDOW), 0);
		assert_int_equal(content_pread(u, out, 1000, 0), 1000);
		for (int call = 0; call < 5; call++) {
			e.bytes = 0;
			assert_int_equal(content_pread(u, out, 1, 1000), UV_EAGAIN);
			assert_in_range(e.bytes, 1, CONTENT_STEP_IN + 65536);
		}
		content_close(u);
	}
}

static void a_plain_file_may_bear_any_name(void **state)
{
	struct memory_sys m;

	(void)state;
	memory_sys_init(&m, "x", (const uint8_t *)"plain text\n", 11);
	assert_int_equal(content_kind_of("/log/a.gz", &m.sys, 3), CONTENT_PLAIN);
	memory_sys_init(&m, "x", (const uint8_t *)"\x1f\x8b\x08", 3);
	assert_int_equal(content_kind_of("/log/a.gz", &m.sys, 3), CONTENT_GZIP);
	assert_int_equal(content_kind_of("/log/a", &m.sys, 3), CONTENT_PLAIN);
	assert_false(content_can(CONTENT_BZIP2));
}

/* n equal bytes, packed: read in pieces, without keeping them. */
static int64_t read_zeros(enum content_kind kind, size_t n, uint64_t *decoded)
{
	char *zeros = calloc(1, n), *out = malloc(WINDOW);
	unsigned char *packed = malloc(compress_bound(n));
	struct memory_sys m;
	struct content *u;
	int64_t got;

	memory_sys_init(&m, "x", packed, compress_bytes(kind, zeros, n, packed));
	assert_int_equal(content_open(&u, &m.sys, 3, kind, WINDOW), 0);
	*decoded = 0;
	do {
		got = content_pread(u, out, WINDOW, *decoded);
		*decoded += got > 0 ? (uint64_t)got : 0;
	} while (got > 0 || got == UV_EAGAIN);
	content_close(u);
	free(zeros);
	free(out);
	free(packed);
	return got;
}

static void what_holds_far_more_than_its_size_lets_expect_is_given_up(void **state)
{
	const size_t much = (size_t)CONTENT_FREE + 48 * 1024 * 1024;
	uint64_t decoded;

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		enum content_kind kind = compress_kind(k);

		/* A small one may be anything. */
		assert_int_equal(read_zeros(kind, 2 * 1024 * 1024, &decoded), 0);
		assert_int_equal(decoded, 2 * 1024 * 1024);
		assert_int_equal(read_zeros(kind, much, &decoded), ERR_TOO_LARGE);
		assert_true(decoded <= much);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_compressed_is_read_whole_in_any_pieces),
		cmocka_unit_test(several_members_are_one_content),
		cmocka_unit_test(without_its_trailer_nothing_counts),
		cmocka_unit_test(a_flipped_byte_never_passes_the_checksum),
		cmocka_unit_test(one_may_go_back),
		cmocka_unit_test(a_window_beyond_the_limit_is_refused),
		cmocka_unit_test(zeros_behind_a_gzip_member_are_no_damage),
		cmocka_unit_test(nothing_but_zeros_is_no_member),
		cmocka_unit_test(what_decodes_to_nothing_ends_a_call_as_well),
		cmocka_unit_test(a_plain_file_may_bear_any_name),
		cmocka_unit_test(what_holds_far_more_than_its_size_lets_expect_is_given_up),
	};

	return cmocka_run_group_tests(tests, make_text, drop_text);
}
