/* raised: what the collector has acknowledged of streams that are read on from the end
 * of the spool.
 *
 * The tail reads a spooled stream from where the spool ends, as if all of it were
 * acknowledged.  It is not: the spool may still be given up (another store, damage),
 * and the process die before the lines are read again.  What is saved, and what a
 * collector is told, is therefore what a collector has said.
 *
 * The loop thread only.
 */
#ifndef AGENT_RAISED_H
#define AGENT_RAISED_H

#include "sources/stream.h"
#include "wire/msg.h"

struct raised_stream {
	struct stream_id id;
	uint64_t acked, h; /* by a collector */
	uint64_t end;      /* of the spool */
};

struct raised {
	struct raised_stream *v;
	size_t n, room;
};

void raised_fini(struct raised *r);

/* The stream goes on behind the spool's end; in states it is as it was before (or it
 * is not there).  UV_ENOMEM. */
int raised_add(struct raised *r, const struct msg_stream *end,
	       const struct stream_state *states, size_t n);
/* A collector has said how far it is. */
void raised_said(struct raised *r, const struct msg_stream *w);
/* Lowers the states to what is acknowledged. */
void raised_lower(const struct raised *r, struct stream_state *states, size_t n);

#endif
