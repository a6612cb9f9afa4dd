/* framing: where a syslog message ends in a stream of bytes (RFC 6587).
 *
 * Each message tells by its first byte how it is framed: a digit from 1 to 9 begins an
 * octet count ("83 <34>1 ..."), anything else a message that ends at a newline or a
 * NUL.  Digits without a blank behind them, or more than FRAMING_DIGITS of them, are
 * text.  Newlines, carriage returns and NULs at a message's end are not part of it, and
 * empty messages are none.
 *
 * A message longer than max is given with its first max bytes; the rest is swallowed
 * and counted.
 *
 * Pure; allocates only for a message that comes in pieces, max bytes at most.
 */
#ifndef SOURCES_FRAMING_H
#define SOURCES_FRAMING_H

#include "common/buf.h"

enum { FRAMING_DIGITS = 7 };

enum framing_state { FRAMING_START, FRAMING_COUNT, FRAMING_OCTETS, FRAMING_LINE };

struct framing {
	enum framing_state state;
	struct buf part; /* of the message under way */
	uint64_t left;   /* of an octet count, bytes still to come */
	uint64_t cut;    /* bytes of the message that are swallowed */
	bool given;      /* part was given out and is to be emptied */
};

/* max >= FRAMING_DIGITS. */
void framing_init(struct framing *f, size_t max);
void framing_fini(struct framing *f);

/* Takes bytes from data up to the end of a message.  1: *out is one, in data or in f,
 * until the next call with f; *cut says how many bytes of it are missing.  0: data is
 * used up.  UV_ENOMEM: likewise, and what of the message was there is lost. */
int framing_next(struct framing *f, struct slice *data, struct slice *out,
		 uint64_t *cut);
/* Nothing more comes: the message under way, if there is one (true). */
bool framing_end(struct framing *f, struct slice *out, uint64_t *cut);

#endif
