/* frame: messages cut out of a stream of bytes: u32 length (big-endian, of the
 * payload), u8 type, payload.  docs/wire.md, "Frames".
 *
 * Pure; one thread at a time.  The caller reads straight into the place that it
 * is given, so that nothing is copied twice; memory grows with what has arrived
 * and not with what was announced.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "common/buf.h"
#include "common/limits.h"

enum { FRAME_HEADER = 5 };

struct frame_reader {
	uint8_t head[FRAME_HEADER];
	size_t head_n;
	uint32_t need; /* payload's length, once the head is whole */
	struct buf payload;
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_fini(struct frame_reader *r);

/* Where the next bytes go, and how many at most (> 0).  UV_ENOMEM. */
int frame_room(struct frame_reader *r, char **p, size_t *n);
/* n bytes were put there.  1: a message is whole; 0: not yet; ERR_TOO_LARGE: it
 * announces more than LIMIT_FRAME, see r->need. */
int frame_took(struct frame_reader *r, size_t n);
/* Of the message that is whole. */
uint8_t frame_type(const struct frame_reader *r);
/* Forgets it: ready for the next one. */
void frame_next(struct frame_reader *r);
/* Part of a message has arrived. */
bool frame_begun(const struct frame_reader *r);

#endif
