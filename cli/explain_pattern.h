/* explain_pattern: the wording that a line was recognized by: its message with the names
 * of the fields where their values stood.  Pure. */
#ifndef CLI_EXPLAIN_PATTERN_H
#define CLI_EXPLAIN_PATTERN_H

#include "common/buf.h"
#include "common/record.h"
#include "parsers/zone.h"

/* Is the field's value a part of the line? */
bool explain_in_line(const struct record *r, enum event_field field);
/* Which fields of a connection were known from a line before this one: they stand nowhere
 * in it, and a parser of the same zone and source (or NULL) that knows this line alone does
 * not find them; one that is merely decoded it does find.  UV_ENOMEM. */
int explain_earlier(const struct record *r, const struct zone *zone, const char *source,
		    bool earlier[static FIELD_NR]);
/* "Failed <auth.method> for <user.name> from <source.ip> ..." appended; UV_ENOMEM,
 * ERR_TOO_LARGE. */
int explain_pattern(const struct record *r, struct buf *out);

#endif
