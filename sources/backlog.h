/* backlog: the messages of a source that can't wait, between the socket that they came
 * from and the callbacks of sources/tail.h.
 *
 * A stream that is new in every process and can't be read again.  Its positions count
 * messages: message n covers [n, n + 1), and so does one that had to be dropped, whose
 * range a gap record takes.  What the next stage has no room for waits here, in order,
 * up to a limit that several backlogs share; then messages are dropped, the newest or
 * the oldest.
 *
 * Threads   the loop thread only.
 * Memory    about 1 KiB and what waits.
 */
#ifndef SOURCES_BACKLOG_H
#define SOURCES_BACKLOG_H

#include "common/buf.h"
#include "sources/options.h"
#include "sources/tail.h"

enum backlog_reason {
	LOST_FULL,      /* no room behind the socket */
	LOST_RATE,      /* more than one peer may send */
	LOST_KERNEL,    /* the kernel's receive buffer was full */
	LOST_REASONS
};

/* Common to several backlogs. */
struct backlog_share {
	size_t used, max; /* bytes of messages that wait */
	uint64_t lost[LOST_REASONS];
};

struct backlog {
	struct stream stream;
	unsigned char secret[STREAM_SECRET];
	const struct tail_callbacks *cb;
	void *arg;
	struct backlog_share *share;
	struct buf queue;   /* items: struct item (backlog.c) and its text */
	size_t at;          /* the first of them */
	size_t last;        /* the last of them; == queue.n: none */
	uint64_t lost_first; /* dropped in front of the first one */
	uint64_t h;
};

/* about, cb and share are kept; name is copied and stands for the path of a file.  A
 * message of more than line_max bytes is cut.  Calls opened().  UV_ENOMEM, or an error
 * of randomness; then nothing is to be freed. */
int backlog_open(struct backlog *b, struct sys *sys,
		 const unsigned char secret[static STREAM_SECRET],
		 const struct sources_about *about, const char *name,
		 uint32_t line_max, const struct tail_callbacks *cb, void *arg,
		 struct backlog_share *share);
/* Hands on once more what waits, and calls closed().  Returns how many messages no
 * next stage took: they are lost and nobody could be told. */
uint64_t backlog_close(struct backlog *b);
/* Frees, without calling anything. */
void backlog_fini(struct backlog *b);

/* A message (copied): newlines and NULs in it become #012 and #000.  cut: it is not all
 * of it.  When there is no room it (or what waits for longest) is dropped and
 * counted. */
void backlog_add(struct backlog *b, struct slice message, bool cut,
		 enum sources_overflow policy);
/* Messages that were lost before they came here. */
void backlog_lose(struct backlog *b, uint64_t n, enum backlog_reason reason);

/* Hands on what waits, as far as it is taken.  A loss that is the last item stays, so
 * that it is one record with those that follow at once, unless `all`.  True: nothing
 * is left but that. */
bool backlog_offer(struct backlog *b, bool all);

#endif
