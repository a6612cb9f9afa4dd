/* unproved: streams of which a collector holds something that nobody here can vouch for.
 *
 * A process that starts while its collector is away reads on from the table that its
 * predecessor saved, or finds lines in the spool that such a one has read.  If more had
 * been sent before, the collector's watermark W lies beyond what was known then, and what
 * is read again below W would be taken for what is there already.  It is, unless the file
 * is another one meanwhile, or the machine was put back to a backup and the file went on
 * otherwise.  So nothing is sent before the file itself has shown H(W); one that differs,
 * or ends before W, is a fork.  Only the first welcome of a process is held against the
 * files: what later ones tell was sent by it.
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
	bool refused;         /* no file was there to be read, or it could not be */
};

struct unproved {
	struct unproved_stream *v;
	size_t n, room;
};

void unproved_fini(struct unproved *u);
/* UV_ENOMEM. */
int unproved_add(struct unproved *u, const struct msg_stream *w);
/* What the collector says of the stream is not to be believed yet. */
bool unproved_has(const struct unproved *u, const struct stream_id *id);
/* The tail's answer, as its callback gives it. */
void unproved_answer(struct unproved *u, const struct stream_id *id, uint64_t position,
		     int answer);
/* Asks what can be asked by now; patient: those whose file may yet be found stay.  Returns
 * 1 with the id of a stream that is not what the collector has of it, to be called again;
 * 0: none. */
int unproved_next(struct unproved *u, struct tail *t, bool patient,
		  struct stream_id *wrong);

#endif
