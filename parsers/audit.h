/* audit: what audit.c and audit_kernel.c share.  Internal to parsers/. */
#ifndef PARSERS_AUDIT_H
#define PARSERS_AUDIT_H

#include "parsers/family.h"

/* The fields of a record: as they were logged, and what auditd put behind them in the
 * "enriched" format (names for numbers, behind a byte 0x1d). */
struct audit_fields {
	struct slice raw, names;
	struct slice serial; /* of the event that it belongs to; empty: not told */
};

/* key="value", key=value; empty when there is none.  key with its "=". */
struct slice audit_field(struct slice fields, struct slice key, bool *quoted);
/* The same, and hexadecimal digits in the place of quotes are decoded; it lives in the
 * line or in the parser. */
struct slice audit_text(struct context *c, struct slice fields, struct slice key);
/* Hexadecimal digits, as much as there is room for; a NUL becomes `nul`. */
struct slice audit_decode(struct context *c, struct slice v, char nul);
/* Whether a value says anything. */
bool audit_known(struct slice v);

/* The records of one system call, which one serial number holds together: what one of
 * them tells of the user, those behind it have too. */
bool audit_syscall(struct context *c, const struct audit_fields *f);
bool audit_execve(struct context *c, const struct audit_fields *f);
bool audit_path(struct context *c, const struct audit_fields *f);
bool audit_proctitle(struct context *c, const struct audit_fields *f);
bool audit_context(struct context *c, const struct audit_fields *f);
bool audit_denial(struct context *c, const struct audit_fields *f);

#endif
