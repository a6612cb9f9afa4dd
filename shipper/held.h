/* held: how far other stores hold our streams.
 *
 * Watermarks belong to a store.  When the agent goes on with another one, that one
 * lacks what the store before has acknowledged, and most of it is not on this
 * device any more: it is told so by a gap record, reason `held-by STORE`, and the
 * streams go on from there.  Nothing is sent to two stores that was acknowledged by
 * one.
 *
 * The loop thread only.
 */
#ifndef SHIPPER_HELD_H
#define SHIPPER_HELD_H

#include "common/reader.h"
#include "wire/msg.h"

enum { HELD_STORE = 16 };

struct held_stream {
	struct stream_id id;
	uint64_t position; /* the other store holds it up to here */
	uint64_t h;
	uint64_t from;     /* this one up to there */
	bool owed;         /* the gap between them is not told yet */
};

struct held {
	bool any; /* there was another store */
	char reason[8 + 2 * HELD_STORE + 1]; /* "held-by 0123..." */
	uint8_t store[HELD_STORE];
	struct held_stream *v; /* sorted by id */
	size_t n, n_owed;
};

void held_fini(struct held *h);

/* The store `old` has acknowledged these streams (an encoded list), and we go on with
 * another one.  UV_ENOMEM: as it was. */
int held_begin(struct held *h, const uint8_t old[static HELD_STORE],
	       struct slice streams);
/* What this store says of a stream: where it holds less than the other, the gap is
 * owed from now on and *w says what both hold. */
void held_raise(struct held *h, struct msg_stream *w);
/* Nothing below what the other store holds is wanted again: raises *w to there and
 * returns true. */
bool held_clamp(const struct held *h, struct msg_stream *w);
/* The gap that has to stand before a record at `next`: 1 and its start.  0 as well
 * behind what the other store holds: what lies between is on its way before that record,
 * and is wanted again, with the gap, when it is refused. */
int held_owed(const struct held *h, const struct stream_id *id, uint64_t next,
	      uint64_t *start);
/* It is in a batch. */
void held_told(struct held *h, const struct stream_id *id);

/* For the saved state; appends.  UV_ENOMEM, ERR_TOO_LARGE. */
int held_save(const struct held *h, struct buf *out);
/* UV_ENOMEM; what is malformed fails the reader and leaves nothing. */
int held_restore(struct held *h, struct reader *r);

#endif
