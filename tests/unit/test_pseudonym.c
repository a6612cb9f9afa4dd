/* Names that can be compared but not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/err.h"
#include "parsers/parser.h"
#include "redact/pseudonym.h"

#define READ_AT INT64_C(1795363200000000000)

struct world {
	struct redact_names names;
	struct redact_options options;
	struct parser *parser;
	struct buf scratch;
	char anna[PSEUDONYM_TEXT];
};

static const uint8_t own[PSEUDONYM_KEY] = "0123456789abcde";

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	buf_init(&w->scratch, 1 << 16);
	strlist_add(&w->options.pseudonyms, SLICE_LIT("user.name"));
	strlist_add(&w->options.pseudonyms, SLICE_LIT("user.effective.name"));
	strlist_add(&w->options.except, SLICE_LIT("root"));
	assert_int_equal(redact_names_init(&w->names, &w->options, own), 0);
	assert_int_equal(parser_new(&w->parser, NULL), 0);
	redact_pseudonym(w->anna, w->names.key, SLICE_LIT("anna"));
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	strlist_fini(&w->options.pseudonyms);
	strlist_fini(&w->options.except);
	parser_free(w->parser);
	buf_fini(&w->scratch);
	free(w);
	return 0;
}

static struct slice run(struct world *w, const char *line)
{
	struct slice out;
	struct header h;
	struct event e;

	parser_line(w->parser, slice_str(line), READ_AT, &h, &e);
	redact_names_line(&w->names, slice_str(line), &e, &w->scratch, &out);
	return out;
}

/* @ stands for anna's pseudonym. */
static void becomes(struct world *w, const char *line, const char *want)
{
	struct slice out = run(w, line);
	char text[1024] = "";
	size_t n = 0;

	for (const char *p = want; *p != '\0'; p++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", *p == '@' ? 64 : 1,
				      *p == '@' ? w->anna : p);
	}
	if (!slice_eq(out, slice_str(text))) {
		fail_msg("\"%s\" became \"%.*s\", not \"%s\"", line, SLICE_ARG(out), text);
	}
}

static void a_name_becomes_the_same_pseudonym_wherever_it_stands(void **state)
{
	struct world *w = *state;

	becomes(w, "Nov 22 15:37:46 gw sshd[42]: Accepted password for anna from 192.0.2.7 "
		"port 22 ssh2",
		"Nov 22 15:37:46 gw sshd[42]: Accepted password for @ from 192.0.2.7 port 22 ssh2");
	becomes(w, "Nov 22 15:37:46 gw sshd[43]: Failed password for invalid user anna from "
		"192.0.2.7 "
		   "port 22 ssh2",
		"Nov 22 15:37:46 gw sshd[43]: Failed password for invalid user @ from "
			"192.0.2.7 port 22 "
		"ssh2");
	becomes(w, "Nov 22 15:37:46 gw sudo: anna : TTY=pts/0 ; PWD=/home/anna/x ; USER=root ; "
		   "COMMAND=/bin/ls",
		"Nov 22 15:37:46 gw sudo: @ : TTY=pts/0 ; PWD=/home/@/x ; USER=root ; "
			"COMMAND=/bin/ls");
}

static void what_is_not_named_stays(void **state)
{
	static const char *const lines[] = {
		"Nov 22 15:37:46 gw sshd[42]: Accepted password for root from 192.0.2.7 port "
			"22 ssh2",
		"Nov 22 15:37:46 gw app[42]: anna was here",
		"Nov 22 15:37:46 gw sshd[42]: Invalid user *redacted-typed-password* from "
			"192.0.2.7 "
		"port 22",
		"",
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		becomes(w, lines[i], lines[i]);
	}
}

static void a_user_called_from_takes_no_line_apart(void **state)
{
	struct world *w = *state;
	struct slice out = run(w, "Nov 22 15:37:46 gw sshd[42]: Invalid user from from "
		"192.0.2.7 port 22");

	assert_true(slice_ends(out, SLICE_LIT("* from 192.0.2.7 port 22")));
}

static void the_pseudonym_is_taken_for_a_name_and_left_alone(void **state)
{
	struct world *w = *state;
	struct slice out = run(w, "Nov 22 15:37:46 gw sshd[42]: Accepted password for anna "
		"from 192.0.2.7 "
				  "port 22 ssh2");
	char line[256];
	struct header h;
	struct event e;

	snprintf(line, sizeof line, "%.*s", SLICE_ARG(out));
	parser_line(w->parser, slice_str(line), READ_AT, &h, &e);
	assert_int_equal(e.outcome, OUTCOME_SUCCESS);
	assert_true(slice_eq(event_get(&e, FIELD_USER_NAME), slice_str(w->anna)));
	assert_true(slice_eq(event_get(&e, FIELD_SOURCE_IP), SLICE_LIT("192.0.2.7")));
	assert_false(redact_names_line(&w->names, slice_str(line), &e, &w->scratch, &out));
}

static void another_key_gives_another_pseudonym(void **state)
{
	struct world *w = *state;
	struct redact_names names;
	char text[PSEUDONYM_TEXT];

	w->options.pseudonym_key = (char[]){"000102030405060708090a0b0c0d0e0f"};
	assert_int_equal(redact_names_init(&names, &w->options, own), 0);
	redact_pseudonym(text, names.key, SLICE_LIT("anna"));
	assert_string_not_equal(text, w->anna);
	/* The paper's own vector: the empty text under the key 00 to 0f. */
	redact_pseudonym(text, names.key, SLICE_LIT(""));
	assert_string_equal(text, "*redacted-name-726fdb47dd0e0e31*");
	w->options.pseudonym_key = (char[]){"000102030405060708090a0b0c0d0e0"};
	assert_int_equal(redact_names_init(&names, &w->options, own), UV_EINVAL);
	w->options.pseudonym_key = NULL;
	strlist_add(&w->options.pseudonyms, SLICE_LIT("source.ip"));
	assert_int_equal(redact_names_init(&names, &w->options, own), UV_EINVAL);
}

static void without_memory_all_of_the_line_is_masked(void **state)
{
	struct world *w = *state;
	const char *line = "Nov 22 15:37:46 gw sshd[42]: Accepted password for anna from "
		"192.0.2.7 port 2 ssh2";
	struct buf small;
	struct slice out;
	struct header h;
	struct event e;

	buf_init(&small, 8);
	parser_line(w->parser, slice_str(line), READ_AT, &h, &e);
	assert_true(redact_names_line(&w->names, slice_str(line), &e, &small, &out));
	assert_true(slice_eq(out, SLICE_LIT("*redacted-limit*")));
	buf_fini(&small);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		T(a_name_becomes_the_same_pseudonym_wherever_it_stands),
		T(what_is_not_named_stays),
		T(a_user_called_from_takes_no_line_apart),
		T(the_pseudonym_is_taken_for_a_name_and_left_alone),
		T(another_key_gives_another_pseudonym),
		T(without_memory_all_of_the_line_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
