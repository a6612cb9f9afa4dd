/* backlog: the messages of a source that can't wait, between the socket that they came
 * from and the callbacks of sources/tail.h.
 *
 * A stream that is new in every process and can't be read again.  Its positions count
 * messages: message n covers [n, n + 1), and so does one that had to be dropped, whose
 * range a gap record takes.  What the next stage has no room for waits here, in order,
 * up to a limit that several backlogs share; then messages are dropped, the newest or
 * the oldest.
 *
 * One of them may fill all of the limit while the others are empty.  When it is full,
 * a backlog that holds less than its fair share (the limit, divided by those that hold
 * something) still gets room: the one that holds most drops in its place ("longest queue
 * drop").  So a peer that floods loses its own messages and not its neighbours'.
 *
 * Threads   the loop thread only.
 * Memory    about 1 KiB, and blocks that are between half full and full of what waits,
 *           but for one of 4 KiB that is kept.
 */
#ifndef SOURCES_BACKLOG_H
#define SOURCES_BACKLOG_H

#include "sources/options.h"
#include "sources/tail.h"

enum backlog_reason {
	LOST_FULL,      /* no room behind the socket */
	LOST_RATE,      /* more than one peer may send */
	LOST_KERNEL,    /* the kernel's receive buffer was full */
	LOST_REASONS
};

/* Common to several backlogs; zeroed but for max. */
struct backlog_share {
	size_t used, max; /* bytes of messages that wait */
	size_t holders;   /* backlogs in which some wait */
	struct backlog *first; /* all of them */
	uint64_t lost[LOST_REASONS];
};

struct backlog {
	struct stream stream;
	unsigned char secret[STREAM_SECRET];
	const struct tail_callbacks *cb;
	void *arg;
	struct backlog_share *share;
	struct backlog *prev, *next; /* of share */
	struct block *head, *tail;   /* of items (backlog.c); NULL: none */
	size_t waiting;      /* bytes of them */
	uint64_t lost_first; /* dropped in front of the first one */
	uint64_t h;
};

/* b stays where it is.  about, cb and share are kept; name is copied and stands for the
 * path of a file.  A message of more than line_max bytes is cut.  Calls opened().
 * UV_ENOMEM, or an error of randomness; then nothing is to be freed. */
int backlog_open(struct backlog *b, struct sys *sys,
		 const unsigned char secret[static STREAM_SECRET],
		 const struct sources_about *about, const char *name,
		 uint32_t line_max, const struct tail_callbacks *cb, void *arg,
		 struct backlog_share *share);
/* Hands on once more what waits, and calls closed().  What is not taken then is one
 * loss, which is told like others; when there is no room for that either, closed() says
 * TAIL_CUT_OFF.  Returns how many messages were lost so. */
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
