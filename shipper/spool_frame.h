/* spool_frame: how a spool's file is made of frames, and what is left of them when
 * the file is damaged.  docs/spool.md has the bytes.  Private to shipper/.
 *
 * A frame says at its head, under a sum of its own, what its body is about; its body
 * has a sum behind it.  So either may be destroyed and the other still tells: a head
 * that stands alone names the streams and positions that are lost, a body that
 * stands alone is still a batch.  A mark at the head lets a reader find the next
 * frame behind whatever lies between.
 *
 * Pure, but for reading the file (shipper/spool_bytes.h).
 */
#ifndef SHIPPER_SPOOL_FRAME_H
#define SHIPPER_SPOOL_FRAME_H

#include "common/buf.h"
#include "shipper/spool_bytes.h"
#include "wire/segment.h"

/* At the beginning of a file; without a NUL. */
#define SPOOL_MAGIC {'N', 'J', 'S', 'P', 'O', 'O', 'L', '2'}
enum { SPOOL_MAGIC_BYTES = 8 };

enum frame_type { FRAME_HEADER = 1, FRAME_BATCH = 2 };

enum {
	FRAME_HEAD = 4 + 1 + 2 + 4, /* mark, type, lengths of note and body */
	FRAME_SUM = 8,
	FRAME_TAIL = 4 + FRAME_SUM, /* the body's length again, and its sum */
	FRAME_STREAM = 16 + 8 + 8,
	FRAME_HASH = 8,
	FRAME_NOTE_FIXED = 4 + FRAME_HASH + 2,
	FRAME_NOTE = FRAME_NOTE_FIXED + LIMIT_BATCH_STREAMS * FRAME_STREAM,
};

enum frame_state {
	FRAME_WHOLE,
	FRAME_NOTE_ONLY, /* the body is damaged */
	FRAME_CUT,       /* likewise, because the file ends in it */
	FRAME_BODY_ONLY, /* the head is damaged */
	FRAME_JUNK,      /* both are, or it never was a frame */
};

struct spool_frame {
	enum frame_state state;
	enum frame_type type; /* unless FRAME_BODY_ONLY or FRAME_JUNK */
	struct slice note, body; /* borrowed from the file, until it is read on */
	uint64_t at, end;     /* in the file */
	uint64_t body_at;     /* likewise, of a body */
};

/* Appends a frame.  UV_ENOMEM, ERR_TOO_LARGE. */
int spool_frame_add(struct buf *out, enum frame_type type, struct slice note,
	      struct slice body);

/* What stands at *at, and moves on over it; false at the end of the file. */
bool spool_frame_next(struct spool_bytes *file, uint64_t *at, struct spool_frame *out);

/* The bytes from `at` to the end are what a write that was not finished leaves: the
 * beginning of a head, or nothing but zeros. */
bool spool_frame_is_unfinished(struct spool_bytes *file, uint64_t at);

/* Is this the sum behind a body? */
bool spool_frame_sum_holds(struct slice body, const uint8_t tail[static FRAME_TAIL]);

/* The note of a batch: its index, the beginning of the chain's head after it, and the
 * ranges of its streams. */
int spool_frame_note_batch(struct buf *out, const struct batch_head *head);
/* A batch does not say itself which one it is: does the frame hold the one that was
 * decoded as head?  By its note, or when that is lost by the frame's size. */
bool spool_frame_holds(const struct spool_frame *f, const struct batch_head *head);
/* The next range of a note; starts with *at == 0.  false: no more. */
bool spool_frame_note_next(struct slice note, size_t *at, struct batch_stream *out);

#endif
