/* syslog: messages that other programs and machines send: a unix datagram or stream
 * socket such as /dev/log, UDP and TCP.
 *
 * Each peer is a stream of its own (sources/backlog.h), named after the socket and
 * what the kernel says of the sender: a user's number on a unix socket, an address on
 * the others.  So a line can be traced to who sent it whatever it says of itself.  When
 * more peers speak than `peers`, the others share one stream.
 *
 *   datagram: one message            stream: RFC 6587 (sources/framing.h)
 *
 * A socket is always read: what the next stage has no room for waits up to `buffer`, then
 * it is dropped by policy; a peer that sends more than its rate is cut short.  Either is
 * counted and told as a gap record.  What arrives is on disk before it is anywhere else,
 * since the streams are `kept`.
 *
 *   connection:  OPEN --end, error, silence--> gone     (a message under way is taken)
 *
 * Threads   the loop thread only.
 * Memory    for each socket: `buffer`, 4 KiB and a pipeline's parser for each peer, and
 *           a message for each connection that is in the middle of one.
 */
#ifndef SOURCES_SYSLOG_H
#define SOURCES_SYSLOG_H

#include <uv.h>

#include "sources/sockets.h"
#include "sources/source.h"
#include "sources/tail.h"

/* Tokens: one for each message. */
struct bucket {
	int64_t tokens_u; /* millionths of one */
	int64_t last_ns;
	bool shut;        /* empty, and not yet a quarter full again */
};

/* May one more message pass?  rate: messages a second, 0: any number; burst: what may
 * come at once.  A bucket that ran empty opens again with a quarter of the burst, so
 * that a loss is one gap record and not one after each message.  Pure. */
bool bucket_take(struct bucket *b, int64_t now_ns, uint64_t rate, uint64_t burst);

/* sockets: taken over, those of the first n of options->syslog; calls and cb are kept, and
 * so is options for line_max, which does not change.  The sockets are read from
 * start() on.  UV_ENOMEM, or libuv's error. */
int syslog_new(struct source **out, uv_loop_t *loop, struct sys *sys,
	       struct sockets *sockets, const struct socket_calls *calls,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET],
	       const struct tail_callbacks *cb, void *arg);

/* ---- another list of sockets, while they are read ---- */

struct syslog_change; /* prepared, not taken yet */

struct syslog_ask {
	/* A socket, or its owner and mode, waits for a restart: one line. */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* Opens those that are new, with the rights that are left (options is borrowed for the
 * call).  One that needs others is noted and left out.  On any other error nothing has
 * changed, *out is NULL and why is one line: UV_EADDRINUSE, UV_ENOTSOCK, UV_ENOMEM or that
 * of a call. */
int syslog_prepare(struct syslog_change **out, struct source *source,
		   const struct sources_options *options, const struct syslog_ask *ask,
		   char why[static SOCKETS_WHY]);
/* From now on they are read.  One that stays keeps its peers and connections; one that is
 * gone is read to its end, closed, and forgotten when all of it is taken.  c is freed. */
void syslog_take(struct syslog_change *c, struct sources_taken *t);
/* Or not.  NULL allowed. */
void syslog_drop(struct syslog_change *c);

#endif
