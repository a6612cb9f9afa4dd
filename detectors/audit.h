/* audit: fields of auditd's records under their own names, as Sigma's rules for the
 * service auditd use them: type, a0, exe, SYSCALL, nametype ...
 *
 * Source: linux-audit 3.0.9 auparse/typetab.h (names, and which may be encoded),
 * lib/msg_typetab.h (types by number); Linux kernel/auditsc.c and the system call tables
 * of x86-64, i386, ARM and the generic one.  Pure.
 */
#ifndef DETECTORS_AUDIT_H
#define DETECTORS_AUDIT_H

#include "common/record.h"

enum { AUDIT_FIELDS = 74, AUDIT_SCRATCH = 4096 };

/* The field's index of a name, or -1.  Names are compared exactly, since SYSCALL and
 * syscall are two. */
int audit_find(struct slice name);
const char *audit_name(unsigned i);

/* Whether the line is a record of auditd's, by itself or behind a header. */
bool audit_is(struct slice message);

/* The value of field i of such a record; false when it has none.  What stands there in
 * hexadecimal is decoded into scratch, or given as it is when scratch is NULL. */
bool audit_get(struct slice message, unsigned i, char *scratch, struct slice *out);

#endif
