/* unproved: streams of which a collector holds more than was known here when reading
 * began without it.
 *
 * A process that starts while its collector is away reads on from the table that its
 * predecessor saved.  If that one had sent more, the collector's watermark W lies beyond
 * what is known here, and what is read again below W is taken for what is there already.
 * It is, unless the file is another one meanwhile: so H(W) is asked for once the file was
 * read that far, and a file that differs, or ends before W, is a fork.  Only the first
 * welcome of a process is held against the files: what later ones tell was sent by it.
 *
 * The loop thread only.
 */
#ifndef AGENT_UNPROVED_H
#define AGENT_UNPROVED_H

#include "sources/tail.h"
#include "wire/msg.h"

struct unproved_stream {
	struct stream_id id;
	uint64_t position, h; /* W and H(W) of the collector */
	bool asked;           /* tail_verify() will answer */
	bool wrong;           /* it has: not the same bytes */
};

struct unproved {
	struct unproved_stream *v;
	size_t n, room;
};

void unproved_fini(struct unproved *u);
/* UV_ENOMEM. */
int unproved_add(struct unproved *u, const struct msg_stream *w);
/* The tail's answer, as its callback gives it. */
void unproved_answer(struct unproved *u, const struct stream_id *id, uint64_t position,
		     int answer);
/* Asks what can be asked by now.  Returns 1 with the id of a stream that is not what
 * the collector has of it, to be called again; 0: none. */
int unproved_next(struct unproved *u, struct tail *t, struct stream_id *wrong);

#endif
