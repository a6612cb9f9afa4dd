/* roster: one list of the user's: addresses, networks, domains, user names, hashes.
 *
 * Plain text, one entry a line; "#" and ";" begin a comment, alone or behind an entry.
 *
 *   192.0.2.7        an address            *.example.com  every name below example.com
 *   198.51.100.0/24  a network             anything else  the whole value, case ignored
 *
 * Of texts only a keyed hash of 64 bits is kept: a value that is not in a list of a million
 * is taken for one that is with a chance of one in 10^13.  A line that is wrong is named and
 * left out.
 *
 * Threads   Each function may run on any thread, on its own roster; a roster that was read
 *           is only looked at.
 * Memory    8 bytes a text, netset.h's for networks; while it is read up to twice that.
 */
#ifndef DETECTORS_ROSTER_H
#define DETECTORS_ROSTER_H

#include "common/ip.h"
#include "common/sys.h"
#include "detectors/detect.h"

enum {
	ROSTER_ENTRIES = 4 * 1024 * 1024,  /* in one list */
	ROSTER_FILE = 256 * 1024 * 1024,   /* bytes of one */
	ROSTER_LINE = 1024,                /* of an entry with its comment */
	ROSTER_ERRORS = 20,                /* told of one list; then only counted */
	ROSTER_SOURCE = 200,
};

struct roster; /* opaque, on the heap */

struct roster_about {
	size_t networks, texts; /* as they are kept: what is in it twice counts once */
	size_t bytes;           /* of memory */
	unsigned wrong;         /* lines left out */
	bool all_v4, all_v6;    /* every address is in it: 0.0.0.0/0, ::/0, or their halves */
	int64_t changed_ns;     /* when the file was */
	/* "# source: TEXT" in its first comments; "" when it does not say. */
	char source[ROSTER_SOURCE];
};

/* Reads the file.  name: what on_error calls it.  UV_ENOMEM; ERR_TOO_LARGE; or the error of
 * a call. */
int roster_read(struct roster **out, struct sys *sys, const char *path,
		const uint8_t key[static 16], detect_error_cb on_error, void *arg);
/* The same from memory. */
int roster_read_bytes(struct roster **out, const char *name, struct slice text,
		      const uint8_t key[static 16], detect_error_cb on_error, void *arg);
/* NULL is allowed. */
void roster_free(struct roster *r);

/* Whether the value is in the list: as an address, or as a text. */
bool roster_has(const struct roster *r, struct slice value);
const struct roster_about *roster_about(const struct roster *r);

#endif
