/* identities: a temporary directory with an authority, and identities issued
 * under it as of any day, for tests. */
#ifndef TESTS_SUPPORT_IDENTITIES_H
#define TESTS_SUPPORT_IDENTITIES_H

#include "common/sys.h"
#include "pki/pki.h"
#include "wire/identity.h"

struct identities {
	char dir[64];
	struct sys sys; /* the real one but for the clock */
	struct sys_ops ops;
	int64_t shift_ms; /* of that clock against the real one */
	struct pki pki;
};

/* Aborts the test when something goes wrong. */
void identities_open(struct identities *t);
/* Removes the directory. */
void identities_close(struct identities *t);

/* Issues a device's or a collector's identity and loads it, as of the shifted
 * clock.  The caller frees it. */
struct identity *identities_device(struct identities *t, const char *name);
struct identity *identities_collector(struct identities *t, const char *host);
/* Loads by file names in the directory, as of now. */
int identities_load(struct identities *t, struct identity **out,
		    const char *crt, const char *key, const char *ca,
		    char why[static IDENTITY_WHY]);
/* "DIR/NAME"; good until the next call. */
const char *identities_path(struct identities *t, const char *name);

#endif
