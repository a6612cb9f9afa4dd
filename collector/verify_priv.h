/* verify_priv: what verify.c and verify_segment.c share. */
#ifndef COLLECTOR_VERIFY_PRIV_H
#define COLLECTOR_VERIFY_PRIV_H

#include "collector/opened.h"
#include "collector/verify.h"

/* What was taken of one stream by one batch. */
struct verify_taken {
	uint64_t arrival;
	size_t segment;
	struct stream_id stream;
	uint64_t from, end;
};

/* The chain's head after each batch of a segment. */
struct verify_chain {
	struct hash32 *v; /* v[0]: after the header */
	size_t n, room;
};

struct verify {
	struct store *s;
	verify_cb cb;
	void *arg;
	struct verify_totals *totals;

	struct device *device; /* with what the watermark log says */
	char dir[STORE_PATH];
	struct segment_list list;
	struct verify_chain *chains; /* one for each of list */
	struct signed_head *last;  /* the latest of each */
	struct verify_taken *taken;
	size_t n_taken, room_taken;
	struct opened *o;
	bool log_missing;
};

/* A finding; file: below the device's folder, or "". */
__attribute__((format(printf, 5, 6)))
void verify_tell(struct verify *v, enum verify_kind kind, const char *file,
		 uint64_t offset, const char *fmt, ...);

/* ---- verify_segment.c ---- */

/* Reads the i-th of v->list to its end, and notes its chain, its latest head and what it
 * took of each stream.  UV_ENOMEM. */
int verify_segment(struct verify *v, size_t i);
/* A head that names that segment must agree with its chain. */
void verify_head(struct verify *v, size_t i, const struct head *h, const char *file,
		 uint64_t offset);
/* It is the latest of its segment from here on.  UV_ENOMEM. */
int verify_keep_head(struct signed_head *last, const struct head *h,
		     struct slice bytes);

#endif
