/* Unit tests of the small words in common/: slice, buf, reader, ip, timefmt, json,
 * siphash, log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/ip.h"
#include "common/json.h"
#include "common/log.h"
#include "common/reader.h"
#include "common/record.h"
#include "common/siphash.h"
#include "common/timefmt.h"

static void numbers_are_whole_or_refused(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(slice_to_u64(SLICE_LIT("18446744073709551615"), UINT64_MAX,
				 &v));
	assert_true(v == UINT64_MAX);
	assert_false(slice_to_u64(SLICE_LIT("18446744073709551616"),
				  UINT64_MAX, &v));
	assert_true(slice_to_u64(SLICE_LIT("65535"), 65535, &v));
	assert_false(slice_to_u64(SLICE_LIT("65536"), 65535, &v));
	assert_false(slice_to_u64(SLICE_LIT("9"), 5, &v));
	assert_false(slice_to_u64(SLICE_LIT(""), 5, &v));
	assert_false(slice_to_u64(SLICE_LIT("-1"), 5, &v));
	assert_false(slice_to_u64(SLICE_LIT(" 1"), 5, &v));
	assert_false(slice_to_u64(SLICE_LIT("1x"), 5, &v));
}

static void finding_takes_the_first_or_the_last(void **state)
{
	struct slice s = SLICE_LIT("a from b from c");

	(void)state;
	assert_int_equal(slice_find(s, SLICE_LIT(" from ")), 1);
	assert_int_equal(slice_rfind(s, SLICE_LIT(" from ")), 8);
	assert_true(slice_find(s, SLICE_LIT("x")) == SIZE_MAX);
	assert_true(slice_rfind(SLICE_NONE, SLICE_LIT("x")) == SIZE_MAX);
	assert_true(slice_eq(slice_trim(SLICE_LIT(" \t a b\t")),
			     SLICE_LIT("a b")));
	assert_true(slice_eq_nocase(SLICE_LIT("BeArEr"), SLICE_LIT("bearer")));
	assert_false(slice_eq_nocase(SLICE_LIT("["), SLICE_LIT("{")));
}

static void a_buffer_never_passes_its_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 600);
	for (int i = 0; i < 600; i++) {
		assert_int_equal(buf_add_u8(&b, (uint8_t)i), 0);
	}
	assert_int_equal(buf_add_u8(&b, 1), ERR_TOO_LARGE);
	assert_int_equal(buf_printf(&b, "x"), ERR_TOO_LARGE);
	assert_int_equal(b.n, 600);
	assert_int_equal((uint8_t)b.p[599], 599 & 0xff);
	buf_consume(&b, 599);
	assert_int_equal(b.n, 1);
	assert_int_equal((uint8_t)b.p[0], 599 & 0xff);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_TOO_LARGE);
	buf_wipe(&b);
	buf_fini(&b);
}

static void varints_come_back_and_have_one_form(void **state)
{
	static const uint64_t values[] = {
		0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX,
		UINT64_MAX - 1, UINT64_C(1) << 63};
	struct reader r;
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		buf_clear(&b);
		assert_int_equal(buf_add_varint(&b, values[i]), 0);
		r = reader(buf_slice(&b));
		assert_true(reader_varint(&r) == values[i]);
		assert_true(reader_done(&r));
		assert_true(unzigzag(zigzag((int64_t)values[i])) ==
			    (int64_t)values[i]);
		/* Cut short it fails, and stays failed. */
		r = reader(slice(b.p, b.n - 1));
		assert_true(reader_varint(&r) == 0);
		assert_false(reader_ok(&r));
		assert_int_equal(reader_u8(&r), 0);
	}
	r = reader(SLICE_LIT("\x80\x00")); /* Zero, written too long. */
	reader_varint(&r);
	assert_false(reader_ok(&r));
	r = reader(SLICE_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
	reader_varint(&r);
	assert_false(reader_ok(&r));
	r = reader(SLICE_LIT("\x05" "abc"));
	assert_int_equal(reader_blob(&r, 10).n, 0);
	assert_false(reader_ok(&r));
	buf_fini(&b);
}

static void addresses_are_strict_and_mapped(void **state)
{
	static const char *const bad[] = {
		"",	   "1.2.3",	"1.2.3.4.5", "256.1.1.1", "1..2.3",
		"1.2.3.",  "1.2.3.4 ",	"::g",	     "1:2",	  ":::",
		"fe80::1%", "[::1",	"1.2.3.4/32", "0001.2.3.4"};
	char text[IP_TEXT];
	struct ip a, b;
	struct ip_net net;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(ip_parse(slice_str(bad[i]), &a));
	}
	assert_true(ip_parse(SLICE_LIT("192.030.0.6"), &a));
	ip_format(text, &a);
	assert_string_equal(text, "192.30.0.6");
	assert_true(ip_parse(SLICE_LIT("::ffff:1.2.3.4"), &a));
	assert_true(ip_parse(SLICE_LIT("1.2.3.4"), &b));
	assert_memory_equal(&a, &b, sizeof a);
	assert_true(ip_parse(SLICE_LIT("fe80::1%eth0"), &a));
	assert_true(ip_parse(SLICE_LIT("[2001:DB8::1]"), &a));
	ip_format(text, &a);
	assert_string_equal(text, "2001:db8::1");
	assert_true(ip_net_parse(SLICE_LIT("10.1.0.0/15"), &net));
	assert_true(ip_parse(SLICE_LIT("10.0.255.255"), &a));
	assert_true(ip_in_net(&a, &net));
	assert_true(ip_parse(SLICE_LIT("10.2.0.0"), &a));
	assert_false(ip_in_net(&a, &net));
	assert_false(ip_net_parse(SLICE_LIT("10.0.0.0/33"), &net));
	assert_true(ip_net_parse(SLICE_LIT("::/0"), &net));
	assert_true(ip_in_net(&a, &net));
}

static void stamps_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-22T15:37:46.5Z", INT64_C(1795361866500000000)},
		{"2026-11-22 16:37:46.5+01:00", INT64_C(1795361866500000000)},
		{"2000-02-29", INT64_C(951782400000000000)},
		{"1969-12-31T23:59:59.999999999Z", -1},
	};
	static const char *const bad[] = {
		"2026-02-30",		"2026-13-01T00:00:00Z",
		"2026-11-22T24:00:00Z", "2026-11-22T15:37:46",
		"2026-11-22T15:37Z",	"2026-11-22T15:37:46.Z",
		"1-1-1",		"2026-11-22T15:37:46+1:00"};
	char text[TIME_TEXT];
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(time_parse(slice_str(cases[i].text), &ns));
		assert_true(ns == cases[i].ns);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(time_parse(slice_str(bad[i]), &ns));
	}
	time_format(text, -1);
	assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
	/* Every day for 800 years, there and back. */
	for (int64_t day = -200000; day < 100000; day++) {
		int y, m, d;

		time_civil(day, &y, &m, &d);
		assert_true(time_days(y, m, d) == day);
	}
}

static void json_is_valid_whatever_the_bytes(void **state)
{
	struct buf b;
	struct json j;

	(void)state;
	buf_init(&b, 4096);
	j = json_begin(&b);
	json_object(&j, NULL);
	json_string(&j, "a", SLICE_LIT("q\" b\\ n\n \x01 \xc3\xa9 \xff \xed\xa0\x80"));
	json_array(&j, "n");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, INT64_MIN);
	json_null(&j, NULL);
	json_array_end(&j);
	json_time(&j, "t", TIME_NONE);
	json_hex(&j, "h", "\x0f\xa0", 2);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add_u8(&b, 0), 0);
	assert_string_equal(
		b.p, "{\"a\":\"q\\\" b\\\\ n\\n \\u0001 \xc3\xa9 \xef\xbf\xbd "
		     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
		     "\"n\":[18446744073709551615,-9223372036854775808,null],"
		     "\"t\":null,\"h\":\"0fa0\"}");
	buf_fini(&b);
	buf_init(&b, 8);
	j = json_begin(&b);
	json_string(&j, NULL, SLICE_LIT("longer than that"));
	assert_int_equal(json_end(&j), ERR_TOO_LARGE);
	buf_fini(&b);
}

/* The paper's appendix A. */
static void siphash_agrees_with_its_paper(void **state)
{
	uint8_t key[16], input[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++) {
		key[i] = i;
	}
	for (uint8_t i = 0; i < 15; i++) {
		input[i] = i;
	}
	assert_true(siphash(key, input, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void quoting_cuts_and_escapes(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(log_quote(out, sizeof out, SLICE_LIT("a\"\n")),
			    "\"a\\\"\\x0a\"");
	assert_string_equal(
		log_quote(out, sizeof out, SLICE_LIT("0123456789abcdef")),
		"\"0123456...\"");
	assert_string_equal(log_quote(out, 4, SLICE_LIT("x")), "");
	for (size_t room = 8; room < sizeof out; room++) {
		assert_true(strlen(log_quote(out, room,
					     SLICE_LIT("\x01\x02\x03\x04"))) <
			    room);
	}
}

static void keep_line(void *arg, enum log_level level, struct slice line)
{
	(void)level;
	snprintf(arg, 2048, "%.*s", SLICE_ARG(line));
}

static void a_reason_with_quotes_is_one_value(void **state)
{
	char got[2048] = "", why[4096];

	(void)state;
	log_set_sink(keep_line, got);
	log_reason(LOG_LEVEL_ERROR, "cannot start", "no user \"a\" to=become\n");
	assert_non_null(strstr(got, "reason=\"no user \\\"a\\\" to=become\\x0a\""));
	memset(why, 'w', sizeof why - 1);
	why[sizeof why - 1] = '\0';
	log_reason(LOG_LEVEL_ERROR, "cannot start", why);
	assert_non_null(strstr(got, "www...\""));
	log_set_sink(NULL, NULL);
}

static void advice_fits_the_error(void **state)
{
	(void)state;
	assert_non_null(strstr(err_advice(UV_ENOSPC), "full"));
	assert_null(strstr(err_advice(UV_ENOSPC), "belong"));
	assert_non_null(strstr(err_advice(UV_EACCES), "belong"));
	assert_non_null(strstr(err_advice(UV_EROFS), "read-only"));
	assert_non_null(strstr(err_advice(UV_ELOOP), "symbolic link"));
	assert_non_null(strstr(err_advice(ERR_DAMAGED), "path"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_or_refused),
		cmocka_unit_test(finding_takes_the_first_or_the_last),
		cmocka_unit_test(a_buffer_never_passes_its_limit),
		cmocka_unit_test(varints_come_back_and_have_one_form),
		cmocka_unit_test(addresses_are_strict_and_mapped),
		cmocka_unit_test(stamps_are_read_and_written),
		cmocka_unit_test(json_is_valid_whatever_the_bytes),
		cmocka_unit_test(siphash_agrees_with_its_paper),
		cmocka_unit_test(quoting_cuts_and_escapes),
		cmocka_unit_test(a_reason_with_quotes_is_one_value),
		cmocka_unit_test(advice_fits_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
