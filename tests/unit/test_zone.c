/* Unit tests of parsers/zone.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "parsers/zone.h"

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static int64_t seconds(const char *text)
{
	int64_t ns;

	assert_true(time_parse(slice_str(text), &ns));
	return ns / NS_PER_S;
}

static struct zone *rule(const char *text)
{
	struct zone *z;

	assert_int_equal(zone_from_rule(&z, slice_str(text)), 0);
	return z;
}

/* local, read at, gives */
static void expect(const struct zone *z, const char *local, const char *read,
		   const char *want)
{
	char got[TIME_TEXT];

	time_format(got, zone_to_unix(z, seconds(local), seconds(read)) *
				 NS_PER_S);
	assert_string_equal(got, want);
}

static void summer_and_winter_have_their_offsets(void **state)
{
	struct zone *z = rule(BERLIN);

	(void)state;
	expect(z, "2026-01-15T12:00:00Z", "2026-02-01T00:00:00Z",
	       "2026-01-15T11:00:00Z");
	expect(z, "2026-07-15T12:00:00Z", "2026-08-01T00:00:00Z",
	       "2026-07-15T10:00:00Z");
	zone_free(z);
	z = rule("NZST-12NZDT,M9.5.0,M4.1.0/3"); /* summer over New Year */
	expect(z, "2026-01-15T12:00:00Z", "2026-02-01T00:00:00Z",
	       "2026-01-14T23:00:00Z");
	expect(z, "2026-06-15T12:00:00Z", "2026-08-01T00:00:00Z",
	       "2026-06-15T00:00:00Z");
	zone_free(z);
}

static void an_hour_that_happens_twice_is_the_last_one_already_past(void **state)
{
	struct zone *z = rule(BERLIN);

	(void)state;
	/* 02:30 is 00:30Z and again 01:30Z. */
	expect(z, "2026-10-25T02:30:00Z", "2026-10-25T00:30:05Z",
	       "2026-10-25T00:30:00Z");
	expect(z, "2026-10-25T02:30:00Z", "2026-10-25T01:30:05Z",
	       "2026-10-25T01:30:00Z");
	expect(z, "2026-10-25T02:30:00Z", "2026-10-24T01:30:05Z",
	       "2026-10-25T00:30:00Z");
	expect(z, "2026-10-25T01:59:59Z", "2026-11-25T01:30:05Z",
	       "2026-10-24T23:59:59Z");
	expect(z, "2026-10-25T03:00:00Z", "2026-11-25T01:30:05Z",
	       "2026-10-25T02:00:00Z");
	zone_free(z);
}

static void an_hour_that_never_happens_is_moved_forward(void **state)
{
	struct zone *z = rule(BERLIN);

	(void)state;
	expect(z, "2026-03-29T01:59:59Z", "2026-11-25T01:30:05Z",
	       "2026-03-29T00:59:59Z");
	expect(z, "2026-03-29T02:30:00Z", "2026-11-25T01:30:05Z",
	       "2026-03-29T01:30:00Z"); /* 03:30 by the clock */
	expect(z, "2026-03-29T03:00:00Z", "2026-11-25T01:30:05Z",
	       "2026-03-29T01:00:00Z");
	zone_free(z);
}

static void names_of_every_form_open(void **state)
{
	static const struct {
		const char *name, *rule;
		int32_t offset; /* in January */
	} cases[] = {
		{"UTC", "UTC0", 0},
		{"Z", "UTC0", 0},
		{"+02:00", "LMT-02:00:00", 7200},
		{"-0530", "LMT+05:30:00", -19800},
		{"+2", "LMT-02:00:00", 7200},
		{BERLIN, BERLIN, 3600},
		{"<+0330>-3:30", "<+0330>-3:30", 12600},
		{"EST5EDT,M3.2.0,M11.1.0", "EST5EDT,M3.2.0,M11.1.0", -18000},
		{"IST-2IDT,M3.4.4/26,M10.5.0", "IST-2IDT,M3.4.4/26,M10.5.0",
		 7200},
		{"XXX3YYY,J60/0,J300/0", "XXX3YYY,J60/0,J300/0", -10800},
		{"XXX3YYY,59,299/-1:30", "XXX3YYY,59,299/-1:30", -10800},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct zone *z, *again;

		assert_int_equal(zone_open(&z, sys_plain(), cases[i].name), 0);
		assert_string_equal(zone_rule(z), cases[i].rule);
		assert_int_equal(zone_offset(z, seconds("2026-01-15")),
				 cases[i].offset);
		/* What one end tells the other opens there. */
		assert_int_equal(zone_open(&again, sys_plain(), zone_rule(z)),
				 0);
		assert_int_equal(zone_offset(again, seconds("2026-01-15")),
				 cases[i].offset);
		zone_free(z);
		zone_free(again);
	}
}

static void nonsense_is_refused(void **state)
{
	static const char *const names[] = {
		"", "Mars/Phobos", "../../etc/passwd", "/etc/localtime", "+25:00",
		"+02:60", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.5.0",
		"CET-1CEST,M3.5.0,M10.5.0/3x", "C1", "CET-1,", "+", "<+03-3",
		"CET-999999", "J", "Europe/", "UTC\xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct zone *z;

		if (zone_open(&z, sys_plain(), names[i]) == 0) {
			fail_msg("\"%s\" was taken", names[i]);
		}
	}
}

/* A TZif file of version 2 by hand: one transition, two types, a footer. */
static size_t make_file(uint8_t *p)
{
	static const char footer[] = "\n" BERLIN "\n";
	uint8_t *at = p;

	for (int version = 0; version < 2; version++) {
		size_t time_size = version == 0 ? 4 : 8;

		memset(at, 0, 44);
		memcpy(at, "TZif2", 5);
		at[35] = 1; /* one transition */
		at[39] = 2; /* types */
		at[43] = 8; /* bytes of names */
		at += 44;
		memset(at, 0, time_size);
		at[time_size - 4] = 0x5e; /* 2020-01-05 or so */
		at += time_size;
		*at++ = 1;
		memcpy(at, "\0\0\x0e\x10\0\0\0\0\x1c\x20\1\4", 12);
		at += 12;
		memcpy(at, "CET\0CES", 8);
		at += 8;
	}
	memcpy(at, footer, sizeof footer - 1);
	return (size_t)(at - p) + sizeof footer - 1;
}

static void a_file_is_read_and_its_footer_goes_on(void **state)
{
	uint8_t file[256];
	size_t n = make_file(file);
	struct zone *z;

	(void)state;
	assert_int_equal(zone_from_tzif(&z, slice(file, n)), 0);
	assert_string_equal(zone_rule(z), BERLIN);
	assert_int_equal(zone_offset(z, 0), 3600);
	assert_int_equal(zone_offset(z, seconds("2030-07-01")), 7200);
	assert_int_equal(zone_offset(z, INT64_MAX), 7200 * 0 +
			 zone_offset(z, INT64_C(1000000000000)));
	zone_offset(z, INT64_MIN);
	zone_to_unix(z, INT64_MAX, INT64_MIN);
	zone_free(z);
}

static void a_damaged_file_is_refused_or_read_but_never_more(void **state)
{
	uint8_t file[256], copy[256];
	size_t n = make_file(file);
	struct zone *z;

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *exact = malloc(cut == 0 ? 1 : cut);

		memcpy(exact, file, cut);
		assert_int_equal(zone_from_tzif(&z, slice(exact, cut)),
				 ERR_MALFORMED);
		free(exact);
	}
	for (size_t i = 0; i < n * 8; i++) {
		memcpy(copy, file, n);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		if (zone_from_tzif(&z, slice(copy, n)) == 0) {
			zone_offset(z, seconds("2026-07-01"));
			zone_to_unix(z, seconds("2026-10-25T02:30:00Z"), 0);
			zone_free(z);
		}
	}
}

/* The C library reads the same files: every hour of some years has to agree. */
static void the_systems_zones_agree_with_the_c_library(void **state)
{
	static const char *const names[] = {
		"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
		"Asia/Kolkata", "Africa/Casablanca", "America/Sao_Paulo",
		"Pacific/Apia",
	};
	size_t tried = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct zone *z;

		if (zone_open(&z, sys_plain(), names[i]) == UV_ENOENT) {
			continue;
		}
		tried++;
		setenv("TZ", names[i], 1);
		tzset();
		for (time_t t = (time_t)seconds("2009-01-01");
		     t < (time_t)seconds("2042-01-01"); t += 6 * 3600 - 7) {
			struct tm tm;

			localtime_r(&t, &tm);
			if (zone_offset(z, t) != tm.tm_gmtoff) {
				fail_msg("%s at %lld: %d, not %ld", names[i],
					 (long long)t, (int)zone_offset(z, t),
					 tm.tm_gmtoff);
			}
		}
		zone_free(z);
	}
	unsetenv("TZ");
	tzset();
	if (tried == 0) {
		print_message("no time zone files here\n");
		skip();
	}
}

/* Every instant comes back from its own local time when read just after it. */
static void local_time_and_back_is_the_same_instant(void **state)
{
	struct zone *z = rule(BERLIN);
	uint64_t x = 42;

	(void)state;
	print_message("seed 42\n");
	for (int i = 0; i < 200000; i++) {
		int64_t t, local;

		x = x * 6364136223846793005u + 1442695040888963407u;
		t = seconds("2020-01-01") + (int64_t)(x >> 33) % (20 * 31556952);
		local = t + zone_offset(z, t);
		assert_int_equal(zone_to_unix(z, local, t), t);
	}
	zone_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summer_and_winter_have_their_offsets),
		cmocka_unit_test(
			an_hour_that_happens_twice_is_the_last_one_already_past),
		cmocka_unit_test(an_hour_that_never_happens_is_moved_forward),
		cmocka_unit_test(names_of_every_form_open),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_file_is_read_and_its_footer_goes_on),
		cmocka_unit_test(
			a_damaged_file_is_refused_or_read_but_never_more),
		cmocka_unit_test(the_systems_zones_agree_with_the_c_library),
		cmocka_unit_test(local_time_and_back_is_the_same_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
