/* session: what the files of a session share among themselves.  session.c has the
 * link and the states, session_hello.c and session_segment.c what is said.
 *
 * Handlers return 0 when the message is dealt with (the session may be ending
 * then); UV_ENOSPC and the like when nothing was done and it has to wait for room;
 * other errors end the session.
 */
#ifndef COLLECTOR_SESSION_H
#define COLLECTOR_SESSION_H

#include "collector/collector.h"

void session_move(struct session *s, enum session_state to);
/* Sends a message; a peer that does not read loses its session. */
void session_send(struct session *s, enum msg_type type,
		  const struct buf *payload);
/* Ends the session because of what the peer said; always 0. */
int session_broken(struct session *s, const char *what, int rc);
/* The lane has no segment any more. */
void session_drop_lane(struct session *s, struct session_lane *l);

int session_on_hello(struct session *s, struct slice payload);
int session_on_segment(struct session *s, struct slice payload);
int session_on_batch(struct session *s, struct slice payload);
int session_on_head(struct session *s, struct slice payload);
int session_on_ladder(struct session *s, struct slice payload);

#endif
