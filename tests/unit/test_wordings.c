/* Every wording that a family takes, from tests/unit/wordings/FAMILY.txt, and what must not
 * be taken for it.  A file has
 *
 *	# whatever the reader should know
 *	@sshd[7]                    the program of the lines that follow; "@": whole lines
 *	Invalid user {NAME} from 192.0.2.1 port 22
 *		ssh_login failure 1 user={NAME} ip=192.0.2.1 port=22
 *
 * a message and behind a tab what is made of it (tests/support/parsing.h), "-" where it must
 * be left.  {NAME} is what the client chooses; "!TEXT" below: but it can't hold this (or, of
 * vsftpd, nobody could tell); "~": its beginning is another wording.  From these are derived,
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
#include <glob.h>

#include "tests/support/parsing.h"

#define HEAD "Nov 22 15:37:46 gw "

enum { CASES_MAX = 2400, LINE_MAX_BYTES = 2048 };

struct wording {
	const char *family, *tag; /* tag "": the line is whole */
	const char *message, *summary;
	const char *except; /* NULL, or what no {NAME} of this line can hold */
	bool longer;        /* its beginning is a wording of its own */
};

struct world {
	char *texts[64];
	size_t n_texts;
	struct wording cases[CASES_MAX];
	size_t n;
};

/* ---- reading the files ---- */

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 256 * 1024);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 256 * 1024 - 1, f) < 256 * 1024 - 1);
	fclose(f);
	return text;
}

/* Cuts the text into lines in place. */
static void add_cases(struct world *w, const char *family, char *text)
{
	const char *tag = "", *message = NULL;

	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (line[0] == '@') {
			tag = line + 1;
		} else if (line[0] == '\t') {
			assert_non_null(message);
			assert_true(w->n < CASES_MAX);
			w->cases[w->n++] = (struct wording){family, tag, message, line + 1,
							    NULL, false};
			message = NULL;
		} else if (line[0] == '!') {
			assert_true(w->n > 0);
			w->cases[w->n - 1].except = line + 1;
		} else if (line[0] == '~') {
			assert_true(w->n > 0);
			w->cases[w->n - 1].longer = true;
		} else if (line[0] != '#') {
			if (message != NULL) {
				fail_msg("%s: nothing is said of \"%s\"", family, message);
			}
			message = line;
		}
	}
	assert_null(message);
}

static int read_all(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	glob_t found;

	assert_non_null(w);
	assert_int_equal(glob(WORDINGS "/*.txt", 0, NULL, &found), 0);
	assert_true(found.gl_pathc < sizeof w->texts / sizeof *w->texts / 2);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *base = strrchr(found.gl_pathv[i], '/') + 1;
		char *name = strndup(base, strlen(base) - 4);
		char *text = read_file(found.gl_pathv[i]);

		w->texts[w->n_texts++] = name;
		w->texts[w->n_texts++] = text;
		add_cases(w, name, text);
	}
	globfree(&found);
	*state = w;
	return 0;
}

static int free_all(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < w->n_texts; i++) {
		free(w->texts[i]);
	}
	free(w);
	return 0;
}

/* ---- making lines ---- */

/* Where whoever is in a name does not come from. */
static void from_elsewhere(char *name)
{
	char *at = name;

	while ((at = strstr(at, "192.0.2.1")) != NULL) {
		memcpy(at, "8.8.8.253", 9);
	}
}

/* text with name for its {NAME}. */
static const char *named(const char *text, const char *name, char out[static LINE_MAX_BYTES])
{
	const char *at = strstr(text, "{NAME}");

	if (at == NULL) {
		return text;
	}
	assert_true(snprintf(out, LINE_MAX_BYTES, "%.*s%s%s", (int)(at - text), text, name,
			     at + 6) < LINE_MAX_BYTES);
	return out;
}

static const char *line_of(const char *tag, const char *message,
			   char out[static LINE_MAX_BYTES])
{
	if (tag[0] == '\0') {
		return message;
	}
	assert_true(snprintf(out, LINE_MAX_BYTES, HEAD "%s: %s", tag, message) < LINE_MAX_BYTES);
	return out;
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

static bool taken(const struct wording *c)
{
	return strcmp(c->summary, "-") != 0;
}

/* ---- the tests ---- */

static void every_wording_is_read_as_its_file_says(void **state)
{
	struct world *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[LINE_MAX_BYTES], l[LINE_MAX_BYTES], s[LINE_MAX_BYTES];
		char got[SUMMARY], family[32];
		const char *want = named(c->summary, "bob", s);
		struct event e;

		read_line(slice_str(line_of(c->tag, named(c->message, "bob", m), l)), &e, got,
			  family);
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
	struct world *w = *state;

	for (size_t i = 0; i < w->n;) {
		const char *family = w->cases[i].family;
		size_t n_taken = 0, n_left = 0;

		for (; i < w->n && w->cases[i].family == family; i++) {
			n_taken += taken(&w->cases[i]);
			n_left += !taken(&w->cases[i]);
		}
		if (n_taken == 0 || n_left == 0) {
			fail_msg("%s.txt: %zu lines are taken and %zu left", family, n_taken,
				 n_left);
		}
	}
}

static void the_same_words_from_another_program_are_nothing(void **state)
{
	struct world *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[LINE_MAX_BYTES], l[LINE_MAX_BYTES], got[SUMMARY], family[32];
		struct event e;

		/* PAM speaks in every program. */
		if (c->tag[0] == '\0' || !taken(c) || strcmp(c->family, "pam") == 0 ||
		    strncmp(c->message, "pam_", 4) == 0) {
			continue;
		}
		read_line(slice_str(line_of("someother[7]", named(c->message, "bob", m), l)), &e,
			  got, family);
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
	struct world *w = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct wording *c = &w->cases[i];
		char m[LINE_MAX_BYTES], l[LINE_MAX_BYTES], got[SUMMARY];
		struct slice line = slice_str(line_of(c->tag, named(c->message, "bob", m), l));
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
	char m[LINE_MAX_BYTES], n[LINE_MAX_BYTES], l[LINE_MAX_BYTES], s[LINE_MAX_BYTES];
	char name[LINE_MAX_BYTES], got[SUMMARY], family[32];
	const char *line, *want, *given = named(other->message, "bob", n);
	struct event e;

	snprintf(name, sizeof name, "%s", given + strspn(given, " "));
	from_elsewhere(name);
	if (carrier->except != NULL && strstr(name, carrier->except) != NULL) {
		return true;
	}
	line = line_of(carrier->tag, named(carrier->message, name, m), l);
	want = named(carrier->summary, name, s);
	read_line(slice_str(line), &e, got, family);
	if (strcmp(got, want) == 0) {
		return true;
	}
	print_error("%s\n  is   %s\n  not  %s\n", line, got, want);
	return false;
}

static void the_same_words_as_a_name_change_nothing_else(void **state)
{
	struct world *w = *state;
	size_t wrong = 0, tried = 0;

	for (size_t k = 0; k < w->n; k++) {
		if (strstr(w->cases[k].message, "{NAME}") == NULL) {
			continue;
		}
		for (size_t i = 0; i < w->n; i++) {
			if (taken(&w->cases[i]) && w->cases[i].tag[0] != '\0') {
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

	return cmocka_run_group_tests(tests, read_all, free_all);
}
