/* Unit tests of sources/framing.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sources/framing.h"

enum { TEXT = 4096 };

/* Messages in brackets; "+n" behind one of which n bytes are missing; what the end
 * gave in parentheses. */
static void decode(const char *bytes, size_t n, size_t piece, size_t max, char out[static TEXT])
{
	struct framing f;
	struct slice all = slice(bytes, n), message;
	uint64_t cut;
	size_t at = 0;

	framing_init(&f, max);
	out[0] = '\0';
	while (all.n > 0) {
		struct slice data = slice_head(all, piece);

		all = slice_skip(all, data.n);
		while (framing_next(&f, &data, &message, &cut) == 1) {
			at += (size_t)snprintf(out + at, TEXT - at, "[%.*s]",
					       SLICE_ARG(message));
			if (cut > 0) {
				at += (size_t)snprintf(out + at, TEXT - at, "+%d",
						       (int)cut);
			}
		}
		assert_int_equal(data.n, 0);
	}
	if (framing_end(&f, &message, &cut)) {
		snprintf(out + at, TEXT - at, "(%.*s)", SLICE_ARG(message));
	}
	framing_fini(&f);
}

/* In every way of cutting the bytes. */
static void check_n(const char *bytes, size_t n, size_t max, const char *want)
{
	char got[TEXT];

	for (size_t piece = 1; piece <= n; piece++) {
		decode(bytes, n, piece, max, got);
		if (strcmp(got, want) != 0) {
			fail_msg("%s in pieces of %zu: %s, not %s", bytes, piece, got, want);
		}
	}
}

static void check(const char *bytes, const char *want)
{
	check_n(bytes, strlen(bytes), 64, want);
}

static void a_newline_ends_a_message(void **state)
{
	(void)state;
	check("<13>a\n<13>b c\n", "[<13>a][<13>b c]");
	check("no priority\n\n\nnext\r\n", "[no priority][next]");
	check("the end without one", "(the end without one)");
}

static void a_nul_ends_a_message(void **state)
{
	(void)state;
	check_n("<13>a\0<13>b\n\0c", 14, 64, "[<13>a][<13>b](c)");
}

static void a_count_ends_a_message(void **state)
{
	(void)state;
	check("5 <1>ab6 <1>\ncd4 <1>x", "[<1>ab][<1>\ncd][<1>x]");
	check("6 <1>ab\n5 <1>cd", "[<1>ab][<1>cd]");
	check("9 <1>ab", "(<1>ab)");
}

static void both_framings_mix_on_a_connection(void **state)
{
	(void)state;
	check("<1>line\n6 <1>abc<1>line\n", "[<1>line][<1>abc][<1>line]");
}

static void digits_that_are_no_count_are_text(void **state)
{
	(void)state;
	check("12x\n", "[12x]");
	check("0 zero\n", "[0 zero]");
	check("12345678 eight digits\n", "[12345678 eight digits]");
	check("2026-11-22T15:37:46Z a stamp\n", "[2026-11-22T15:37:46Z a stamp]");
	check("77\n", "[77]");
	check("77", "(77)");
}

static void what_is_too_long_is_cut_and_counted(void **state)
{
	(void)state;
	check_n("12 abcdefghijkl3 xyz", 20, 8, "[abcdefgh]+4[xyz]");
	check_n("abcdefghijkl\nxyz\n", 17, 8, "[abcdefgh]+4[xyz]");
	check_n("9999999 abcdefghijkl", 20, 8, "(abcdefgh)");
}

static void an_empty_message_is_none(void **state)
{
	(void)state;
	check("1 \n1 \n3 abc", "[abc]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newline_ends_a_message),
		cmocka_unit_test(a_nul_ends_a_message),
		cmocka_unit_test(a_count_ends_a_message),
		cmocka_unit_test(both_framings_mix_on_a_connection),
		cmocka_unit_test(digits_that_are_no_count_are_text),
		cmocka_unit_test(what_is_too_long_is_cut_and_counted),
		cmocka_unit_test(an_empty_message_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
