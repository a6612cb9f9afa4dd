/* renewal: certificate, key and authority are files that somebody renews; a daemon
 * that runs for years takes them up.
 *
 * Looks at the files' inode, size and time and loads them when one has changed.  A set
 * that is not good (half of it renewed so far, a damaged file, an expired
 * certificate) is named once, and again when it changes; meanwhile the old identity
 * stays in use.
 *
 * One thread.  Reads files: small ones, seldom.
 */
#ifndef WIRE_RENEWAL_H
#define WIRE_RENEWAL_H

#include "common/sys.h"
#include "wire/identity.h"

enum { RENEWAL_FILES = 3 };

struct renewal {
	struct sys *sys;
	const char *paths[RENEWAL_FILES];
	struct sys_stat seen[RENEWAL_FILES]; /* zeros: could not be looked at */
};

/* Everything is kept.  What is there now counts as loaded. */
void renewal_init(struct renewal *r, struct sys *sys, const char *cert_path,
		  const char *key_path, const char *ca_path);

/* 0: nothing has changed.  1: *fresh is the new identity, the caller's.  Negative:
 * something has changed and can't be used: identity_load()'s errors, and why.
 * same_key, NULL allowed: an identity whose key the new one must have
 * (ERR_CERTIFICATE). */
int renewal_check(struct renewal *r, const struct identity *same_key,
		  struct identity **fresh, char why[static IDENTITY_WHY]);

#endif
