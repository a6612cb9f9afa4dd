/* msg: what agent and collector say to each other, as structs and as bytes.
 * docs/wire.md, "Messages".  Pure: no clock, no I/O.
 *
 * Encoders append to a buf: UV_ENOMEM, ERR_TOO_LARGE.  Decoders borrow from the
 * payload, check every length and count against common/limits.h, and
 * return ERR_TRUNCATED, ERR_MALFORMED or ERR_VERSION.  Lists come back through
 * a callback or a cursor, so that a decoder allocates nothing.
 */
#ifndef WIRE_MSG_H
#define WIRE_MSG_H

#include "common/buf.h"
#include "common/reader.h"
#include "wire/segment.h"

enum { PROTOCOL_VERSION = 1, PROTOCOL_VERSION_MIN = 1 };

enum msg_type {
	MSG_HELLO = 1,   /* agent, first */
	MSG_WELCOME = 2, /* collector, the answer */
	MSG_SEGMENT = 3, /* agent: a segment begins or goes on */
	MSG_SEALED = 4,  /* agent: lane (one byte), then the encoded batch (MSG_BATCH
			  * is a flag of sendmmsg(2)) */
	MSG_ACK = 5,     /* collector: what is durable */
	MSG_NAK = 6,     /* collector: starts above what is stored */
	MSG_HEAD = 7,    /* agent: a signed head; collector: which one is durable */
	MSG_ERROR = 8,   /* either: why the link ends */
	MSG_LADDER = 9,  /* agent: asks for a stream's ladder; collector: it */
	MSG_PING = 11,   /* agent: a sign of life, empty; no answer */
	MSG_BYE = 10,    /* agent: ends cleanly, everything acknowledged or spooled */
	MSG_WAIT = 12,   /* collector, before its welcome, empty: that will come */
};

/* One stream as an end knows it. */
struct msg_stream {
	struct stream_id id;
	uint64_t received, durable;     /* W; an agent fills both with its own */
	uint64_t h_received, h_durable; /* H at those */
};

/* One segment as an end knows it. */
struct msg_segment {
	struct segment_id id;
	int64_t index;      /* last batch it has, -1: only the header */
	struct hash32 hash; /* the chain's head there */
};

struct hello {
	uint8_t version_min, version_max;
	uint8_t instance[16];      /* random, new for each process */
	uint8_t boot[16];          /* the kernel's boot id */
	uint8_t machine[32];       /* hash of the machine id */
	int64_t time_ms;           /* the agent's clock */
	struct slice software;     /* "nightjar-agent 0.1.0" */
	struct slice store_id;     /* 16 bytes of the store it knows, or empty */
	struct slice acked_head;   /* the last signed head that was acknowledged, or empty */
	struct slice segments;     /* encoded list, see msg_segments_next() */
	struct slice streams;      /* encoded list, see msg_streams_next() */
};

struct welcome {
	uint8_t version;
	uint8_t store_id[16];
	int64_t time_ms;           /* the collector's clock */
	uint8_t window_log;        /* for new segments */
	uint32_t max_segment_decoded; /* bytes, before a new segment must begin */
	uint32_t max_frame;
	size_t n_keys;
	struct seal_key keys[LIMIT_RECIPIENTS]; /* to seal new segments to: all */
	struct slice segments;     /* those of hello that it has */
	struct slice streams;      /* those of hello, then others of this device */
};

struct segment_msg {
	enum lane lane;
	int64_t after;        /* the batch with index after+1 comes next */
	struct hash32 hash;   /* the chain's head at `after` */
	struct slice header;  /* the encoded segment header */
};

struct ack {
	struct slice segments; /* durable up to (id, index, hash) */
	struct slice streams;  /* durable watermarks (received = durable) */
};

struct nak {
	struct segment_id segment;
	struct msg_stream stream;
};

enum msg_error_code {
	MSG_ERROR_PROTOCOL = 1,   /* you broke the protocol */
	MSG_ERROR_VERSION = 2,
	MSG_ERROR_FENCED = 3,     /* a newer session of this device is here */
	MSG_ERROR_CLONED = 4,     /* a second machine under this identity */
	MSG_ERROR_CONFLICT = 5,   /* same segment and index, another hash */
	MSG_ERROR_BUSY = 6,       /* come back later */
	MSG_ERROR_STORAGE = 7,    /* the store can't write */
	MSG_ERROR_REVOKED = 8,
};

struct error_msg {
	uint16_t code;
	uint32_t retry_after_ms;
	struct slice text; /* for the log: what, and what to do */
};

int msg_add_stream(struct buf *list, const struct msg_stream *s);
int msg_add_segment(struct buf *list, const struct msg_segment *s);
/* 1: *out is the next and *list moved on; 0: no more; negative: malformed. */
int msg_streams_next(struct slice *list, struct msg_stream *out);
int msg_segments_next(struct slice *list, struct msg_segment *out);

int hello_encode(const struct hello *h, struct buf *out);
int hello_decode(struct hello *h, struct slice payload);
int welcome_encode(const struct welcome *w, struct buf *out);
int welcome_decode(struct welcome *w, struct slice payload);
int segment_msg_encode(const struct segment_msg *m, struct buf *out);
int segment_msg_decode(struct segment_msg *m, struct slice payload);
int ack_encode(const struct ack *a, struct buf *out);
int ack_decode(struct ack *a, struct slice payload);
int nak_encode(const struct nak *n, struct buf *out);
int nak_decode(struct nak *n, struct slice payload);
int error_msg_encode(const struct error_msg *e, struct buf *out);
int error_msg_decode(struct error_msg *e, struct slice payload);

/* A ladder: H at some positions of a stream, descending. */
struct rung {
	uint64_t position;
	uint64_t h;
};
enum { LADDER_RUNGS = 64 };
/* n == 0: the question.  n <= LADDER_RUNGS. */
int ladder_encode(const struct stream_id *id, const struct rung *rungs,
		  size_t n, struct buf *out);
int ladder_decode(struct stream_id *id, struct rung rungs[static LADDER_RUNGS],
		  size_t *n, struct slice payload);

#endif
