/* verify: is a store what its devices sent, all of it and once?
 *
 * Reads everything: checksums, hash chains, every batch opened with the store's
 * keys, what was taken of each stream in the order of arrival, the signed heads
 * and the watermark log against what is there.  Changes nothing; may run beside a
 * collector, whose last second may then look unfinished.
 *
 * Blocks, and costs what opening everything costs (docs/store.md, "Verifying").
 */
#ifndef COLLECTOR_VERIFY_H
#define COLLECTOR_VERIFY_H

#include "collector/store.h"

enum verify_kind {
	VERIFY_DAMAGED,  /* bytes are not those that were written */
	VERIFY_REWRITTEN,/* whole, and not what the device sealed or signed */
	VERIFY_HOLE,     /* lines that were acknowledged are not here */
	VERIFY_REPLAY,   /* lines are here twice */
	VERIFY_SEALED,   /* sealed to keys that are not here: can't be told */
	VERIFY_NOTE,     /* worth knowing; nothing is wrong */
};

struct verify_finding {
	enum verify_kind kind;
	const char *device; /* name, or "" */
	const char *file;   /* below the store, or "" */
	uint64_t offset;    /* in it, where that makes sense */
	const char *text;
};

struct verify_totals {
	uint64_t devices, segments, batches, records, bytes, heads, streams;
	uint64_t wrong; /* findings that are no notes */
};

typedef void (*verify_cb)(void *arg, const struct verify_finding *f);

/* "damaged", "rewritten", ... */
const char *verify_kind_name(enum verify_kind k);
/* s: from store_open_read().  0 (whatever was found), UV_ENOMEM, or the error of
 * listing. */
int verify_store(struct store *s, verify_cb cb, void *arg,
		 struct verify_totals *totals);

#endif
