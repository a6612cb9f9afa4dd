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
	redact_names_line(&w->names, slice_str(line), &h, &e, &w->scratch, &out);
	return out;
}

/* @ stands for anna's pseudonym. */
static void becomes(struct world *w, const char *line, const char *want)
{
	struct slice out = run(w, line);
	char text[4096] = "";
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
	assert_false(redact_names_line(&w->names, slice_str(line), &h, &e, &w->scratch, &out));
}

static void every_other_mention_in_the_line_goes_too(void **state)
{
	struct world *w = *state;

	becomes(w, "Nov 22 15:37:46 gw sshd[42]: pam_unix(sshd:auth): authentication failure; "
		   "logname=anna uid=0 euid=0 tty=ssh ruser=anna rhost=192.0.2.7  user=anna",
		"Nov 22 15:37:46 gw sshd[42]: pam_unix(sshd:auth): authentication failure; "
		"logname=@ uid=0 euid=0 tty=ssh ruser=@ rhost=192.0.2.7  user=@");
	becomes(w, "type=USER_AUTH msg=audit(1795363200.123:42): pid=1 uid=0 auid=4294967295 "
		   "ses=4294967295 msg='op=PAM:authentication grantors=? acct=\"anna\" "
		   "exe=\"/usr/sbin/sshd\" hostname=192.0.2.7 addr=192.0.2.7 terminal=ssh "
		   "res=failed'\x1dUID=\"anna\" GID=\"anna\" AUID=\"annabel\"",
		"type=USER_AUTH msg=audit(1795363200.123:42): pid=1 uid=0 auid=4294967295 "
		"ses=4294967295 msg='op=PAM:authentication grantors=? acct=\"@\" "
		"exe=\"/usr/sbin/sshd\" hostname=192.0.2.7 addr=192.0.2.7 terminal=ssh "
		"res=failed'\x1dUID=\"@\" GID=\"@\" AUID=\"annabel\"");
}

/* Once, a table of 32 places was full here. */
static void any_number_of_mentions_goes(void **state)
{
	struct world *w = *state;
	char line[4096], want[4096];
	int n, m;

	n = snprintf(line, sizeof line, "Nov 22 15:37:46 gw sudo: anna : TTY=pts/0 ; "
		     "PWD=/home/bob ; USER=bob ; COMMAND=/bin/ls");
	for (int i = 0; i < 40; i++) {
		n += snprintf(line + n, sizeof line - (size_t)n, " /home/bob/%d anna", i);
	}
	snprintf(want, sizeof want, "%.*s", SLICE_ARG(run(w, line)));
	assert_null(strstr(want, "anna"));
	assert_null(strstr(want, "bob"));
	m = 0;
	for (const char *p = want; (p = strstr(p, w->anna)) != NULL; p++) {
		m++;
	}
	assert_int_equal(m, 41);
}

static void a_long_name_goes(void **state)
{
	struct world *w = *state;
	char line[2048], name[1001];
	struct slice out;

	memset(name, 'n', 1000);
	name[1000] = '\0';
	snprintf(line, sizeof line, "Nov 22 15:37:46 gw sshd[42]: Invalid user %s from "
		 "192.0.2.7 port 22", name);
	out = run(w, line);
	assert_int_equal(slice_find(out, SLICE_LIT("nn")), SIZE_MAX);
	assert_true(slice_ends(out, SLICE_LIT("* from 192.0.2.7 port 22")));
}

static void run_event(struct world *w, const char *line, const char *name, const char *want)
{
	struct header h = {.message = slice_skip(slice_str(line), 4)};
	struct event e;
	struct slice out;

	event_reset(&e);
	event_set(&e, FIELD_USER_NAME, slice_str(name));
	redact_names_line(&w->names, slice_str(line), &h, &e, &w->scratch, &out);
	if (!slice_eq(out, slice_str(want))) {
		fail_msg("\"%s\" became \"%.*s\", not \"%s\"", line, SLICE_ARG(out), want);
	}
}

static void a_name_that_is_decoded_and_not_found_masks_the_line(void **state)
{
	struct world *w = *state;
	char want[128];

	snprintf(want, sizeof want, "gw: acct=%s res=1", w->anna);
	run_event(w, "gw: acct=616E6E61 res=1", "anna", want);
	run_event(w, "gw: acct=616e6e61 res=1", "anna", want);
	run_event(w, "gw: \"an\\u006ea\" logged in", "anna", "gw: *redacted-limit*");
	run_event(w, "gw: %61nna logged in", "anna", "gw: *redacted-limit*");
	/* Remembered from an earlier line. */
	run_event(w, "gw: connection closed", "anna", "gw: connection closed");
}

static void a_line_that_takes_too_long_is_masked(void **state)
{
	struct world *w = *state;
	enum { LINE = 200000, NAME = 2000 };
	char *line = malloc(LINE + 1), *name = malloc(NAME + 1);
	struct event e;
	struct header h = {0};
	struct slice out;

	assert_non_null(line);
	assert_non_null(name);
	for (size_t i = 0; i <= LINE; i++) {
		line[i] = "u "[i % 2];
	}
	memcpy(name, line, NAME);
	name[NAME - 1] = 'v';
	event_reset(&e);
	event_set(&e, FIELD_USER_NAME, slice(name, NAME));
	buf_fini(&w->scratch);
	buf_init(&w->scratch, 1 << 20);
	assert_true(redact_names_line(&w->names, slice(line, LINE), &h, &e, &w->scratch, &out));
	assert_true(slice_ends(out, SLICE_LIT("*redacted-limit*")));
	free(line);
	free(name);
}

static void same_but_for_names(const char *line, struct slice renamed, const char *name)
{
	struct parser *a, *b;
	struct header h;
	struct event x, y;

	assert_int_equal(parser_new(&a, NULL), 0);
	assert_int_equal(parser_new(&b, NULL), 0);
	parser_line(a, slice_str(line), READ_AT, &h, &x);
	parser_line(b, renamed, READ_AT, &h, &y);
	if (x.outcome != y.outcome || x.attempts != y.attempts || x.has != y.has ||
	    !slice_eq(event_get(&x, FIELD_SOURCE_IP), event_get(&y, FIELD_SOURCE_IP)) ||
	    !slice_eq(event_get(&x, FIELD_EVENT_ACTION), event_get(&y, FIELD_EVENT_ACTION))) {
		fail_msg("the name \"%s\" hides something: \"%s\" became \"%.*s\"", name, line,
			 SLICE_ARG(renamed));
	}
	parser_free(a);
	parser_free(b);
}

/* Whoever takes a word of the line for his name hides nothing. */
static void a_name_made_of_the_lines_own_words_hides_nothing(void **state)
{
	static const char *const forms[][2] = {
		{"Nov 22 15:37:46 gw sshd[4242]: Failed password for invalid user ",
		 " from 192.0.2.7 port 51234 ssh2"},
		{"Nov 22 15:37:46 gw sshd[4242]: Invalid user ", " from 192.0.2.7 port 22"},
		{"Nov 22 15:37:46 gw sshd[4242]: Connection closed by authenticating user ",
		 " 192.0.2.7 port 22 [preauth]"},
		{"Nov 22 15:37:46 gw sshd[4242]: Disconnected from invalid user ",
		 " 192.0.2.7 port 22 [preauth]"},
		{"Nov 22 15:37:46 gw sshd[42]: error: maximum authentication attempts exceeded "
		 "for invalid user ", " from 192.0.2.7 port 22 ssh2 [preauth]"},
		{"Nov 22 15:37:46 gw sshd[42]: pam_unix(sshd:auth): authentication failure; "
		 "logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=", ""},
		{"Nov 22 15:37:46 gw sshd[42]: pam_unix(sshd:session): session opened for user ",
		 "(uid=1000) by (uid=0)"},
		{"Nov 22 15:37:46 gw dropbear[42]: Bad password attempt for '",
		 "' from 192.0.2.7:4711"},
		{"Nov 22 15:37:46 gw dropbear[42]: Login attempt for nonexistent user '",
		 "' from 192.0.2.7:4711"},
		{"type=USER_AUTH msg=audit(1795363200.123:42): pid=1 uid=0 auid=4294967295 "
		 "ses=4294967295 msg='op=PAM:authentication grantors=? acct=\"",
		 "\" exe=\"/usr/sbin/sshd\" hostname=192.0.2.7 addr=192.0.2.7 terminal=ssh "
		 "res=failed'"},
		{"Nov 22 15:37:46 gw vsftpd[42]: [", "] FAIL LOGIN: Client \"192.0.2.7\""},
		{"Nov 22 15:37:46 gw proftpd[42]: gw (192.0.2.7[192.0.2.7]) - USER ",
		 ": no such user found from 192.0.2.7 [192.0.2.7] to 192.0.2.1:21"},
		{"Nov 22 15:37:46 gw dovecot: imap-login: Disconnected (auth failed, 1 attempts in "
		 "2 secs): user=<", ">, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS"},
		{"Nov 22 15:37:46 gw su[42]: FAILED SU (to root) ", " on pts/0"},
		{"Nov 22 15:37:46 gw sudo: ", " : 3 incorrect password attempts ; TTY=pts/0 ; "
		 "PWD=/tmp ; USER=root ; COMMAND=/bin/ls"},
		{"Nov 22 15:37:46 gw login[42]: FAILED LOGIN (1) on '/dev/tty1' FOR '",
		 "', Authentication failure"},
		{"192.0.2.7 - ", " [22/Nov/2026:15:37:46 +0000] \"GET /x HTTP/1.1\" 401 12 \"-\" "
		 "\"curl/8\""},
	};
	struct world *w = *state;
	unsigned understood = 0;

	for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
		char words[1024], line[2048];

		snprintf(words, sizeof words, "%s %s", forms[k][0], forms[k][1]);
		for (char *rest, *word = strtok_r(words, " '\"<>()[]:;,=/", &rest); word != NULL;
		     word = strtok_r(NULL, " '\"<>()[]:;,=/", &rest)) {
			struct header h;
			struct event e;
			struct slice out;

			snprintf(line, sizeof line, "%s%s%s", forms[k][0], word, forms[k][1]);
			out = run(w, line);
			parser_line(w->parser, slice_str(line), READ_AT, &h, &e);
			understood += event_understood(&e);
			same_but_for_names(line, out, word);
		}
	}
	assert_true(understood > 100);
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
	assert_true(redact_names_line(&w->names, slice_str(line), &h, &e, &small, &out));
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
		T(every_other_mention_in_the_line_goes_too),
		T(any_number_of_mentions_goes),
		T(a_long_name_goes),
		T(a_name_that_is_decoded_and_not_found_masks_the_line),
		T(a_line_that_takes_too_long_is_masked),
		T(a_name_made_of_the_lines_own_words_hides_nothing),
		T(another_key_gives_another_pseudonym),
		T(without_memory_all_of_the_line_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
