/* parsing: what a line was taken for, as one short text that a test can compare.
 *
 *	"ssh_login failure 1 user=root ip=192.0.2.1 port=22 method=password"
 *
 * action, outcome, attempts, then the fields that are there, in this order; "-" for a
 * line that no family knows.
 */
#ifndef TESTS_SUPPORT_PARSING_H
#define TESTS_SUPPORT_PARSING_H

#include <stdio.h>

#include "common/timefmt.h"
#include "parsers/parser.h"

enum { SUMMARY = 2048 };

struct line_case {
	const char *line;
	const char *summary;
};

static inline void summarize(const struct event *e, char out[static SUMMARY])
{
	static const struct {
		enum event_field field;
		const char *name;
	} fields[] = {
		{FIELD_USER_NAME, "user"},
		{FIELD_USER_EFFECTIVE_NAME, "to"},
		{FIELD_USER_TARGET_NAME, "target"},
		{FIELD_GROUP_NAME, "group"},
		{FIELD_SOURCE_IP, "ip"},
		{FIELD_SOURCE_ADDRESS, "host"},
		{FIELD_SOURCE_PORT, "port"},
		{FIELD_AUTH_METHOD, "method"},
		{FIELD_PROCESS_COMMAND_LINE, "command"},
		{FIELD_HTTP_STATUS, "status"},
		{FIELD_SOURCE_MAC, "mac"},
		{FIELD_DESTINATION_IP, "dst"},
		{FIELD_DESTINATION_PORT, "dport"},
		{FIELD_PACKAGE_NAME, "package"},
		{FIELD_PACKAGE_VERSION, "version"},
	};
	struct slice action = event_get(e, FIELD_EVENT_ACTION);
	int n;

	if (!event_understood(e)) {
		snprintf(out, SUMMARY, "-");
		return;
	}
	n = snprintf(out, SUMMARY, "%.*s %s %u", SLICE_ARG(action),
		     e->outcome == OUTCOME_NONE ? "none"
						: outcome_name(e->outcome),
		     e->attempts);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct slice v = event_get(e, fields[i].field);

		if (event_has(e, fields[i].field) && n < SUMMARY - 1) {
			n += snprintf(out + n, (size_t)(SUMMARY - n),
				      " %s=%.*s", fields[i].name, SLICE_ARG(v));
		}
	}
}

/* Nov 22 2026, 15:37:46 UTC */
#define TEST_NOW (INT64_C(1795361866) * NS_PER_S)

/* Runs each case through a parser of its own (together: through one), and fails
 * with both texts where they differ. */
static inline void check_cases(const struct line_case *cases, size_t n,
			       bool together)
{
	struct parser *p = NULL;
	struct header h;
	struct event e;
	char got[SUMMARY];

	for (size_t i = 0; i < n; i++) {
		if (p == NULL) {
			assert_int_equal(parser_new(&p, NULL), 0);
		}
		parser_line(p, slice_str(cases[i].line), TEST_NOW, &h, &e);
		summarize(&e, got);
		if (strcmp(got, cases[i].summary) != 0) {
			fail_msg("%s\n  is   %s\n  not  %s", cases[i].line, got,
				 cases[i].summary);
		}
		if (!together) {
			parser_free(p);
			p = NULL;
		}
	}
	parser_free(p);
}

#define CHECK_EACH(cases) \
	check_cases(cases, sizeof(cases) / sizeof *(cases), false)
#define CHECK_IN_ORDER(cases) \
	check_cases(cases, sizeof(cases) / sizeof *(cases), true)

#endif
