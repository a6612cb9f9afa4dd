/* Unit tests of parsers/trust.h, through parsers/parser.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "parsers/parser.h"

static struct header h;
static struct event e;

/* The stream's parser; NULL for the path of one that proves nothing. */
static struct parser *parser_of(const char *path)
{
	struct parser *p;

	assert_int_equal(parser_new(&p, NULL), 0);
	if (path != NULL) {
		parser_sender(p, slice_str(path));
	}
	return p;
}

static void read_line(struct parser *p, const char *line)
{
	parser_line(p, slice_str(line), INT64_C(1795300000) * 1000000000, &h, &e);
}

static void is(enum event_field field, const char *want)
{
	struct slice got = event_get(&e, field);

	if (!slice_eq(got, slice_str(want))) {
		fail_msg("%s is \"%.*s\", not \"%s\"", event_field_name(field), SLICE_ARG(got),
			 want);
	}
}

static void is_login(const char *uid)
{
	assert_int_equal(e.outcome, OUTCOME_FAILURE);
	is(FIELD_EVENT_ACTION, "ssh_login");
	is(FIELD_SOURCE_IP, "203.0.113.9");
	is(FIELD_PROCESS_USER_ID, uid);
}

static void is_refused(const char *uid)
{
	assert_int_equal(e.outcome, OUTCOME_NONE);
	is(FIELD_EVENT_ACTION, "unproved_sender");
	is(FIELD_EVENT_CATEGORY, "intrusion_detection");
	is(FIELD_SOURCE_IP, "");
	is(FIELD_USER_NAME, "");
	is(FIELD_PROCESS_USER_ID, uid);
	/* The line and what its header says are there. */
	assert_true(h.message.n > 0 && h.program.n > 0);
}

#define FAILED "Failed password for root from 203.0.113.9 port 4022 ssh2"
#define JOURNAL(sd, program, text) \
	"<38>1 2026-11-22T15:37:46Z gw " program " 812 - " sd " " text
#define BY(uid) "[journal@32473 _UID=\"" uid "\" _COMM=\"x\"]"

static void in_the_journal_root_is_believed(void **state)
{
	struct parser *p = parser_of("journal:/var/log/journal/1/system/2");

	(void)state;
	read_line(p, JOURNAL(BY("0"), "sshd", FAILED));
	is_login("0");
	parser_free(p);
}

static void and_nobody_else_who_says_that_he_is_sshd(void **state)
{
	struct parser *p = parser_of("journal:/var/log/journal/1/user-1000/2");

	(void)state;
	read_line(p, JOURNAL(BY("1000"), "sshd", FAILED));
	is_refused("1000");
	read_line(p, JOURNAL(BY("33"), "sshd-session", FAILED));
	is_refused("33");
	read_line(p, JOURNAL("-", "sshd", FAILED));
	is_refused("");
	/* What he writes himself is no proof. */
	read_line(p, JOURNAL("-", "sshd", "[journal@32473 _UID=\"0\"] " FAILED));
	is_refused("");
	read_line(p, JOURNAL("[journal@32473 _COMM=\"a _UID=\" _EXE=\"0\" _UID=\"0\"]", "sshd",
			     FAILED));
	is_refused("");
	read_line(p, JOURNAL(BY("+0"), "sshd", FAILED));
	is_refused("");
	parser_free(p);
}

/* The kernel lets nobody write a record who has not CAP_AUDIT_WRITE; _UID is whom it is about. */
static void what_the_kernels_audit_says_of_a_user_is_believed(void **state)
{
#define LOGIN "USER_LOGIN pid=7 uid=1000 auid=1000 ses=2 msg='op=login acct=\"root\" " \
	"exe=\"/usr/sbin/sshd\" hostname=? addr=203.0.113.9 terminal=ssh res=failed'"
#define AUDIT "_TRANSPORT=\"audit\""
	static const char *const believed[] = {
		JOURNAL("[journal@32473 _UID=\"1000\" " AUDIT " _COMM=\"x\"]", "audit", LOGIN),
		JOURNAL("[journal@32473 _UID=\"1000\" " AUDIT "]", "audit", LOGIN),
		JOURNAL("[journal@32473 " AUDIT "]", "audit", LOGIN),
	};
	static const struct {
		const char *line, *uid;
	} refused[] = {
		{JOURNAL(BY("1000"), "audit", LOGIN), "1000"},
		{JOURNAL("[journal@32473 _UID=\"1000\" _TRANSPORT=\"syslog\"]", "audit", LOGIN),
		 "1000"},
		/* What somebody writes into a field, or into the message. */
		{JOURNAL("[journal@32473 _UID=\"1000\" _COMM=\"x\" " AUDIT "]", "audit", LOGIN),
		 "1000"},
		{JOURNAL("[journal@32473 _UID=\"1000\"" AUDIT "]", "audit", LOGIN), "1000"},
		{JOURNAL("[journal@32473 _COMM=\"x\" " AUDIT "]", "audit", LOGIN), ""},
		{JOURNAL("-", "audit", "[journal@32473 " AUDIT "] " LOGIN), ""},
		/* It says nothing of a daemon's own words. */
		{JOURNAL("[journal@32473 _UID=\"1000\" " AUDIT "]", "sshd", FAILED), "1000"},
	};
	struct parser *p = parser_of("journal:/var/log/journal/1/system/2");

	(void)state;
	for (size_t i = 0; i < sizeof believed / sizeof *believed; i++) {
		read_line(p, believed[i]);
		assert_int_equal(e.outcome, OUTCOME_FAILURE);
		is(FIELD_SOURCE_IP, "203.0.113.9");
	}
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		read_line(p, refused[i].line);
		is_refused(refused[i].uid);
	}
	parser_free(p);
#undef LOGIN
#undef AUDIT
}

static void a_line_that_is_not_believed_leaves_no_trace(void **state)
{
	struct parser *p = parser_of("journal:/var/log/journal/1/system/2");

	(void)state;
	read_line(p, JOURNAL(BY("1000"), "sshd",
			     "Connection from 198.51.100.1 port 1 on 192.0.2.1 port 22"));
	read_line(p, JOURNAL(BY("1000"), "sshd", "Invalid user eve from 198.51.100.1 port 1"));
	read_line(p, JOURNAL(BY("0"), "sshd", "Failed password for root from 203.0.113.9 port "
					      "4022 ssh2"));
	is_login("0");
	assert_int_equal(e.attempts, 1);
	parser_free(p);
}

static void accounts_of_the_system_run_daemons(void **state)
{
	static const char line[] =
		JOURNAL(BY("112"), "postfix/smtpd",
			"warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: "
			"authentication failure");
	static const char same[] =
		JOURNAL(BY("1000"), "postfix/smtpd",
			"warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: "
			"authentication failure");
	struct parser *p = parser_of("journal:/var/log/journal/1/system/2");

	(void)state;
	read_line(p, line);
	assert_int_equal(e.outcome, OUTCOME_FAILURE);
	is(FIELD_SOURCE_IP, "203.0.113.9");
	read_line(p, same);
	is_refused("1000");
	parser_free(p);
}

static void sudo_logs_in_the_name_of_who_starts_it(void **state)
{
	struct parser *p = parser_of("journal:/var/log/journal/1/user-1000/2");

	(void)state;
	read_line(p, JOURNAL(BY("1000"), "sudo",
			     "anna : 3 incorrect password attempts ; TTY=pts/0 ; "
			     "PWD=/home/anna ; USER=root ; COMMAND=/bin/bash"));
	is(FIELD_EVENT_ACTION, "sudo");
	assert_int_equal(e.outcome, OUTCOME_FAILURE);
	is(FIELD_PROCESS_USER_ID, "1000");
	parser_free(p);
}

/* PAM may be called by anybody; an address that is to be banned comes from daemons. */
static void an_ordinary_user_names_no_address(void **state)
{
	static const char pam[] = "pam_unix(sshd:auth): authentication failure; logname= uid=0 "
				  "euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root";
	struct parser *p = parser_of("unix:/dev/log uid=1000"), *root;
	char line[512];

	(void)state;
	snprintf(line, sizeof line, "<38>Nov 22 15:37:46 app[7]: %s", pam);
	read_line(p, line);
	is(FIELD_SOURCE_IP, "");
	is(FIELD_PROCESS_USER_ID, "1000");
	parser_free(p);
	root = parser_of("unix:/dev/log uid=0");
	read_line(root, line);
	is(FIELD_SOURCE_IP, "203.0.113.9");
	parser_free(root);
}

static void on_a_unix_socket_the_kernel_says_who_it_is(void **state)
{
	static const char line[] = "<38>Nov 22 15:37:46 sshd[7]: " FAILED;
	struct parser *p = parser_of("unix:/dev/log uid=0");

	(void)state;
	read_line(p, line);
	is_login("0");
	parser_free(p);
	p = parser_of("unix:/run/a uid=0 b/log uid=1000");
	read_line(p, line);
	is_refused("1000");
	parser_free(p);
	p = parser_of("unix:/dev/log peer=others");
	read_line(p, line);
	is_refused("");
	parser_free(p);
	/* Without a name only the form tells what it is, and nothing is said of it. */
	p = parser_of("unix:/dev/log uid=1000");
	read_line(p, "<38>Nov 22 15:37:46 " FAILED);
	assert_false(event_understood(&e) && e.outcome == OUTCOME_FAILURE);
	read_line(p, "<13>Nov 22 15:37:46 app[7]: hello");
	assert_false(event_understood(&e));
	parser_free(p);
}

#define DROP "DROP IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.1 LEN=60 PROTO=TCP SPT=1 DPT=22"

/* The kernel has no user, and everybody who writes to the journal has one. */
static void the_kernels_lines_come_without_a_user(void **state)
{
	struct parser *p = parser_of("journal:/var/log/journal/1/system/2");

	(void)state;
	read_line(p, JOURNAL("-", "kernel", DROP));
	is(FIELD_EVENT_ACTION, "firewall_denied");
	is(FIELD_SOURCE_IP, "203.0.113.9");
	read_line(p, JOURNAL(BY("1000"), "kernel", DROP));
	is_refused("1000");
	read_line(p, JOURNAL(BY("+0"), "kernel", DROP));
	is_refused("");
	parser_free(p);
	p = parser_of("unix:/dev/log uid=1000");
	read_line(p, "<4>Nov 22 15:37:46 kernel: " DROP);
	is_refused("1000");
	parser_free(p);
}

static void other_streams_are_read_as_ever(void **state)
{
	static const char *const paths[] = {
		NULL, "/var/log/auth.log", "udp:0.0.0.0:514 peer=192.0.2.7",
		"tcp:0.0.0.0:514 peer=192.0.2.7", "logread -f"};

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct parser *p = parser_of(paths[i]);

		read_line(p, "<38>Nov 22 15:37:46 gw sshd[7]: " FAILED);
		is_login("");
		parser_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_journal_root_is_believed),
		cmocka_unit_test(and_nobody_else_who_says_that_he_is_sshd),
		cmocka_unit_test(what_the_kernels_audit_says_of_a_user_is_believed),
		cmocka_unit_test(a_line_that_is_not_believed_leaves_no_trace),
		cmocka_unit_test(accounts_of_the_system_run_daemons),
		cmocka_unit_test(sudo_logs_in_the_name_of_who_starts_it),
		cmocka_unit_test(an_ordinary_user_names_no_address),
		cmocka_unit_test(on_a_unix_socket_the_kernel_says_who_it_is),
		cmocka_unit_test(the_kernels_lines_come_without_a_user),
		cmocka_unit_test(other_streams_are_read_as_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
