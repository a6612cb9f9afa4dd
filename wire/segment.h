/* segment: batches of records that share one compression stream, one content
 * key and one hash chain; sealing them, following them without the key, and
 * opening them with it.  docs/segment.md has the bytes.
 *
 * The same bytes stand in memory, in the spool, on the wire and in the
 * collector's archive: a segment header, then batches 0, 1, 2, ...
 *
 *   struct sealer    the sender: makes the content key, compresses, seals
 *   struct follower  needs no key: checks structure and chain (collector,
 *                    spool recovery, `nightjar store verify`)
 *   struct opener    holds a private sealing key: authenticates, decrypts and
 *                    decompresses batches in order
 *
 * Knows nothing of files, links or what a record is (wire/body.h).
 *
 * Threads   An object is used by one thread at a time; different objects are
 *           independent.  seal and open take about 1 ms a MiB and more: they
 *           are made to be called inside a sys_work.
 * Units     Bytes; times are Unix milliseconds where named _ms.
 * Errors    0 or UV_ENOMEM / ERR_*, named at each function.
 */
#ifndef WIRE_SEGMENT_H
#define WIRE_SEGMENT_H

#include "common/buf.h"
#include "common/limits.h"
#include "common/record.h"
#include "common/sys.h"

enum { SEGMENT_VERSION = 1 };

enum lane {
	LANE_ALERT, /* alerts: sent first */
	LANE_KEPT,  /* lines that can't be read again */
	LANE_FILE,  /* lines that can */
	LANE_NR
};
/* "alert", "kept", "file". */
const char *lane_name(enum lane lane);

struct segment_id {
	uint8_t b[16]; /* random */
};

struct hash32 {
	uint8_t b[32]; /* SHA-512, its first 256 bits */
};

/* A public sealing key of a collector's store: X25519. */
struct seal_key {
	uint8_t id[8]; /* first bytes of the hash of the public key */
	uint8_t public_key[32];
};

/* What a segment's header says. */
struct segment_info {
	uint8_t version;
	enum lane lane;
	struct segment_id id;
	uint64_t number;      /* counts a device's segments in this lane, from 1 */
	struct hash32 device; /* hash of the device's public key (SPKI, DER) */
	int64_t created_ms;
	uint8_t window_log;   /* of the zstd stream: 10 to 27 */
	uint32_t head_every_s; /* cadence of signed heads */
	uint8_t commitment[32]; /* to the content key */
	size_t n_recipients;
	uint8_t recipient[LIMIT_RECIPIENTS][8]; /* sealing key ids */
};

struct batch_stream {
	struct stream_id id;
	uint64_t start, end; /* raw bytes [start, end), end >= start */
	uint32_t count;      /* records */
	uint64_t h;          /* H(end), common/ of the sender: keyed hash of raw bytes [0, end) */
};

/* A batch's logical header. */
struct batch_head {
	uint32_t index;        /* in its segment, from 0 */
	int64_t first_ms, last_ms; /* of its records' times, least and greatest */
	uint32_t decoded;      /* size of the body before compression */
	size_t n_streams;
	struct batch_stream streams[LIMIT_BATCH_STREAMS];
	struct hash32 hash;    /* the chain's head after this batch */
};

/* ---- the sender ---- */

struct sealer;

struct sealer_params {
	enum lane lane;
	uint64_t number;
	struct hash32 device;
	int64_t created_ms;
	uint8_t window_log;
	int level; /* of zstd */
	uint32_t head_every_s;
	const struct seal_key *recipients; /* borrowed for the call */
	size_t n_recipients;               /* 1 to LIMIT_RECIPIENTS */
};

/* Content key and segment id come from sys_random().  ERR_CRYPTO, UV_ENOMEM,
 * UV_EINVAL (no recipient, a window out of range), or sys_random()'s. */
int sealer_new(struct sealer **out, struct sys *sys,
	       const struct sealer_params *params);
/* Wipes the key.  NULL allowed. */
void sealer_free(struct sealer *s);

/* The encoded header; borrowed while the sealer lives. */
struct slice sealer_header(const struct sealer *s);
const struct segment_info *sealer_info(const struct sealer *s);
/* The chain's head after the last batch (after the header, before any). */
struct hash32 sealer_hash(const struct sealer *s);
uint32_t sealer_next_index(const struct sealer *s);

/* Compresses body (1 to LIMIT_BATCH_DECODED bytes), seals it and appends the
 * encoded batch to out.  head: streams, first_ms and last_ms are read; index,
 * decoded and hash are filled in.  A stream's start must be >= 0 and may be
 * anything the first time it appears; afterwards it normally equals the last
 * end (then it costs no bytes).
 *
 * On an error the sealer is of no more use (its compression history may have
 * moved on) and says ERR_POISONED from then on; out is as it was.  ERR_COMPRESS,
 * ERR_CRYPTO, UV_ENOMEM, ERR_TOO_LARGE, ERR_FULL (65,536 batches or
 * LIMIT_SEGMENT_STREAMS streams), UV_EINVAL (a stream twice, no stream, a range or
 * times that can't be), sys_random()'s. */
int sealer_seal(struct sealer *s, struct batch_head *head, struct slice body,
		struct buf *out);
/* The same of a body that stands in several places. */
int sealer_seal_parts(struct sealer *s, struct batch_head *head,
		      const struct slice *parts, size_t n, struct buf *out);

/* ---- whoever has no key ---- */

struct follower;

/* header: the encoded segment header, not kept.  ERR_TRUNCATED, ERR_MALFORMED,
 * ERR_VERSION, ERR_TOO_LARGE, UV_ENOMEM. */
int follower_new(struct follower **out, struct slice header);
void follower_free(struct follower *f);
const struct segment_info *follower_info(const struct follower *f);
struct hash32 follower_hash(const struct follower *f);
uint32_t follower_next_index(const struct follower *f);

/* Decodes the header of the next batch and computes the chain's new head, but
 * does not move on.  batch: the whole encoded batch, nothing behind it.
 * ERR_TRUNCATED, ERR_MALFORMED, ERR_TOO_LARGE. */
int follower_peek(const struct follower *f, struct slice batch,
		  struct batch_head *out);
/* Moves on over the batch that was peeked last at this index. */
int follower_commit(struct follower *f, const struct batch_head *head);

/* ---- whoever has the key ---- */

struct opener;

/* A private sealing key. */
struct seal_secret {
	struct seal_key pub;
	uint8_t secret[32];
};

/* Unwraps the content key with the one of `secrets` that the header names.
 * ERR_NOT_OURS (none of them), ERR_AUTH (does not unwrap, or the commitment does not
 * hold), follower_new()'s. */
int opener_new(struct opener **out, struct slice header,
	       const struct seal_secret *secrets, size_t n);
void opener_free(struct opener *o);
const struct segment_info *opener_info(const struct opener *o);
uint32_t opener_next_index(const struct opener *o);

/* Authenticates, decrypts and decompresses the next batch; body is cleared and
 * filled (its limit must allow for head->decoded bytes).  head may be NULL.
 * ERR_AUTH (forged or out of order), ERR_COMPRESS (authentic, yet does not decode:
 * quarantine it; the opener is of no more use and says ERR_POISONED), UV_ENOMEM,
 * and follower_peek()'s.  After any error but ERR_COMPRESS and UV_ENOMEM nothing
 * has moved; after those two, make a new opener. */
int opener_open(struct opener *o, struct slice batch, struct batch_head *head,
		struct buf *body);

/* ---- keys ---- */

/* A new X25519 pair from sys_random().  ERR_CRYPTO. */
int seal_secret_new(struct seal_secret *out, struct sys *sys);
/* Fills in the public key and the id from secret.  ERR_CRYPTO. */
int seal_secret_derive(struct seal_secret *k);

/* SHA-512/first 256 bits of the slices one after another.  ERR_CRYPTO. */
int hash32_of(struct hash32 *out, const struct slice *parts, size_t n);
static inline bool hash32_eq(const struct hash32 *a, const struct hash32 *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

#endif
