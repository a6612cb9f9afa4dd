/* Unit tests of lines that are JSON objects: journalctl's, a container's, other loggers'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define FAILED "Failed password for root from 192.0.2.1 port 5 ssh2"
#define GOT "ssh_login failure 1 user=root ip=192.0.2.1 port=5 method=password"

static void events_inside_json_are_read(void **state)
{
	static const struct line_case cases[] = {
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"sshd\",\"_PID\":\"7\","
		 "\"__REALTIME_TIMESTAMP\":\"1795361866000000\"}", GOT},
		{"{ \"_COMM\" : \"sshd\" , \"x\" : [ 1 , {\"y\":\"]\"} ] , \"MESSAGE\" : \""
		 FAILED "\" }", GOT},
		{"{\"log\":\"Nov 22 15:37:46 gw sshd[7]: " FAILED "\\n\",\"stream\":\"stdout\","
		 "\"time\":\"2026-11-22T15:37:46.5Z\"}", GOT},
		{"{\"message\":\"" FAILED "\",\"syslogtag\":\"sshd[7]:\"}", GOT},
		{"{\"MESSAGE\":\"" FAILED "\"}", "-"},
		{"{\"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"sshd\"} x", "-"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"sshd\"", "-"},
		{"{\"MESSAGE\":\"" FAILED "\" \"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		{"{}", "-"},
		{"{", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* Redaction saw the line as it stands: what would have to be decoded is not read. */
static void nothing_is_decoded(void **state)
{
	static const struct line_case cases[] = {
		{"{\"MESSAGE\":[70,97,105,108,101,100,32,112,97,115,115,119,111,114,100,32,102,"
		 "111,114,32,255,32,102,114,111,109,32,49,57,50,46,48,46,50,46,49,32,112,111,"
		 "114,116,32,53,32,115,115,104,50],\"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		{"{\"MESSAGE\":\"Failed password for Huawei\\u0040123 from 192.0.2.1 port 5 "
		 "ssh2\",\"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		{"{\"log\":\"type=EXECVE msg=audit(1.2:3): argc=2 a0=\\\"mysql\\\" "
		 "a1=\\\"-phunter2x\\\"\\n\"}", "-"},
		{"{\"log\":\"type=EXECVE msg=audit(1.2:3): argc=1 a0=mysql\\n\"}",
		 "process_started none 0 command=mysql"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"sshd\","
		 "\"_HOSTNAME\":\"\\u0067w\"}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":[115,115,104,100]}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"ss\\u0068d\"}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\",\"SYSLOG_IDENTIFIER\":\"sshd\",\"_PID\":[55]}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\\n\\n\",\"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		{"{\"MESSAGE\":\"" FAILED "\\\\n\",\"SYSLOG_IDENTIFIER\":\"sshd\"}", "-"},
		/* What is not taken may be as it likes. */
		{"{\"MESSAGE\":\"" FAILED "\\n\",\"SYSLOG_IDENTIFIER\":\"sshd\","
		 "\"_CMDLINE\":\"a\\tb\",\"X\":[1]}", GOT},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* An object as a message would need quotes, and those an escape. */
static void an_object_inside_an_object_is_not_read(void **state)
{
	static const struct line_case cases[] = {
		{"{\"log\":\"{\\\"MESSAGE\\\":\\\"" FAILED "\\\",\\\"SYSLOG_IDENTIFIER\\\":"
		 "\\\"sshd\\\"}\"}", "-"},
		{"{\"log\":\"<38>{\\\"log\\\":\\\"Nov 22 15:37:46 gw sshd[7]: " FAILED
		 "\\\\n\\\"}\\n\"}", "-"},
		{"{\"log\":<38>{\"log\":\"Nov 22 15:37:46 gw sshd[7]: " FAILED "\"}}", "-"},
		{"{\"log\":\"<38>{log:x}\"}", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* What a client writes into a message is not a member of the object. */
static void a_message_can_not_pose_as_a_member(void **state)
{
	static const struct line_case cases[] = {
		{"{\"MESSAGE\":\"Failed password for x\\\",\\\"SYSLOG_IDENTIFIER\\\":\\\"su\\\","
		 "\\\"a\\\":\\\" from 192.0.2.1 port 5 ssh2\",\"SYSLOG_IDENTIFIER\":\"sshd\"}",
		 "-"},
		{"{\"SYSLOG_IDENTIFIER\":\"sshd\",\"MESSAGE\":\"" FAILED "\",\"extra\":"
		 "{\"MESSAGE\":\"other\"},\"MESSAGE\":\"Accepted password for root from "
		 "203.0.113.9 port 5 ssh2\"}", GOT},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void header_of(const char *line, struct header *h)
{
	static struct parser *p;
	struct event e;

	parser_free(p);
	p = NULL;
	if (line != NULL) {
		assert_int_equal(parser_new(&p, NULL), 0);
		parser_line(p, slice_str(line), TEST_NOW, h, &e);
	}
}

static void headers_are_filled_in(void **state)
{
	struct header h;

	(void)state;
	header_of("{\"__REALTIME_TIMESTAMP\":\"1795361866500000\",\"_HOSTNAME\":\"gw\","
		  "\"SYSLOG_IDENTIFIER\":\"/usr/sbin/x\",\"_PID\":\"7\",\"PRIORITY\":\"6\","
		  "\"SYSLOG_FACILITY\":\"10\",\"MESSAGE\":\"hello\\n\"}", &h);
	assert_true(h.time_ns == TEST_NOW + 500000000);
	assert_true(slice_eq(h.host, SLICE_LIT("gw")));
	assert_true(slice_eq(h.program, SLICE_LIT("x")));
	assert_true(slice_eq(h.pid, SLICE_LIT("7")));
	assert_int_equal(h.priority, 86);
	assert_true(slice_eq(h.message, SLICE_LIT("hello")));
	header_of("{\"ts\":1795361866,\"msg\":\"a\"}", &h);
	assert_true(h.time_ns == TEST_NOW);
	header_of("{\"time\":1795361866000,\"msg\":\"a\"}", &h);
	assert_true(h.time_ns == TEST_NOW);
	header_of("{\"@timestamp\":\"2026-11-22T16:37:46+01:00\",\"message\":\"a\"}", &h);
	assert_true(h.time_ns == TEST_NOW);
	header_of("{\"time\":\"yesterday\",\"message\":\"a\"}", &h);
	assert_true(h.time_ns == TIME_NONE);
	header_of("{\"message\":{\"text\":\"a\"}}", &h);
	assert_int_equal(h.format, HEADER_NONE);
	header_of(NULL, &h);
}

/* Every beginning of an object, and one that is too deep, is no header and no harm. */
static void broken_objects_are_no_headers(void **state)
{
	static const char whole[] =
		"{\"a\":[1,\"\\\"]\",{\"b\":null}],\"message\":\"x\xc3\xa9\\n\",\"pid\":7}";
	char deep[600];
	struct header h;

	(void)state;
	for (size_t n = 1; n < sizeof whole - 1; n++) {
		char part[sizeof whole];

		memcpy(part, whole, n);
		part[n] = '\0';
		header_of(part, &h);
		assert_int_equal(h.format, HEADER_NONE);
	}
	header_of(whole, &h);
	assert_true(slice_eq(h.message, SLICE_LIT("x\xc3\xa9")));
	snprintf(deep, sizeof deep, "{\"message\":\"x\",\"a\":%0500d}", 0);
	memset(strchr(deep, '0'), '[', 500);
	header_of(deep, &h);
	assert_int_equal(h.format, HEADER_NONE);
	header_of(NULL, &h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_inside_json_are_read),
		cmocka_unit_test(nothing_is_decoded),
		cmocka_unit_test(an_object_inside_an_object_is_not_read),
		cmocka_unit_test(a_message_can_not_pose_as_a_member),
		cmocka_unit_test(headers_are_filled_in),
		cmocka_unit_test(broken_objects_are_no_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
