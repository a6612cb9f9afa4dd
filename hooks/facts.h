/* facts: what hooks want to know of an alert, taken from its JSON.
 *
 * The JSON may come from a machine that somebody else controls, and what is in it
 * from whoever wrote a log line.  So every value is checked for what it claims to
 * be (identity, severity, address, time) or made harmless text: control characters
 * become '?', long values are cut at a character.  Values that are not there, or are not
 * what they should be, are empty.  Pure; any thread.
 */
#ifndef HOOKS_FACTS_H
#define HOOKS_FACTS_H

#include "common/buf.h"
#include "common/finding.h"
#include "hooks/protocol.h"

struct facts {
	enum severity severity;
	char value[VARIABLE_NR][PROTOCOL_VALUE_MAX + 1]; /* NUL-terminated */
};

/* Appends the alert as one line with its newline to line; device, when not empty,
 * takes the place of the device's name in it.  ERR_MALFORMED: no JSON object, or one
 * without an alert's identity (32 hexadecimal digits), severity and state.
 * ERR_TOO_LARGE (PROTOCOL_INPUT_MAX with the newline), UV_ENOMEM. */
int facts_read(struct facts *out, struct slice json, struct slice device,
	       struct buf *line);

/* "HIGH Many failed logins: 12 from 203.0.113.9, user root, on gateway\n" */
int facts_print(const struct facts *f, struct buf *out);

#endif
