/* explain_pattern: the wording that a line was recognized by: its message with the names
 * of the fields where their values stood.  Pure. */
#ifndef CLI_EXPLAIN_PATTERN_H
#define CLI_EXPLAIN_PATTERN_H

#include "common/buf.h"
#include "common/record.h"

/* Is the field's value a part of the line? */
bool explain_in_line(const struct record *r, enum event_field field);
/* "Failed <auth.method> for <user.name> from <source.ip> ..." appended; UV_ENOMEM,
 * ERR_TOO_LARGE. */
int explain_pattern(const struct record *r, struct buf *out);

#endif
