/* trust: may whoever wrote a line be the program that it names?
 *
 * Any user of a machine can log under any name (`logger -t sshd ...`).  What journald
 * and the kernel vouch for is the number of the user: _UID in the lines of the journal
 * (sources/journal_text.h), "uid=" in the name of a unix socket's stream
 * (sources/syslog.c).  The path of an executable is not: whoever has a mount namespace
 * of its own chooses it.
 *
 * Pure.  Internal to parsers/.
 */
#ifndef PARSERS_TRUST_H
#define PARSERS_TRUST_H

#include "common/record.h"

enum trust_source {
	TRUST_ALL,     /* nothing is known of who wrote it, or need be: files, UDP, TCP */
	TRUST_JOURNAL, /* each line says it */
	TRUST_USER,    /* one user wrote all of it */
};

struct trust {
	enum trust_source source;
	char uid[11]; /* TRUST_USER: digits; "" when there are several users */
};

enum trust_verdict {
	TRUST_WHOLLY,
	/* A program that an ordinary user may start and that then logs in his name (sudo,
	 * su, passwd), or PAM in one: all but an address that he may have made up. */
	TRUST_LOCALLY,
	TRUST_NOT, /* a daemon's line that no such user can have written */
};

/* path: of the stream, as its opening record says. */
void trust_init(struct trust *t, struct slice path);
/* *uid: who wrote it, in the line or in t; empty when that is not known. */
enum trust_verdict trust_judge(const struct trust *t, const struct header *h,
			       struct slice *uid);

#endif
