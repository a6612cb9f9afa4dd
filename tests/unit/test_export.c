/* Unit tests of `journalctl -o export`: its records as lines, whole, cut anywhere, and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/limits.h"
#include "sources/export.h"

enum { LINES = 8 };

struct got {
	char text[LINES][LIMIT_LINE_DEFAULT + 1];
	bool cut[LINES];
	int n;
	char told[512]; /* "torn 5-5; length 7-30; " */
};

static void on_damage(void *arg, enum export_damage what, uint64_t from, uint64_t to)
{
	static const char *const words[] = {"torn", "length", "junk", "crlf"};
	struct got *g = arg;
	size_t n = strlen(g->told);

	assert_true(from <= to);
	snprintf(g->told + n, sizeof g->told - n, "%s %d-%d; ", words[what], (int)from, (int)to);
}

static void take(struct got *g, struct slice line, bool cut)
{
	assert_true(g->n < LINES && line.n <= LIMIT_LINE_DEFAULT);
	memcpy(g->text[g->n], line.p, line.n);
	g->text[g->n][line.n] = '\0';
	g->cut[g->n++] = cut;
}

/* Reads text in pieces of this size. */
static void read_in(struct got *g, struct slice text, size_t piece)
{
	struct export *x;
	struct slice line;
	bool cut;
	int rc;

	memset(g, 0, sizeof *g);
	assert_int_equal(export_new(&x, LIMIT_LINE_DEFAULT, on_damage, g), 0);
	while (text.n > 0) {
		struct slice in = slice_head(text, piece);

		text = slice_skip(text, in.n);
		while ((rc = export_next(x, &in, &line, &cut)) == 1) {
			take(g, line, cut);
		}
		assert_int_equal(rc, 0);
		assert_int_equal(in.n, 0);
	}
	while ((rc = export_end(x, &line, &cut)) == 1) {
		take(g, line, cut);
	}
	assert_int_equal(rc, 0);
	export_free(x);
}

#define ONE \
	"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1500000\n_BOOT_ID=1\nPRIORITY=6\n" \
	"SYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=sshd\n_PID=812\n_HOSTNAME=gw\n_UID=0\n" \
	"MESSAGE=Failed password for root from 192.0.2.1 port 5 ssh2\n\n"
#define TWO ONE \
	"__CURSOR=s=1;i=3\n__REALTIME_TIMESTAMP=2500000\n_UID=1000\n_TRANSPORT=audit\n" \
	"BINARY\n\x05\0\0\0\0\0\0\0a\n\nb\0\n" \
	"MESSAGE\n\x07\0\0\0\0\0\0\0two\n\nx=\n" \
	"SYSLOG_IDENTIFIER=audit\n\n"
#define FIRST "<86>1 1970-01-01T00:00:01.5Z gw sshd 812 - [journal@32473 _UID=\"0\"] " \
	"Failed password for root from 192.0.2.1 port 5 ssh2"
#define SECOND "<30>1 1970-01-01T00:00:02.5Z - audit - - [journal@32473 _UID=\"1000\" " \
	"_TRANSPORT=\"audit\"] two#012#012x="

static void records_are_lines_however_they_come(void **state)
{
	static const char text[] = TWO;
	static struct got g;

	(void)state;
	for (size_t piece = 1; piece <= sizeof text; piece++) {
		read_in(&g, slice(text, sizeof text - 1), piece);
		assert_int_equal(g.n, 2);
		assert_string_equal(g.text[0], FIRST);
		assert_string_equal(g.text[1], SECOND);
		assert_false(g.cut[0] || g.cut[1]);
	}
}

/* The file is cut anywhere: what came before is as it was, and nothing is made up. */
static void a_file_that_ends_early_loses_what_is_not_there(void **state)
{
	static const char text[] = TWO;
	static struct got g;

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) {
		read_in(&g, slice(text, n), 7);
		assert_true(g.n <= 2);
		if (n >= sizeof ONE - 1) {
			assert_string_equal(g.text[0], FIRST);
		}
	}
	/* Of "192.0.2.10" nobody may read 192.0.2.1. */
	read_in(&g, SLICE_LIT("_PID=7\nMESSAGE=from 192.0.2.1"), 3);
	assert_int_equal(g.n, 1);
	assert_string_equal(g.text[0], "<30>1 - - - 7 - -");
	read_in(&g, SLICE_LIT("MESSAGE=one\n_PID=7"), 3);
	assert_int_equal(g.n, 1);
	assert_string_equal(g.text[0], "<30>1 - - - - - - one");
	/* Of five bytes two came. */
	read_in(&g, SLICE_LIT("_PID=7\nMESSAGE\n\x05\0\0\0\0\0\0\0ab"), 3);
	assert_int_equal(g.n, 1);
	assert_string_equal(g.text[0], "<30>1 - - - 7 - -");
}

#define L(text) {"" text, sizeof(text) - 1}

static void what_is_no_field_is_passed_over(void **state)
{
	static const struct {
		struct slice text;
		const char *line;
	} cases[] = {
		{L("\n\n\nMESSAGE=x\n\n\n\n"), "<30>1 - - - - - - x"},
		{L("a lower one=1\n=\n-- Reboot --\nMESSAGE=x\n\n"),
		 "<30>1 - - - - - - x"},
		/* The first counts. */
		{L("MESSAGE=x\nMESSAGE=y\n\n"), "<30>1 - - - - - - x"},
		{L("MESSAGE=\n\n"), "<30>1 - - - - - - "},
		{L("__REALTIME_TIMESTAMP=99999999999999999999\nMESSAGE=x\n\n"),
		 "<30>1 - - - - - - x"},
	};
	static struct got g;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		read_in(&g, cases[i].text, 5);
		assert_int_equal(g.n, 1);
		assert_string_equal(g.text[0], cases[i].line);
	}
	/* A name of 64 bytes is one, one of 65 is not; neither is asked for. */
	read_in(&g, SLICE_LIT("A234567890123456789012345678901234567890123456789012345678901234"
			      "5=x\nMESSAGE=y\n\n"), 9);
	assert_int_equal(g.n, 1);
}

#define NEXT "__CURSOR=s=1;i=9\n_UID=0\nMESSAGE=next\n\n"
#define NEXT_LINE "<30>1 - - - - - [journal@32473 _UID=\"0\"] next"

/* Whatever is wrong, it is told where, and the records behind it are there. */
static void damage_is_told_with_its_place_and_costs_what_is_damaged(void **state)
{
	static const struct {
		struct slice text;
		const char *lines[3];
		const char *told;
	} cases[] = {
		{L(NEXT NEXT), {NEXT_LINE, NEXT_LINE}, ""},
		/* The end is cut: within a text, a name, behind a field, in a binary value. */
		{L("__CURSOR=x\n_PID=7\nMESSAGE=from 192.0.2.1"), {"<30>1 - - - 7 - -"},
		 "torn 40-40; "},
		{L("__CURSOR=x\n_PID=7\nMESS"), {"<30>1 - - - 7 - -"}, "torn 22-22; "},
		{L("__CURSOR=x\nMESSAGE=x\n"), {"<30>1 - - - - - - x"}, "torn 21-21; "},
		{L("__CURSOR=x\n_PID=7\nMESSAGE\n\x05\0\0\0\0\0\0\0ab"), {"<30>1 - - - 7 - -"},
		 "length 18-36; "},
		{L("__CURSOR=x\n_PID=7\nMESSAGE\n\x05\0"), {"<30>1 - - - 7 - -"}, "length 18-28; "},
		/* A torn file and a whole one behind it. */
		{L("__CURSOR=x\nMESSAGE=x\n" NEXT), {"<30>1 - - - - - - x", NEXT_LINE},
		 "torn 21-21; "},
		{L("__CURSOR=x\n_PID=7\nMESSAGE=from 192.0.2.1__CURSOR=y\n"
		   "__REALTIME_TIMESTAMP=1500000\nMESSAGE=y\n\n" NEXT),
		 {"<30>1 - - - 7 - -", "<30>1 1970-01-01T00:00:01.5Z - - - - - y", NEXT_LINE},
		 "torn 51-51; "},
		{L("__CURSOR=x\n__REALTIME_TIMESTAMP=1500000\n__MONO__CURSOR=y\n"
		   "__REALTIME_TIMESTAMP=1500000\nMESSAGE=y\n\n" NEXT),
		 {"<30>1 1970-01-01T00:00:01.5Z - - - - -",
		  "<30>1 1970-01-01T00:00:01.5Z - - - - - y", NEXT_LINE}, "torn 57-57; "},
		{L("__CURSOR=x\n__REALTI" NEXT), {NEXT_LINE}, ""},
		{L("__CURSOR=x\n_PID=7\nMESSAGE\n" NEXT NEXT),
		 {"<30>1 - - - 7 - -", NEXT_LINE, NEXT_LINE}, "length 18-26; "},
		{L("__CURSOR=x\n_PID=7\nMESSAGE\n\x05\0\0" NEXT),
		 {"<30>1 - - - 7 - -"}, "length 18-67; "},
		{L("__CURSOR=x\n_PID=7\nMESSAGE\n\x40\0\0\0\0\0\0\0ab\n\n" NEXT NEXT),
		 {"<30>1 - - - 7 - -", NEXT_LINE, NEXT_LINE}, "length 18-38; "},
		/* Lengths: nobody's, one too short, and one that ends in a later record. */
		{L("_PID\n\xff\xff\xff\xff\xff\xff\xff\xff rubbish\nMESSAGE=x\n\n" NEXT),
		 {"<30>1 - - - - - -", NEXT_LINE}, "length 0-33; "},
		{L("MESSAGE=x\n_PID\n\x01\0\0\0\0\0\0\0" "12\n\n" NEXT),
		 {"<30>1 - - - - - - x", NEXT_LINE}, "length 10-27; "},
		/* One wrong length in what is gone back for because of another. */
		{L("MESSAGE=x\nA\n\x60\0\0\0\0\0\0\0\n__CURSOR=z\nB\n"
		   "\x30\0\0\0\0\0\0\0\n" NEXT),
		 {"<30>1 - - - - - - x", "<30>1 - - - - - -", NEXT_LINE},
		 "length 10-21; length 32-43; "},
		{L("-- Reboot --\n" NEXT), {NEXT_LINE}, "junk 0-13; "},
		{L(NEXT "x"), {NEXT_LINE}, "junk 38-39; "},
		/* As a transfer as text leaves it. */
		{L("__CURSOR=x\r\n_UID=0\r\nMESSAGE=next\r\n\r\n"
		   "__CURSOR=y\r\n_UID=0\r\nMESSAGE=next\r\n\r\n"),
		 {NEXT_LINE, NEXT_LINE}, "crlf 0-0; "},
		{L("__CURSOR=x\r\n_UID=0\r\nMESSAGE\r\n\x04\0\0\0\0\0\0\0next\r\n\r\n" NEXT),
		 {NEXT_LINE, NEXT_LINE}, "crlf 0-0; "},
		{L("MESSAGE=a\rb\n\n"), {"<30>1 - - - - - - a\rb"}, ""},
	};
	static struct got g;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t piece = 1; piece < 80; piece += 6) {
			int n = 0;

			read_in(&g, cases[i].text, piece);
			while (n < 3 && cases[i].lines[n] != NULL) {
				n++;
			}
			for (int k = 0; k < n && k < g.n; k++) {
				assert_string_equal(g.text[k], cases[i].lines[k]);
			}
			if (strcmp(g.told, cases[i].told) != 0 || g.n != n) {
				fail_msg("case %zu: %d lines, \"%s\", not %d, \"%s\"", i, g.n,
					 g.told, n, cases[i].told);
			}
		}
	}
}

static void a_long_message_is_cut_and_takes_no_room(void **state)
{
	enum { N = 1024 * 1024 };
	static struct got g;
	char *text = malloc(N + 64);

	(void)state;
	assert_non_null(text);
	memcpy(text, "MESSAGE=", 8);
	memset(text + 8, 'm', N);
	memcpy(text + 8 + N, "\n\nMESSAGE=next\n\n", 16);
	read_in(&g, slice(text, 8 + N + 16), 65536);
	assert_int_equal(g.n, 2);
	assert_true(g.cut[0]);
	assert_int_equal(strlen(g.text[0]), LIMIT_LINE_DEFAULT);
	assert_string_equal(g.text[1], "<30>1 - - - - - - next");
	assert_false(g.cut[1]);
	free(text);
}

static void it_is_known_by_its_first_bytes(void **state)
{
	(void)state;
	assert_true(export_starts(SLICE_LIT(TWO)));
	assert_true(export_starts(SLICE_LIT("__REALTIME_TIMESTAMP=1\n")));
	assert_false(export_starts(SLICE_LIT("__CURSOR")));
	assert_false(export_starts(SLICE_LIT("Nov 22 15:37:46 gw sshd[1]: __CURSOR=")));
	assert_false(export_starts(SLICE_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_lines_however_they_come),
		cmocka_unit_test(a_file_that_ends_early_loses_what_is_not_there),
		cmocka_unit_test(what_is_no_field_is_passed_over),
		cmocka_unit_test(damage_is_told_with_its_place_and_costs_what_is_damaged),
		cmocka_unit_test(a_long_message_is_cut_and_takes_no_room),
		cmocka_unit_test(it_is_known_by_its_first_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
