#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/value.h"

static const char *why;

static void duration(const char *text, uint64_t ms)
{
	uint64_t v;

	assert_true(value_duration(slice_str(text), &v, &why));
	assert_true(v == ms);
}

static void durations_are_sums_of_units_from_the_greatest_down(void **state)
{
	static const char *const bad[] = {
		"", "10", "s", "10 s", "1.5s", "-1s", "1m1h", "1s1s", "10S", "1h30",
		"1x", " 1s", "1s ", "99999999999999999999s", "18446744073709551615s",
		"30500568904w999999999999d"};
	uint64_t v;

	(void)state;
	duration("0s", 0);
	duration("500ms", 500);
	duration("10s", 10000);
	duration("1h30m", 5400000);
	duration("1w2d3h4m5s6ms", 604800000 + 2 * 86400000 + 3 * 3600000 + 4 * 60000 +
					  5006);
	duration("90m", 5400000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = NULL;
		if (value_duration(slice_str(bad[i]), &v, &why)) {
			fail_msg("\"%s\" was taken", bad[i]);
		}
	}
}

static void sizes_have_one_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0B", 0}, {"1B", 1}, {"16KiB", 16384}, {"64MiB", 64 << 20},
		    {"1GB", 1000000000}, {"2TiB", UINT64_C(2) << 40}, {"3KB", 3000}};
	static const char *const bad[] = {"", "1", "1K", "1M", "1kb", "1 KiB", "KiB",
					  "1.5GiB", "1GiB1MiB", "-1B",
					  "99999999TiB"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(value_size(slice_str(good[i].text), &v, &why));
		assert_true(v == good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(value_size(slice_str(bad[i]), &v, &why));
	}
}

static uint64_t next(uint64_t *state)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void what_is_formatted_reads_back_as_the_same_number(void **state)
{
	uint64_t seed = 20261122, s = seed;
	char text[VALUE_TEXT];

	(void)state;
	printf("seed %" PRIu64 "\n", seed);
	for (int i = 0; i < 200000; i++) {
		uint64_t v = next(&s), back = 0;

		v >>= next(&s) % 64;
		if (i % 3 == 0) {
			v = v / 1000 * 1000;
		}
		value_format_duration(text, v);
		assert_true(value_duration(slice_str(text), &back, &why));
		assert_true(back == v);
		value_format_size(text, v);
		assert_true(value_size(slice_str(text), &back, &why));
		assert_true(back == v);
	}
}

static void host(const char *text, const char *name, unsigned port)
{
	uint16_t p = 7;
	struct slice h;

	if (!value_host_port(slice_str(text), false, &h, &p, &why)) {
		fail_msg("%s: %s", text, why);
	}
	assert_true(slice_eq(h, slice_str(name)));
	assert_int_equal(p, port);
}

static void hosts_may_have_a_port(void **state)
{
	static const char *const bad[] = {
		"", ":1", "a:", "a:0", "a:65536", "a:1x", "a b", "[::1", "[::1]x", "[a]:1",
		"[1.2.3.4]:1", "[[::1]]:1", "-a", ".a", "a..b", "a/b", "a:b:1", "a:+1",
		"[]:1", "[", "]"};
	struct slice h;
	uint16_t p;

	(void)state;
	host("a.example.net", "a.example.net", 7);
	host("a.example.net:99", "a.example.net", 99);
	host("192.0.2.1:1", "192.0.2.1", 1);
	host("2001:db8::1", "2001:db8::1", 7);
	host("[2001:db8::1]", "2001:db8::1", 7);
	host("[::]:65535", "::", 65535);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (value_host_port(slice_str(bad[i]), false, &h, &p, &why)) {
			fail_msg("\"%s\" was taken", bad[i]);
		}
	}
	assert_false(value_host_port(SLICE_LIT("localhost:1"), true, &h, &p, &why));
	assert_true(value_host_port(SLICE_LIT("127.0.0.1:1"), true, &h, &p, &why));
}

static void paths_are_absolute_and_do_not_climb(void **state)
{
	static const char *const good[] = {"/", "/a", "/a/..b/c..", "/a/...", "/*.log"};
	static const char *const bad[] = {"", "a", "./a", "/..", "/a/..", "/a/../b",
					  "/a\nb", "/a\x7f"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(value_path(slice_str(good[i]), &why));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(value_path(slice_str(bad[i]), &why));
	}
	assert_false(value_path(SLICE_LIT("/a\0b"), &why));
}

static unsigned distance(const char *a, const char *b)
{
	unsigned d = value_distance(slice_str(a), slice_str(b));

	assert_int_equal(d, value_distance(slice_str(b), slice_str(a)));
	return d;
}

static void distance_counts_slips_of_the_fingers(void **state)
{
	char longest[65];

	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("abc", ""), 3);
	assert_int_equal(distance("abc", "abc"), 0);
	assert_int_equal(distance("colector", "collector"), 1);
	assert_int_equal(distance("hsot", "host"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_int_equal(distance(longest, "b"), VALUE_DISTANCE_MAX + 1);
	longest[63] = '\0';
	assert_int_equal(distance(longest, ""), 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_sums_of_units_from_the_greatest_down),
		cmocka_unit_test(sizes_have_one_unit),
		cmocka_unit_test(what_is_formatted_reads_back_as_the_same_number),
		cmocka_unit_test(hosts_may_have_a_port),
		cmocka_unit_test(paths_are_absolute_and_do_not_climb),
		cmocka_unit_test(distance_counts_slips_of_the_fingers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
