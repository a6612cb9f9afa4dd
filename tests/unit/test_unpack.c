/* A file's bytes, whatever it is packed with. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/unpack.h"
#include "common/err.h"
#include "tests/support/compress.h"

enum { TEXT = 300000 };

static char text[TEXT];

static void make_text(void)
{
	for (size_t i = 0; i < TEXT; i++) {
		text[i] = (char)('a' + i * i % 23);
	}
}

static int file_of(const void *p, size_t n)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Reads all of it in pieces; the error, or how many bytes came out. */
static int64_t read_all(const void *p, size_t n, size_t piece, char *out,
			size_t room)
{
	struct unpack *u;
	int64_t got, total = 0;

	assert_int_equal(unpack_new(&u, file_of(p, n)), 0);
	while ((got = unpack_read(u, out + total,
				  piece < room - (size_t)total
					  ? piece : room - (size_t)total)) > 0) {
		total += got;
	}
	unpack_free(u);
	return got < 0 ? got : total;
}

static const enum content_kind kinds[] = {
	CONTENT_GZIP,
	CONTENT_ZSTD,
#ifdef HAVE_LZMA
	CONTENT_XZ,
#endif
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static size_t pack(enum content_kind kind, char *out)
{
	return compress_bytes(kind, text, TEXT, (unsigned char *)out);
}

static void plain_bytes_come_out_as_they_are(void **state)
{
	static char out[TEXT + 10];

	(void)state;
	for (size_t n = 0; n < 6; n++) {
		assert_int_equal(read_all(text, n, 100, out, sizeof out), n);
		assert_memory_equal(out, text, n);
	}
	assert_int_equal(read_all(text, TEXT, 4096, out, sizeof out), TEXT);
	assert_memory_equal(out, text, TEXT);
}

static void packed_bytes_come_out_and_members_follow_one_another(void **state)
{
	static char packed[TEXT * 3], out[TEXT * 2 + 10];

	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		size_t n = pack(kinds[k], packed);

		assert_int_equal(read_all(packed, n, 1000, out, sizeof out), TEXT);
		assert_memory_equal(out, text, TEXT);
		memcpy(packed + n, packed, n);
		assert_int_equal(read_all(packed, 2 * n, 65536, out, sizeof out),
				 2 * TEXT);
		assert_memory_equal(out + TEXT, text, TEXT);
	}
}

static void what_ends_too_early_or_is_damaged_is_an_error(void **state)
{
	static char packed[TEXT * 3], out[TEXT + 10];

	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		size_t n = pack(kinds[k], packed);

		for (size_t cut = 6; cut < n; cut += n / 50 + 1) {
			assert_int_equal(read_all(packed, cut, 65536, out,
						  sizeof out), ERR_TRUNCATED);
		}
		memset(packed + n / 2, 0x55, n / 4);
		assert_true(read_all(packed, n, 65536, out, sizeof out) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_bytes_come_out_as_they_are),
		cmocka_unit_test(packed_bytes_come_out_and_members_follow_one_another),
		cmocka_unit_test(what_ends_too_early_or_is_damaged_is_an_error),
	};

	make_text();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
