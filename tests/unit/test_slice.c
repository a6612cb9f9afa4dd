/* What looks at many bytes at once says what a loop over single bytes would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/slice.h"

enum { ROUNDS = 200000, ROOM = 80 };

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A text of up to ROOM bytes of few kinds, in memory of just its size, so that
 * AddressSanitizer sees what reads beside it. */
static struct slice text(uint64_t *seed, const char *of, size_t kinds)
{
	size_t n = next(seed) % ROOM;
	char *p = malloc(n == 0 ? 1 : n);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		p[i] = of[next(seed) % kinds];
	}
	return slice(p, n);
}

static size_t naive_find(struct slice s, struct slice needle, bool last)
{
	size_t found = SIZE_MAX;

	for (size_t i = 0; i + needle.n <= s.n; i++) {
		if (memcmp(s.p + i, needle.p, needle.n) == 0) {
			found = i;
			if (!last) {
				break;
			}
		}
	}
	return found;
}

static void a_text_is_found_where_a_loop_finds_it(void **state)
{
	uint64_t seed = 0x5eed0001;

	(void)state;
	printf("seed %llx\n", (unsigned long long)seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct slice s = text(&seed, "aab f", 5);
		struct slice t = text(&seed, "ab f", 4);
		struct slice needle = slice_head(t, 1 + next(&seed) % 9);

		if (needle.n > 0) {
			assert_int_equal(slice_find(s, needle),
					 naive_find(s, needle, false));
			assert_int_equal(slice_rfind(s, needle),
					 naive_find(s, needle, true));
		}
		free((void *)(uintptr_t)s.p);
		free((void *)(uintptr_t)t.p);
	}
}

static void a_byte_is_found_where_a_loop_finds_it(void **state)
{
	uint64_t seed = 0x5eed0002;

	(void)state;
	printf("seed %llx\n", (unsigned long long)seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct slice s = text(&seed, "abcdefghijklmnopqrstuvwxyz\x80\xe1", 28);
		char c = (char)('a' + next(&seed) % 26);

		assert_int_equal(slice_chr(s, c),
				 naive_find(s, slice(&c, 1), false));
		assert_int_equal(slice_rchr(s, c),
				 naive_find(s, slice(&c, 1), true));
		free((void *)(uintptr_t)s.p);
	}
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static void digits_are_counted_from_both_ends(void **state)
{
	static const char kinds[] = "01234567890123456789012345678901234567890123"
				    "4567890123456789/:\x01\x7f\x80\xb0\xb9\xba\xff ";
	uint64_t seed = 0x5eed0003;

	(void)state;
	printf("seed %llx\n", (unsigned long long)seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct slice s = text(&seed, kinds, sizeof kinds - 1);
		size_t first = 0, last = 0;

		while (first < s.n && digit(s.p[first])) {
			first++;
		}
		while (last < s.n && digit(s.p[s.n - 1 - last])) {
			last++;
		}
		assert_int_equal(slice_digits(s), first);
		assert_int_equal(slice_last_digits(s), last);
		free((void *)(uintptr_t)s.p);
	}
}

static void short_texts_are_equal_when_their_bytes_are(void **state)
{
	uint64_t seed = 0x5eed0004;

	(void)state;
	printf("seed %llx\n", (unsigned long long)seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct slice s = text(&seed, "ab", 2);
		char *copy = malloc(s.n + 1);

		assert_non_null(copy);
		memcpy(copy, s.p, s.n);
		assert_true(slice_eq_short(s, slice(copy, s.n)));
		if (s.n > 0) {
			copy[next(&seed) % s.n] ^= 3;
			assert_false(slice_eq_short(s, slice(copy, s.n)));
			assert_false(slice_eq_short(s, slice(copy, s.n - 1)));
		}
		free(copy);
		free((void *)(uintptr_t)s.p);
	}
}

static void a_dotted_quad_is_what_the_parser_of_addresses_takes(void **state)
{
	uint64_t seed = 0x5eed0005, quads = 0;

	(void)state;
	printf("seed %llx\n", (unsigned long long)seed);
	for (int round = 0; round < ROUNDS; round++) {
		char made[32], *p;
		struct slice s;
		struct ip ip;
		int n = snprintf(made, sizeof made, "%u.%u.%u.%u",
				 (unsigned)(next(&seed) % 300),
				 (unsigned)(next(&seed) % 30),
				 (unsigned)(next(&seed) % 260),
				 (unsigned)(next(&seed) % 500));

		/* One in two is spoilt somewhere. */
		if (next(&seed) % 2 == 0) {
			made[next(&seed) % (unsigned)n] = "./09:x \x80\xb1"[next(&seed) % 9];
		}
		p = malloc((size_t)n);
		assert_non_null(p);
		memcpy(p, made, (size_t)n);
		s = slice(p, (size_t)n);
		if (slice_chr(s, ':') == SIZE_MAX) {
			assert_int_equal(ip_is_quad(s), ip_parse(s, &ip));
			quads += ip_is_quad(s);
		} else {
			assert_false(ip_is_quad(s));
		}
		free(p);
	}
	assert_true(quads > ROUNDS / 10);
	assert_true(ip_is_quad(SLICE_LIT("1.2.3.4")));
	assert_true(ip_is_quad(SLICE_LIT("10.3.0.8")));
	assert_true(ip_is_quad(SLICE_LIT("255.255.255.255")));
	assert_false(ip_is_quad(SLICE_LIT("256.255.255.255")));
	assert_false(ip_is_quad(SLICE_LIT("1.2.3")));
	assert_false(ip_is_quad(SLICE_NONE));
	assert_false(ip_is_quad(SLICE_LIT("1.2.3.4.5.6.7.8")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_found_where_a_loop_finds_it),
		cmocka_unit_test(a_byte_is_found_where_a_loop_finds_it),
		cmocka_unit_test(digits_are_counted_from_both_ends),
		cmocka_unit_test(short_texts_are_equal_when_their_bytes_are),
		cmocka_unit_test(a_dotted_quad_is_what_the_parser_of_addresses_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
