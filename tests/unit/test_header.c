/* Unit tests of parsers/header.c and stamp.c, through parser_line(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "parsers/zone.h"
#include "tests/support/parsing.h"

struct header_case {
	const char *line;
	enum header_format format;
	const char *time; /* "" for none */
	int priority;
	const char *host, *program, *pid, *message;
};

static void assert_slice(const char *line, const char *what, struct slice got,
			 const char *want)
{
	if (!slice_eq(got, slice_str(want))) {
		fail_msg("%s: %s is \"%.*s\", not \"%s\"", line, what,
			 SLICE_ARG(got), want);
	}
}

static void check(const struct header_case *c)
{
	struct parser *p;
	struct header h;
	struct event e;
	char time[TIME_TEXT] = "";

	assert_int_equal(parser_new(&p, NULL), 0);
	parser_line(p, slice_str(c->line), TEST_NOW, &h, &e);
	if (h.time_ns != TIME_NONE) {
		time_format(time, h.time_ns);
	}
	assert_slice(c->line, "time", slice_str(time), c->time);
	assert_slice(c->line, "host", h.host, c->host);
	assert_slice(c->line, "program", h.program, c->program);
	assert_slice(c->line, "pid", h.pid, c->pid);
	assert_slice(c->line, "message", h.message, c->message);
	if (h.format != c->format || h.priority != c->priority) {
		fail_msg("%s: format %d priority %d", c->line, (int)h.format,
			 h.priority);
	}
	parser_free(p);
}

#define T "2026-11-22T15:37:46Z"

static void headers_of_every_format_are_read(void **state)
{
	static const struct header_case cases[] = {
		{"Nov 22 15:37:46 gw sshd[42]: hello", HEADER_RFC3164, T, -1, "gw",
		 "sshd", "42", "hello"},
		{"<38>Nov 22 15:37:46 gw sshd[42]: hello", HEADER_RFC3164, T, 38,
		 "gw", "sshd", "42", "hello"},
		{"<38>sshd[42]: hello", HEADER_RFC3164, "", 38, "", "sshd", "42",
		 "hello"},
		{"Nov  2 15:37:46 gw CRON[1]: (root) CMD (x)", HEADER_RFC3164,
		 "2026-11-02T15:37:46Z", -1, "gw", "CRON", "1", "(root) CMD (x)"},
		{"Nov 2 15:37:46 gw sudo:   bob : x", HEADER_RFC3164,
		 "2026-11-02T15:37:46Z", -1, "gw", "sudo", "", "  bob : x"},
		{"Nov 22 15:37:46.123 gw a: b", HEADER_RFC3164,
		 "2026-11-22T15:37:46.123Z", -1, "gw", "a", "", "b"},
		{"Nov 22 2025 15:37:46 gw a: b", HEADER_RFC3164,
		 "2025-11-22T15:37:46Z", -1, "gw", "a", "", "b"},
		{"Nov 22 15:37:46 2025 gw a: b", HEADER_RFC3164,
		 "2025-11-22T15:37:46Z", -1, "gw", "a", "", "b"},
		{"Nov 22 15:37:46 dropbear[9]: no host", HEADER_RFC3164, T, -1, "",
		 "dropbear", "9", "no host"},
		{"Nov 22 15:37:46 [sshd] metalog", HEADER_RFC3164, T, -1, "", "sshd",
		 "", "metalog"},
		{"Nov 22 15:37:46 [sshd]: metalog", HEADER_RFC3164, T, -1, "",
		 "sshd", "", "metalog"},
		{"Nov 22 15:37:46 gw su(pam_unix)[7]: x", HEADER_RFC3164, T, -1,
		 "gw", "su", "7", "x"},
		{"Nov 22 15:37:46 gw[192.0.2.1] sshd[7]: x", HEADER_RFC3164, T, -1,
		 "gw", "sshd", "7", "x"},
		{"Nov 22 15:37:46 gw /usr/sbin/cron[7]: x", HEADER_RFC3164, T, -1,
		 "gw", "cron", "7", "x"},
		{"Nov 22 15:37:46 gw postfix/smtpd[7]: x", HEADER_RFC3164, T, -1,
		 "gw", "postfix/smtpd", "7", "x"},
		{"Nov 22 15:37:46 2001:db8::1 sshd[7]: x", HEADER_RFC3164, T, -1,
		 "2001:db8::1", "sshd", "7", "x"},
		{"Nov 22 15:37:46 gw proftpd[7] h (a[192.0.2.1]): x",
		 HEADER_RFC3164, T, -1, "gw", "proftpd", "7",
		 "h (a[192.0.2.1]): x"},
		{"Nov 22 15:37:46 gw auth.info sshd[7]: x", HEADER_RFC3164, T, 38,
		 "gw", "sshd", "7", "x"},
		{"Nov 22 15:37:46 gw sshd[7]: [ID 800047 auth.info] x",
		 HEADER_RFC3164, T, -1, "gw", "sshd", "7", "x"},
		{"Nov 22 15:37:46 gw last message repeated 2 times", HEADER_RFC3164,
		 T, -1, "gw", "", "", "last message repeated 2 times"},
		{"Nov 22 15:37:46 gw kernel: [    0.000000] x", HEADER_RFC3164, T,
		 -1, "gw", "kernel", "", "[    0.000000] x"},
		{"Nov 22 15:37:46 gw (systemd)[7]: x", HEADER_RFC3164, T, -1, "gw",
		 "(systemd)", "7", "x"},
		{"2026-11-22T15:37:46.5+01:00 gw sshd[7]: x", HEADER_ISO,
		 "2026-11-22T14:37:46.5Z", -1, "gw", "sshd", "7", "x"},
		{"2026-11-22T15:37:46Z gw sshd[7]: x", HEADER_ISO, T, -1, "gw",
		 "sshd", "7", "x"},
		{"2026-11-22 15:37:46,120-0700  gw sshd[7]: x", HEADER_ISO,
		 "2026-11-22T22:37:46.12Z", -1, "gw", "sshd", "7", "x"},
		{"2026-11-22 15:37:46 +0530 gw sshd[7]: x", HEADER_ISO,
		 "2026-11-22T10:07:46Z", -1, "gw", "sshd", "7", "x"},
		{"2026-11-22T15:37:46+02 gw sshd[7]: x", HEADER_ISO,
		 "2026-11-22T13:37:46Z", -1, "gw", "sshd", "7", "x"},
		{"2026-11-22T15:37:46 gw sshd[7]: x", HEADER_ISO, T, -1, "gw",
		 "sshd", "7", "x"},
		{"<34>1 2026-11-22T15:37:46Z gw sshd 7 ID47 - hello",
		 HEADER_RFC5424, T, 34, "gw", "sshd", "7", "hello"},
		{"<34>1 2026-11-22T15:37:46Z gw sshd - - [a b=\"c\\]\\\"\"][d] "
		 "\xef\xbb\xbfhello", HEADER_RFC5424, T, 34, "gw", "sshd", "",
		 "hello"},
		{"<34>1 - - - - - -", HEADER_RFC5424, "", 34, "", "", "", ""},
		{"Sun Nov 22 15:37:46 2026 authpriv.info dropbear[7]: x",
		 HEADER_LOGREAD, T, 86, "", "dropbear", "7", "x"},
		{"Sun Nov 22 15:37:46 2026 [1795361866.123] kern.warn kernel: x",
		 HEADER_LOGREAD, T, 4, "", "kernel", "", "x"},
		{"Sun Nov 22 15:37:46 2026 [pid 7] CONNECT: Client \"192.0.2.1\"",
		 HEADER_OTHER, T, -1, "", "", "",
		 "[pid 7] CONNECT: Client \"192.0.2.1\""},
		{"type=LOGIN msg=audit(1795361866.5:12): pid=1", HEADER_OTHER,
		 "2026-11-22T15:37:46.5Z", -1, "", "", "",
		 "type=LOGIN msg=audit(1795361866.5:12): pid=1"},
		{"192.0.2.1 - - [22/Nov/2026:16:37:46 +0100] \"GET / HTTP/1.1\" 200",
		 HEADER_OTHER, T, -1, "", "", "",
		 "192.0.2.1 - - [22/Nov/2026:16:37:46 +0100] \"GET / HTTP/1.1\" "
		 "200"},
		{"2026/11/22 15:37:46 [error] 1#1: x", HEADER_OTHER, T, -1, "", "",
		 "", "[error] 1#1: x"},
		{"[Sun Nov 22 15:37:46.500 2026] [core:error] x", HEADER_OTHER,
		 "2026-11-22T15:37:46.5Z", -1, "", "", "", "[core:error] x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		check(&cases[i]);
	}
}

static void what_is_no_header_is_all_message(void **state)
{
	static const char *const lines[] = {
		"", " ", "hello", "Nov", "Nov 22", "Nov 22 15:37", "Nov 32 15:37:46 x",
		"Nov 22 25:37:46 gw a: b", "Foo 22 15:37:46 gw a: b",
		"2026-13-22T15:37:46Z gw a: b", "2026-11-22T15:37:46Zgw a: b",
		"<192>Nov", "<>x", "<3", "\t", "{\"a\": 1}", "\xff\xfe\x00",
		"Nov 22 15:37:46x gw a: b", "Feb 30 00:00:00 gw a: b",
		"[Sun Nov 22 15:37:46 2026", "type=x msg=audit(", "1 [x]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct header_case c = {lines[i], HEADER_NONE, "", -1, "", "", "",
					lines[i]};

		check(&c);
	}
}

/* line, read at, must be at */
struct year_case {
	const char *line, *read, *want;
};

static void check_years(const struct year_case *cases, size_t n,
			const struct zone *zone)
{
	struct parser *p;

	assert_int_equal(parser_new(&p, zone), 0);
	for (size_t i = 0; i < n; i++) {
		char got[TIME_TEXT] = "";
		struct header h;
		struct event e;
		int64_t now;

		assert_true(time_parse(slice_str(cases[i].read), &now));
		parser_line(p, slice_str(cases[i].line), now, &h, &e);
		time_format(got, h.time_ns);
		if (strcmp(got, cases[i].want) != 0) {
			fail_msg("%s read at %s is %s, not %s", cases[i].line,
				 cases[i].read, got, cases[i].want);
		}
	}
	parser_free(p);
}

static void stamps_without_a_year_cross_new_year(void **state)
{
	static const struct year_case cases[] = {
		{"Dec 31 23:59:59 h a: b", "2026-12-31T23:59:59Z",
		 "2026-12-31T23:59:59Z"},
		{"Jan  1 00:00:00 h a: b", "2026-12-31T23:59:59Z",
		 "2027-01-01T00:00:00Z"},
		{"Dec 31 23:59:59 h a: b", "2027-01-01T00:00:01Z",
		 "2026-12-31T23:59:59Z"},
		{"Dec 31 23:59:59 h a: b", "2027-11-22T00:00:00Z",
		 "2026-12-31T23:59:59Z"},
		{"Dec 31 23:59:59 h a: b", "2027-12-30T21:59:58Z",
		 "2026-12-31T23:59:59Z"},
		{"Dec 31 23:59:59 h a: b", "2027-12-30T22:00:00Z",
		 "2027-12-31T23:59:59Z"},
		/* A clock that is a day ahead of the reader's. */
		{"Nov 23 15:00:00 h a: b", "2026-11-22T15:00:00Z",
		 "2026-11-23T15:00:00Z"},
		{"Nov 23 18:00:00 h a: b", "2026-11-22T15:00:00Z",
		 "2025-11-23T18:00:00Z"},
		{"Feb 29 12:00:00 h a: b", "2026-11-22T15:00:00Z",
		 "2024-02-29T12:00:00Z"},
		{"Feb 29 12:00:00 h a: b", "2103-11-22T15:00:00Z",
		 "2096-02-29T12:00:00Z"},
		/* Small devices start in 1970. */
		{"Jan  1 00:00:07 h a: b", "2026-11-22T15:00:00Z",
		 "2026-01-01T00:00:07Z"},
		{"Dec 31 23:59:60 h a: b", "2027-01-01T00:00:01Z",
		 "2027-01-01T00:00:00Z"},
	};

	(void)state;
	check_years(cases, sizeof cases / sizeof *cases, NULL);
}

static void local_stamps_go_through_the_change_of_clocks(void **state)
{
	static const struct year_case cases[] = {
		{"Oct 25 01:59:59 h a: b", "2026-10-24T23:59:59Z",
		 "2026-10-24T23:59:59Z"},
		{"Oct 25 02:30:00 h a: b", "2026-10-25T00:30:00Z",
		 "2026-10-25T00:30:00Z"},
		{"Oct 25 02:30:01 h a: b", "2026-10-25T01:30:01Z",
		 "2026-10-25T01:30:01Z"},
		{"2026-10-25T02:30:02 h a: b", "2026-10-25T01:30:02Z",
		 "2026-10-25T01:30:02Z"},
		{"2026-10-25T02:30:02 h a: b", "2026-10-25T00:30:02Z",
		 "2026-10-25T00:30:02Z"},
		{"Oct 25 03:00:00 h a: b", "2026-10-25T02:00:00Z",
		 "2026-10-25T02:00:00Z"},
		{"Mar 29 02:30:00 h a: b", "2026-03-29T01:30:00Z",
		 "2026-03-29T01:30:00Z"},
		{"Jul  1 12:00:00 h a: b", "2026-07-01T10:00:00Z",
		 "2026-07-01T10:00:00Z"},
	};
	struct zone *z;

	(void)state;
	assert_int_equal(zone_from_rule(&z, SLICE_LIT("CET-1CEST,M3.5.0,"
						      "M10.5.0/3")), 0);
	check_years(cases, sizeof cases / sizeof *cases, z);
	zone_free(z);
}

/* The memory of stamps and tags changes nothing: a parser that has seen many lines
 * reads a line as a new one does. */
static void what_was_read_before_does_not_matter(void **state)
{
	static const char *const heads[] = {
		"Oct 25 02:%02d:%02d gw sshd[%d]: ",
		"Oct 25 02:%02d:%02d gw sudo: x%d",
		"Dec 31 23:%02d:%02d gw2 sshd[%d]: ",
		"Jan  1 00:%02d:%02d gw2 a: sshd[%d]: ",
		"2026-10-25T02:%02d:%02d gw sshd[%d]: ",
		"2026-10-25T02:%02d:%02d+01:00 gw sshd[%d]:",
		"2026-10-25 02:%02d:%02d.5Z gw sshd[%d] x",
		"Feb 29 02:%02d:%02d sshd[%d]: ",
		"Oct 25 02:%02d:%02d gw[1.2.3.4] sshd[%d]: [ID 1 auth.info] x",
	};
	struct parser *old, *fresh;
	uint64_t x = 7;
	struct zone *z;

	(void)state;
	print_message("seed 7\n");
	assert_int_equal(zone_from_rule(&z, SLICE_LIT("CET-1CEST,M3.5.0,"
						      "M10.5.0/3")), 0);
	assert_int_equal(parser_new(&old, z), 0);
	for (int i = 0; i < 20000; i++) {
		struct header a, b;
		struct event e;
		char line[128];
		int64_t now;
		int n;

		x = x * 6364136223846793005u + 1442695040888963407u;
		n = snprintf(line, sizeof line, "%s", "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		n = snprintf(line, sizeof line,
			     heads[(x >> 40) % (sizeof heads / sizeof *heads)],
			     (int)(x >> 33) % 3, (int)(x >> 50) % 3,
			     (int)(x >> 45) % 2);
#pragma GCC diagnostic pop
		now = (INT64_C(1792800000) + (int64_t)(x >> 60) * 1800 +
		       (int64_t)((x >> 57) % 4) * 86400 * 100) * NS_PER_S;
		assert_int_equal(parser_new(&fresh, z), 0);
		parser_line(old, slice(line, (size_t)n), now, &a, &e);
		parser_line(fresh, slice(line, (size_t)n), now, &b, &e);
		parser_free(fresh);
		if (a.time_ns != b.time_ns || a.format != b.format ||
		    !slice_eq(a.host, b.host) || !slice_eq(a.pid, b.pid) ||
		    !slice_eq(a.program, b.program) ||
		    !slice_eq(a.message, b.message)) {
			fail_msg("%s differs", line);
		}
	}
	parser_free(old);
	zone_free(z);
}

static uint64_t next(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return *x >> 33;
}

/* Many hosts and programs, whose names are alike: what one memory holds of another that
 * it takes for it would show. */
static void tags_do_not_take_each_other_s_place(void **state)
{
	static const char *const programs[] = {
		"sshd", "sshd-session", "systemd", "systemd-logind", "systemd-resolved",
		"systemd-networkd-wait-online", "com.apple.xpc.launchd", "com.apple.cts",
		"postfix/smtpd", "postfix/smtp", "/usr/sbin/cron", "/usr/sbin/crond", "su",
		"sudo", "login", "dropbear", "ftpd", "kernel", "named", "gmetad", "CRON",
		"polkitd", "dnsmasq", "dnsmasq-dhcp", "charon", "charon-systemd",
	};
	enum { PROGRAMS = sizeof programs / sizeof *programs };
	struct parser *p;
	uint64_t x = 11;

	(void)state;
	print_message("seed 11\n");
	assert_int_equal(parser_new(&p, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		const char *name = programs[next(&x) % PROGRAMS];
		const char *base = name[0] == '/' ? strrchr(name, '/') + 1 : name;
		unsigned host = (unsigned)next(&x) % 8, pid = (unsigned)next(&x) % 3;
		char line[128], hosts[16], pids[16];
		struct header h;
		struct event e;
		struct parser *fresh;

		snprintf(hosts, sizeof hosts, "%s%u", host < 4 ? "gw" : "web", host);
		snprintf(pids, sizeof pids, "%u", pid);
		snprintf(line, sizeof line, "Nov 22 15:37:46 %s %s%s%s%s: %s", hosts, name,
			 pid == 0 ? "" : "[", pid == 0 ? "" : pids, pid == 0 ? "" : "]",
			 next(&x) % 4 == 0 ? "x" : "some message");
		parser_line(p, slice_str(line), TEST_NOW, &h, &e);
		assert_slice(line, "host", h.host, hosts);
		assert_slice(line, "program", h.program, base);
		assert_slice(line, "pid", h.pid, pid == 0 ? "" : pids);
		assert_int_equal(parser_new(&fresh, NULL), 0);
		parser_line(fresh, slice_str(line), TEST_NOW, &h, &e);
		assert_ptr_equal(parser_family(p), parser_family(fresh));
		parser_free(fresh);
	}
	parser_free(p);
}

/* Whether a byte can be in a program's name does not depend on how much is behind it,
 * which is how many bytes are judged at once. */
static void names_end_at_the_same_bytes_in_long_lines_as_in_short_ones(void **state)
{
	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		for (unsigned at = 1; at < 40; at++) {
			char name[48] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst", line[160];
			bool is[2];

			name[at] = (char)byte;
			name[at + 1] = '\0';
			for (int i = 0; i < 2; i++) {
				struct parser *p;
				struct header h;
				struct event e;

				/* Nothing behind it, or more than fits in a vector. */
				snprintf(line, sizeof line, "Nov 22 15:37:46 gw %s: %s",
					 i == 0 ? name + at - 1 : name,
					 i == 0 ? "" : "what stands behind the name");
				assert_int_equal(parser_new(&p, NULL), 0);
				parser_line(p, slice_str(line), TEST_NOW, &h, &e);
				is[i] = slice_eq(h.program,
						 slice_str(i == 0 ? name + at - 1 : name));
				parser_free(p);
			}
			if (is[0] != is[1]) {
				fail_msg("byte %u at %u", byte, at);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_every_format_are_read),
		cmocka_unit_test(what_is_no_header_is_all_message),
		cmocka_unit_test(stamps_without_a_year_cross_new_year),
		cmocka_unit_test(local_stamps_go_through_the_change_of_clocks),
		cmocka_unit_test(what_was_read_before_does_not_matter),
		cmocka_unit_test(tags_do_not_take_each_other_s_place),
		cmocka_unit_test(names_end_at_the_same_bytes_in_long_lines_as_in_short_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
