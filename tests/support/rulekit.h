/* rulekit: rules and records for the tests of detectors/, without parsers. */
#ifndef TESTS_SUPPORT_RULEKIT_H
#define TESTS_SUPPORT_RULEKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/timefmt.h"
#include "detectors/detect.h"

#define T0 (INT64_C(1700000000) * NS_PER_S) /* some time in 2023 */
#define SEC(n) (T0 + (int64_t)(n) * NS_PER_S)

static const uint8_t rulekit_key[16] = "0123456789abcdef";

/* The last complaint, as "line:column: text". */
struct complaints {
	unsigned n;
	char last[400];
};

static inline void rulekit_error(void *arg, const char *file, unsigned line,
				 unsigned column, const char *text)
{
	struct complaints *c = arg;

	(void)file;
	if (c == NULL) {
		fail_msg("%u:%u: %s", line, column, text);
		return;
	}
	c->n++;
	snprintf(c->last, sizeof c->last, "%u:%u: %s", line, column, text);
}

/* Compiled rules; complaints NULL: there must be none. */
static inline struct detect *rulekit_detect(const char *yaml,
					    const struct detectors_options *o,
					    struct complaints *c)
{
	struct detect *d;

	assert_int_equal(detect_new(&d, o, rulekit_key), 0);
	assert_true(detect_load_bytes(d, "test.yml", slice_str(yaml),
				      rulekit_error, c) >= 0);
	assert_true(detect_compile(d, rulekit_error, c) >= 0);
	return d;
}

/* A record about one login, at a time. */
static inline struct record rulekit_login(int64_t time_ns, enum outcome outcome,
					  const char *user, const char *ip)
{
	struct record r = {.observed_ns = INT64_C(4000000000) * NS_PER_S};

	r.line = slice_str("some line");
	r.header.time_ns = time_ns;
	r.header.program = slice_str("sshd");
	r.header.message = r.line;
	event_set(&r.event, FIELD_EVENT_CATEGORY, slice_str("authentication"));
	event_set(&r.event, FIELD_EVENT_ACTION, slice_str("ssh_login"));
	r.event.outcome = outcome;
	r.event.attempts = 1;
	if (user != NULL) {
		event_set(&r.event, FIELD_USER_NAME, slice_str(user));
	}
	if (ip != NULL) {
		event_set(&r.event, FIELD_SOURCE_IP, slice_str(ip));
	}
	return r;
}

#endif
