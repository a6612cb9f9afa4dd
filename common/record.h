/* record: one line of a source on its way through the agent or out of the
 * collector's store: the redacted text, what its header said, what it means,
 * where it stood and when it was read.
 *
 * Every slice in it is borrowed for the call that hands the record over.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <stdint.h>

#include "common/event.h"
#include "common/slice.h"

#define TIME_NONE INT64_MIN

/* A stream's identity: 128 random bits. */
struct stream_id {
	uint8_t b[16];
};

enum header_format {
	HEADER_NONE,    /* nothing recognised: the whole line is the message */
	HEADER_RFC3164, /* "Nov 22 15:37:46 host prog[1]: text", with or without <pri> */
	HEADER_ISO,     /* RFC 3339 stamp in front of an RFC 3164 rest */
	HEADER_RFC5424, /* <pri>1 stamp host app procid msgid sd text */
	HEADER_LOGREAD, /* OpenWrt: "Sun Nov 22 15:37:46 2026 authpriv.info prog[1]: text" */
	HEADER_OTHER,   /* a stamp and a message, no program (web logs, auditd) */
};

struct header {
	enum header_format format;
	int64_t time_ns;      /* Unix time of the stamp, or TIME_NONE */
	int priority;         /* facility * 8 + severity, or -1 */
	struct slice host;    /* empty when the line has none */
	struct slice program; /* without path, pid or "(pam_unix)" */
	struct slice pid;     /* digits, or empty */
	struct slice message; /* what stands behind the header */
	struct slice msgid;   /* RFC 5424's, empty when there is none */
	struct slice structured; /* likewise: "[id name="value" ...]...", or empty */
};

/* What a record is, beside its text (bits; wire format, docs/segment.md). */
enum record_flag {
	RECORD_CONTINUATION = 1 << 0, /* the byte before it was not a newline */
	RECORD_CUT = 1 << 1,          /* only the first bytes of a longer line */
	RECORD_NO_NEWLINE = 1 << 2,   /* ended by timeout or end of stream */
	RECORD_SKIP = 1 << 3,         /* [start, end) was cut away; no text */
	RECORD_GAP = 1 << 4,          /* [start, end) is lost; text: the reason */
	RECORD_GAP_OPEN = 1 << 5,     /* lost from start on, end unknown */
	RECORD_OPEN = 1 << 6,         /* first of a stream; text: its description (JSON) */
	RECORD_CLOSE = 1 << 7,        /* a stream that can't be read again ended here */
	RECORD_REDACTED = 1 << 8,     /* something in the text was masked */
	RECORD_ALERT = 1 << 9,        /* text: an alert (JSON) */
	RECORD_EXTENDS = 1 << 10,     /* set by the store: straddled the watermark */
	RECORD_FORK = 1 << 11,        /* first of a stream that may repeat another's lines */
};

struct record {
	struct stream_id stream;
	uint64_t start, end;  /* raw bytes [start, end) of the stream */
	uint32_t flags;       /* enum record_flag */
	struct slice line;    /* redacted, without its newline */
	int64_t observed_ns;  /* Unix time when it was read */
	struct header header; /* of line */
	struct event event;   /* of line */
};

/* The stamp's time, or the time of reading. */
static inline int64_t record_time_ns(const struct record *r)
{
	return r->header.time_ns != TIME_NONE ? r->header.time_ns
					      : r->observed_ns;
}

#endif
