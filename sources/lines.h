/* lines: cuts the raw bytes of one stream into records (docs/wire.md has why).
 *
 * A record covers raw [start, end) with its newline; records follow one
 * another without a hole.  Where they end depends on the bytes alone, never on
 * how the bytes came in pieces, nor on where reading was interrupted:
 *
 *   - a line of at most line_max bytes (newline not counted) is one record;
 *   - of a longer one, the first line_max bytes are a record flagged
 *     RECORD_CUT, and the rest is RECORD_SKIP records without text, which end
 *     line_max + k * LINES_SKIP bytes from the line's start (k = 1, 2, ...); the
 *     last of them ends behind the line's newline;
 *   - what is left without a newline is given when `final` is said (the
 *     timeout, or the end of the stream), flagged RECORD_NO_NEWLINE;
 *   - text that does not start where its line starts is flagged
 *     RECORD_CONTINUATION.
 *
 * Knows nothing of files.  Pure, allocates nothing; any thread.  A struct lines
 * is plain data: keep a copy from before lines_next() and assign it back (with
 * the slice) to put a record back.
 */
#ifndef SOURCES_LINES_H
#define SOURCES_LINES_H

#include "common/record.h"
#include "common/slice.h"

enum { LINES_SKIP = 1024 * 1024 }; /* bytes in one skip record */

struct lines {
	uint64_t position;     /* the next byte that lines_next() will look at */
	uint64_t record_start; /* below position only inside a skip record */
	uint64_t line_start;   /* of the line that position is in */
	uint32_t line_max;
};

struct line {
	uint64_t start, end; /* raw bytes of the stream, with the newline */
	uint32_t flags;      /* enum record_flag */
	struct slice text;   /* without the newline; borrowed from the data */
};

/* Reading (re)starts at position, inside the line that starts at line_start
 * (equal when the byte before position is a newline or there is none; when only
 * "not a newline" is known, position - 1).  line_max >= 1. */
void lines_init(struct lines *l, uint32_t line_max, uint64_t position,
		uint64_t line_start);

/* data: the bytes at l->position.  Returns true and the next record, with data
 * moved on behind it; false when data holds no further whole record: then what
 * is left in data (nothing, after a skip under way has swallowed it) has to be
 * offered again with more behind it.  final: there is no more for now, the
 * rest is a record too. */
bool lines_next(struct lines *l, struct slice *data, bool final,
		struct line *out);

/* How many of these bytes lines_next() would take, not being final: up to the
 * last newline, or all when what follows it is oversize already. */
size_t lines_ready(const struct lines *l, struct slice data);

#endif
