/* body: the records of a batch as bytes, before compression and after.
 * docs/segment.md, "Body".
 *
 * A body has one section for each stream of the batch, in the order of the
 * batch's header.  A section's text is the redacted lines as they stood in the
 * source, each with a newline and without what it begins with as the line before
 * it did (how much that is stands in a column of its own: front coding, as in
 * Witten, Moffat and Bell, "Managing Gigabytes", 4.1); whatever is unusual about a
 * record (its flags, a raw length other than its text's, an explicit time) stands
 * in a table before both.
 *
 * Threads   None of its own; one thread at a time for each object.
 * Errors    Writer: UV_ENOMEM, ERR_TOO_LARGE.  Reader: ERR_TRUNCATED,
 *           ERR_MALFORMED, UV_ENOMEM.
 */
#ifndef WIRE_BODY_H
#define WIRE_BODY_H

#include "common/buf.h"
#include "common/reader.h"
#include "common/record.h"
#include "wire/segment.h"

/* ---- writing: one section, grown record by record ---- */

/* The most that a line may leave out of what the one before it began with. */
enum {
	BODY_SHARED_MAX = 127,
	/* What a line may take when it is read. */
	BODY_LINE_MAX = LIMIT_BATCH_DECODED + BODY_SHARED_MAX + 1,
};

struct body_section {
	struct buf odd;  /* the table of unusual records, encoded */
	struct buf shared; /* for each record, what it leaves out (u8) */
	struct buf text;
	char last[BODY_SHARED_MAX]; /* how the last line begins */
	uint8_t n_last;
	uint32_t count;  /* records so far */
	uint32_t n_odd;
	uint32_t last_odd;
	uint64_t start, end; /* raw bytes covered so far */
	int64_t observed_ns; /* when its first record was read */
	int64_t first_ns, last_ns; /* least and greatest record time */
};

/* limit: the most that text, column and table together may take. */
void body_section_init(struct body_section *s, size_t limit);
void body_section_fini(struct body_section *s);
/* Empties it and keeps the memory.  start: where its first record will stand. */
void body_section_reset(struct body_section *s, uint64_t start);

/* Appends a record.  r->start must equal s->end (for the first: s->start is set
 * from it).  Only start, end, flags, line, observed_ns and header.time_ns are
 * read.  A line with a newline in it is refused with UV_EINVAL.
 * with_time: store record_time_ns() explicitly (a source whose text has no
 * stamp, or one that can't be read again the same way). */
int body_add(struct body_section *s, const struct record *r, bool with_time);

/* The most bytes that the section will take. */
size_t body_section_size(const struct body_section *s);
/* Appends the finished section to out: first all but its text, then that. */
int body_section_write_head(const struct body_section *s, struct buf *out);
int body_section_write(const struct body_section *s, struct buf *out);

/* ---- reading ---- */

struct body_reader {
	struct reader rest;  /* behind the current section */
	const struct batch_head *head; /* kept */
	size_t section;      /* current, index into head->streams */
	uint32_t left;       /* records left in it */
	uint32_t index;      /* of the next record in it */
	struct slice odd, shared, text;
	struct buf *line;    /* the current one, put together */
	uint32_t odd_left, next_odd;
	uint64_t position;   /* raw start of the next record */
	int64_t observed_ns;
	int rc;
};

/* body, head and line are borrowed while reading.  line: the records' lines are put
 * together in it; its limit is BODY_LINE_MAX. */
void body_reader_init(struct body_reader *r, const struct batch_head *head,
		      struct slice body, struct buf *line);
/* The next record, until the next call: stream, start, end, flags, line, observed_ns, and
 * header.time_ns = its explicit time or TIME_NONE; the rest of header and event
 * are empty: parsers/ derives them from the line.  1: *out is filled; 0: no
 * more, and everything agreed with the head (ranges, counts); negative: error,
 * and so is every later call. */
int body_next(struct body_reader *r, struct record *out);

#endif
