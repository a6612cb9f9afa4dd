/* Every wording that a family takes, from tests/unit/wordings/FAMILY.txt, and what must not
 * be taken for it (tests/support/wordings.h has their form).  From these are derived,
 * for every wording:
 *
 *	the same words from another program are nothing;
 *	a line that was cut somewhere tells no other user or address, and no success that
 *	the whole line does not tell;
 *	the same words as a name in every line with a {NAME} change nothing but the name.
 *
 * tests/lint/wordings.py holds these files against the parsers: each text that a family
 * compares with must be in one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/parsing.h"
#include "tests/support/wordings.h"

/* ---- making lines ---- */

/* Where whoever is in a name does not come from. */
static void from_elsewhere(char *name)
{
	char *at = name;

	while ((at = strstr(at, "192.0.2.1")) != NULL) {
		memcpy(at, "8.8.8.253", 9);
	}
}

static void read_line(struct slice line, struct event *e, char got[static SUMMARY],
		      char family[static 32])
{
	struct parser *p;
	struct header h;

	assert_int_equal(parser_new(&p, NULL), 0);
	parser_line(p, line, TEST_NOW, &h, e);
	summarize(e, got);
	snprintf(family, 32, "%s", parser_family(p));
	/* Its slices may have been the parser's. */
	parser_free(p);
}

/* ---- the tests ---- */

static void every_wording_is_read_as_its_file_says(void **state)
{
	struct wordings *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], s[WORDING_LINE];
		char got[SUMMARY], family[32];
		const char *want = wording_named(c->summary, "bob", s);
		const char *line = wording_line(c->tag, wording_named(c->message, "bob", m), l);
		struct event e;

		read_line(slice_str(line), &e, got, family);
		if (strcmp(got, want) != 0) {
			print_error("%s: %s: %s\n  is   %s\n  not  %s\n", c->family, c->tag,
				    c->message, got, want);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* A family without both proves nothing. */
static void every_family_takes_some_lines_and_leaves_some(void **state)
{
	struct wordings *w = *state;

	for (size_t i = 0; i < w->n;) {
		const char *family = w->cases[i].family;
		size_t n_taken = 0, n_left = 0;

		for (; i < w->n && w->cases[i].family == family; i++) {
			n_taken += wording_is_taken(&w->cases[i]);
			n_left += !wording_is_taken(&w->cases[i]);
		}
		if (n_taken == 0 || n_left == 0) {
			fail_msg("%s.txt: %zu lines are taken and %zu left", family, n_taken,
				 n_left);
		}
	}
}

static void the_same_words_from_another_program_are_nothing(void **state)
{
	struct wordings *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], got[SUMMARY], family[32];
		const char *line;
		struct event e;

		/* PAM speaks in every program. */
		if (c->tag[0] == '\0' || !wording_is_taken(c) || strcmp(c->family, "pam") == 0 ||
		    strncmp(c->message, "pam_", 4) == 0) {
			continue;
		}
		line = wording_line("someother[7]", wording_named(c->message, "bob", m), l);
		read_line(slice_str(line), &e, got, family);
		if (strcmp(got, "-") != 0) {
			print_error("someother: %s\n  is %s\n", c->message, got);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* The cut line's user is one of the whole line's, or its beginning, or has what follows behind
 * it. */
static bool same_user(const struct event *whole, const struct event *cut)
{
	struct slice a = event_get(whole, FIELD_USER_NAME), b = event_get(cut, FIELD_USER_NAME);
	struct slice to = event_get(whole, FIELD_USER_EFFECTIVE_NAME);

	return !event_has(cut, FIELD_USER_NAME) || slice_starts(a, b) || slice_starts(b, a) ||
	       slice_starts(to, b) || (to.n > 0 && slice_starts(b, to));
}

/* Its address is the whole one's, or the beginning of that. */
static bool same_source(const struct event *whole, const struct event *cut)
{
	struct slice a = event_get(whole, FIELD_SOURCE_IP);

	if (a.n == 0) {
		a = event_get(whole, FIELD_SOURCE_ADDRESS);
	}
	return slice_starts(a, event_get(cut, FIELD_SOURCE_IP)) &&
	       slice_starts(a, event_get(cut, FIELD_SOURCE_ADDRESS));
}

static void a_cut_line_tells_nothing_that_the_whole_one_does_not(void **state)
{
	struct wordings *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], got[SUMMARY];
		struct slice line = slice_str(
			wording_line(c->tag, wording_named(c->message, "bob", m), l));
		struct event whole, cut;
		struct parser *p, *q;
		struct header h;

		if (c->longer) {
			continue;
		}
		assert_int_equal(parser_new(&p, NULL), 0);
		parser_line(p, line, TEST_NOW, &h, &whole);
		for (size_t n = line.n - 1; n > 0; n--) {
			assert_int_equal(parser_new(&q, NULL), 0);
			parser_line(q, slice_head(line, n), TEST_NOW, &h, &cut);
			if (!same_user(&whole, &cut) || !same_source(&whole, &cut) ||
			    (cut.outcome == OUTCOME_SUCCESS && whole.outcome != OUTCOME_SUCCESS)) {
				summarize(&cut, got);
				print_error("%.*s\n  is %s\n", (int)n, line.p, got);
				wrong++;
				parser_free(q);
				break;
			}
			parser_free(q);
		}
		parser_free(p);
	}
	assert_int_equal(wrong, 0);
}

/* The carrier with the other's words for a name; false: they were taken for something. */
static bool carries(const struct wording *carrier, const struct wording *other)
{
	char m[WORDING_LINE], n[WORDING_LINE], l[WORDING_LINE], s[WORDING_LINE];
	char name[WORDING_LINE], got[SUMMARY], family[32];
	const char *line, *want, *given = wording_named(other->message, "bob", n);
	struct event e;

	snprintf(name, sizeof name, "%s", given + strspn(given, " "));
	from_elsewhere(name);
	if (carrier->except != NULL && strstr(name, carrier->except) != NULL) {
		return true;
	}
	line = wording_line(carrier->tag, wording_named(carrier->message, name, m), l);
	want = wording_named(carrier->summary, name, s);
	read_line(slice_str(line), &e, got, family);
	if (strcmp(got, want) == 0) {
		return true;
	}
	print_error("%s\n  is   %s\n  not  %s\n", line, got, want);
	return false;
}

static void the_same_words_as_a_name_change_nothing_else(void **state)
{
	struct wordings *w = *state;
	size_t wrong = 0, tried = 0;

	for (size_t k = 0; k < w->n; k++) {
		if (strstr(w->cases[k].message, "{NAME}") == NULL) {
			continue;
		}
		for (size_t i = 0; i < w->n; i++) {
			if (wording_is_taken(&w->cases[i]) && w->cases[i].tag[0] != '\0') {
				wrong += !carries(&w->cases[k], &w->cases[i]);
				tried++;
			}
		}
	}
	print_message("%zu lines with another line for a name\n", tried);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wording_is_read_as_its_file_says),
		cmocka_unit_test(every_family_takes_some_lines_and_leaves_some),
		cmocka_unit_test(the_same_words_from_another_program_are_nothing),
		cmocka_unit_test(a_cut_line_tells_nothing_that_the_whole_one_does_not),
		cmocka_unit_test(the_same_words_as_a_name_change_nothing_else),
	};

	return cmocka_run_group_tests(tests, wordings_read, wordings_free);
}
