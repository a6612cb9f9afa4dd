/* Text for terminals: what is printed of attackers' names, tables, and little bars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/printable.h"
#include "cli/sparkline.h"
#include "cli/table.h"
#include "common/err.h"

static uint64_t state;

static uint32_t chance(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

static struct buf out;

static void same(const char *want)
{
	assert_int_equal(buf_add_u8(&out, 0), 0);
	buf_clear(&out);
	assert_string_equal(out.p, want);
}

static int set_up(void **arg)
{
	(void)arg;
	buf_init(&out, 16 * 1024 * 1024);
	return 0;
}

static int tear_down(void **arg)
{
	(void)arg;
	buf_fini(&out);
	return 0;
}

static void nothing_in_a_name_steers_the_terminal(void **arg)
{
	static const struct {
		const char *name, *utf8, *ascii;
	} cases[] = {
		{"root", "root", "root"},
		{"\033[2J\a", "\\x1b[2J\\x07", "\\x1b[2J\\x07"},
		{"a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f", "a\\x0ab\\x09c\\x7f"},
		{"m\xc3\xbcller", "m\xc3\xbcller", "m\\u{fc}ller"},
		/* a control character of C1, a soft hyphen, an override of direction, a Cyrillic
		 * letter, a wide one */
		{"\xc2\x9b" "31m", "\\u{9b}31m", "\\u{9b}31m"},
		{"ro\xc2\xadot", "ro\\u{ad}ot", "ro\\u{ad}ot"},
		{"\xe2\x80\xaetoor", "\\u{202e}toor", "\\u{202e}toor"},
		{"r\xd0\xbeot", "r\\u{43e}ot", "r\\u{43e}ot"},
		{"\xe4\xb8\xad", "\\u{4e2d}", "\\u{4e2d}"},
		{"\xf0\x9f\x98\x80", "\\u{1f600}", "\\u{1f600}"},
		/* no UTF-8: a lone byte, an overlong form, a surrogate, one that is cut off */
		{"\xff", "\\xff", "\\xff"},
		{"\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},
		{"a\xc3", "a\\xc3", "a\\xc3"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(printable_add(&out, slice_str(cases[i].name), false), 0);
		same(cases[i].utf8);
		assert_int_equal(printable_add(&out, slice_str(cases[i].name), true), 0);
		same(cases[i].ascii);
	}
	assert_int_equal(printable_add(&out, slice("a\0b", 3), false), 0);
	same("a\\x00b");
}

static void a_long_value_loses_its_middle(void **arg)
{
	struct slice host = SLICE_LIT("gateway-7.example.net");
	struct slice name = SLICE_LIT("m\xc3\xbcm\xc3\xbcm\xc3\xbc");

	(void)arg;
	assert_int_equal(printable_shorten(&out, host, 21, false), 0);
	same("gateway-7.example.net");
	assert_int_equal(printable_shorten(&out, host, 11, false), 0);
	same("gatew\xe2\x80\xa6" "e.net");
	assert_int_equal(printable_shorten(&out, host, 11, true), 0);
	same("gatew...net");
	assert_int_equal(printable_shorten(&out, host, 2, true), 0);
	same("..");
	assert_int_equal(printable_shorten(&out, host, 1, false), 0);
	same(".");
	assert_int_equal(printable_shorten(&out, name, 4, false), 0);
	same("m\xc3\xbc\xe2\x80\xa6\xc3\xbc");
	assert_int_equal(printable_width(name), 6);
}

static void bars_are_as_high_as_their_share(void **arg)
{
	static const uint64_t v[] = {0, 1, 2, 4, 8, 16, 9};
	static const uint64_t none[] = {0, 0, 0}, rare[] = {1, 1000000};

	(void)arg;
	assert_int_equal(sparkline_add(&out, v, 7, false), 0);
	same(" \xe2\x96\x81\xe2\x96\x81\xe2\x96\x82\xe2\x96\x84\xe2\x96\x88\xe2\x96\x85");
	assert_int_equal(sparkline_add(&out, v, 7, true), 0);
	same(" ..:=@+");
	assert_int_equal(sparkline_add(&out, none, 3, false), 0);
	same("   ");
	assert_int_equal(sparkline_add(&out, rare, 2, true), 0);
	same(".@");
}

static void however_narrow_the_bars_every_count_is_in_one(void **arg)
{
	(void)arg;
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		uint32_t counts[300];
		uint64_t v[300], want = 0, got = 0;
		size_t n, columns, used;

		state = seed;
		n = chance(300);
		columns = 1 + chance(120);
		for (size_t i = 0; i < n; i++) {
			counts[i] = chance(5) == 0 ? UINT32_MAX - chance(9) : chance(100);
			want += counts[i];
		}
		used = sparkline_fit(v, columns, counts, n);
		for (size_t i = 0; i < used; i++) {
			got += v[i];
		}
		if (used > columns || got != want || (n > 0 && used == 0)) {
			fail_msg("seed %llu", (unsigned long long)seed);
		}
	}
}

static const struct table_column columns[] = {
	{"NAME", false, 4}, {"COUNT", true, 0}, {"WHERE", false, 6},
};

static void columns_are_as_wide_as_their_cells_and_end_without_blanks(void **arg)
{
	struct table_look look = {.width = 80};
	struct table t;

	(void)arg;
	table_init(&t, columns, 3);
	assert_int_equal(table_print(&t, &look, &out), 0);
	same("");
	table_cell(&t, SLICE_LIT("root"));
	table_number(&t, 12345678);
	table_cell(&t, SLICE_LIT(""));
	table_note(&t, SLICE_LIT("and more"));
	table_cell(&t, SLICE_LIT("m\xc3\xbcller"));
	table_number(&t, UINT64_MAX);
	table_cell(&t, SLICE_LIT("gw"));
	table_note(&t, SLICE_NONE);
	assert_int_equal(table_print(&t, &look, &out), 0);
	same("NAME                   COUNT  WHERE\n"
	     "root                12345678\n"
	     "  and more\n"
	     "m\xc3\xbcller  18446744073709551615  gw\n");
	table_fini(&t);
}

static void the_widest_column_is_narrowed_and_no_more_than_needed(void **arg)
{
	struct table_look look = {.width = 20, .ascii = true};
	struct table t;

	(void)arg;
	table_init(&t, columns, 3);
	table_cell(&t, SLICE_LIT("abcdefghijklmnop"));
	table_number(&t, 1);
	table_cell(&t, SLICE_LIT("gateway"));
	table_note(&t, SLICE_LIT("a note of more than so many"));
	assert_int_equal(table_print(&t, &look, &out), 0);
	same("NAME   COUNT  WHERE\n"
	     "ab..p      1  ga..ay\n"
	     "  a note o.. so many\n");
	table_fini(&t);
}

static void colours_change_nothing_but_colours(void **arg)
{
	struct table_look look = {.width = 80, .colour = true};
	struct table t;

	(void)arg;
	table_init(&t, columns, 3);
	table_cell(&t, SLICE_LIT("root"));
	table_number(&t, 1);
	table_cell(&t, SLICE_LIT("gw"));
	table_note(&t, SLICE_LIT("note"));
	assert_int_equal(table_print(&t, &look, &out), 0);
	same("\033[2mNAME  COUNT  WHERE\033[0m\n"
	     "root      1  gw\n"
	     "\033[2m  note\033[0m\n");
	table_fini(&t);
}

/* A cell of any bytes. */
static void random_cell(struct table *t, bool ascii)
{
	struct buf text;
	char name[60];
	size_t n = chance(sizeof name);

	for (size_t i = 0; i < n; i++) {
		name[i] = (char)chance(chance(2) == 0 ? 256 : 128);
	}
	buf_init(&text, 4096);
	assert_int_equal(printable_add(&text, slice(name, n), ascii), 0);
	table_cell(t, buf_slice(&text));
	buf_fini(&text);
}

static void whatever_stands_in_it_a_table_fits_the_terminal(void **arg)
{
	(void)arg;
	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct table_look look;
		struct table t;
		size_t at = 0, rows;

		state = seed;
		look = (struct table_look){.width = 60 + chance(60), .ascii = chance(2) == 0};
		table_init(&t, columns, 3);
		rows = 1 + chance(40);
		for (size_t i = 0; i < rows; i++) {
			random_cell(&t, look.ascii);
			table_number(&t, chance(1000000));
			random_cell(&t, look.ascii);
			random_cell(&t, look.ascii);
		}
		buf_clear(&out);
		assert_int_equal(table_print(&t, &look, &out), 0);
		while (at < out.n) {
			size_t n = slice_find(slice(out.p + at, out.n - at), SLICE_LIT("\n"));
			struct slice line = slice(out.p + at, n);

			if (n == SIZE_MAX || printable_width(line) > look.width ||
			    (n > 0 && line.p[n - 1] == ' ')) {
				fail_msg("seed %llu: %.*s", (unsigned long long)seed,
					 SLICE_ARG(line));
			}
			for (size_t i = 0; i < n; i++) {
				unsigned char c = (unsigned char)line.p[i];

				assert_true(c >= 0x20 && c != 0x7f && (!look.ascii || c < 0x80));
			}
			at += n + 1;
		}
		table_fini(&t);
	}
	buf_clear(&out);
}

static void the_locale_says_what_the_terminal_can_show(void **arg)
{
	static const struct {
		const char *all, *ctype, *lang;
		bool utf8;
	} cases[] = {
		{"", "", "", false}, {"", "", "C", false}, {"", "", "C.UTF-8", true},
		{"", "", "de_DE.utf8", true}, {"C", "", "C.UTF-8", false},
		{"", "C.UTF-8", "C", true}, {"", "POSIX", "en_US.UTF-8", false},
		{"en_GB.utf-8", "C", "C", true}, {"", "", "de_DE.ISO-8859-1", false},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		setenv("LC_ALL", cases[i].all, 1);
		setenv("LC_CTYPE", cases[i].ctype, 1);
		setenv("LANG", cases[i].lang, 1);
		assert_int_equal(printable_is_utf8(), cases[i].utf8);
	}
	unsetenv("LC_ALL");
	unsetenv("LC_CTYPE");
	unsetenv("LANG");
	assert_false(printable_is_utf8());
}

static void what_has_no_room_is_an_error_and_not_half_a_table(void **arg)
{
	struct table_look look = {.width = 80};
	struct table t;
	struct buf small;

	(void)arg;
	assert_int_equal(buf_reserve(&out, 65536), 0);
	memset(out.p, 'x', 65536);
	table_init(&t, columns, 3);
	for (int i = 0; i < 4; i++) {
		table_cell(&t, SLICE_LIT("some text, and a little more of it"));
	}
	assert_int_equal(table_print(&t, &look, &out), 0);
	for (size_t room = 0; room < out.n + 10; room++) {
		int rc;

		buf_init(&small, room);
		rc = table_print(&t, &look, &small);
		assert_true(rc == 0 || rc == ERR_TOO_LARGE);
		assert_true(rc == 0 ? small.n == out.n : room < out.n + 10);
		buf_fini(&small);
	}
	buf_clear(&out);
	t.text.limit = t.text.room;
	table_cell(&t, slice(out.p, t.text.room));
	assert_int_equal(table_print(&t, &look, &out), ERR_TOO_LARGE);
	same("");
	table_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_in_a_name_steers_the_terminal),
		cmocka_unit_test(a_long_value_loses_its_middle),
		cmocka_unit_test(bars_are_as_high_as_their_share),
		cmocka_unit_test(however_narrow_the_bars_every_count_is_in_one),
		cmocka_unit_test(columns_are_as_wide_as_their_cells_and_end_without_blanks),
		cmocka_unit_test(the_widest_column_is_narrowed_and_no_more_than_needed),
		cmocka_unit_test(colours_change_nothing_but_colours),
		cmocka_unit_test(whatever_stands_in_it_a_table_fits_the_terminal),
		cmocka_unit_test(the_locale_says_what_the_terminal_can_show),
		cmocka_unit_test(what_has_no_room_is_an_error_and_not_half_a_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
