/* chain: what sealer, follower and opener know in common: a segment's header,
 * where each of its streams stands, and the hash chain.  docs/segment.md.
 * Internal to wire/.
 *
 * A batch is sent without what its reader can infer; the logical header, which
 * is authenticated and hashed, has everything.  The two directions stand side by
 * side in chain.c.
 *
 * Pure; one thread at a time for each chain.
 */
#ifndef WIRE_CHAIN_H
#define WIRE_CHAIN_H

#include "common/reader.h"
#include "wire/crypto.h"
#include "wire/segment.h"

enum {
	WRAP_SIZE = 8 + X25519_SIZE + AEAD_KEY + AEAD_TAG,
	BATCH_NONCE = 8, /* sent; the index makes the other four bytes */
	AAD_FIXED = 32 + 1 + 32 + 1 + 16 + 4 + 8 + 8 + 4 + 2,
	AAD_STREAM = 16 + 8 + 8 + 4 + 8,
	AAD_MAX = AAD_FIXED + LIMIT_BATCH_STREAMS * AAD_STREAM,
};

/* The times that a batch may have, in ms: those that fit into an int64_t of
 * nanoseconds. */
#define BATCH_MS_MAX (INT64_MAX / 1000000)
/* Positions end here, so that lengths can be added without a thought. */
#define POSITION_MAX (UINT64_MAX >> 1)

struct chain_stream {
	struct stream_id id;
	uint64_t end;
};

struct chain {
	struct segment_info info;
	struct hash32 hash; /* after the last batch */
	uint32_t next;      /* index of the next */
	int64_t last_ms;    /* of the last batch; at first created_ms */
	struct chain_stream *streams; /* in order of appearance */
	size_t n_streams, room;
};

/* A sealed key, as it stands in the header. */
struct segment_wrap {
	uint8_t key_id[8];
	uint8_t enc[X25519_SIZE];
	uint8_t sealed[AEAD_KEY + AEAD_TAG];
};

/* The header's two parts: core (what is hashed) and recipients. */
int segment_core_encode(const struct segment_info *info, struct buf *out);
int segment_wraps_encode(const struct segment_wrap *wraps, size_t n,
			 struct buf *out);
/* *core is borrowed from header.  follower_new()'s errors. */
int segment_header_decode(struct segment_info *info,
			  struct segment_wrap wraps[static LIMIT_RECIPIENTS],
			  struct slice *core, struct slice header);

/* The content key's commitment, and the key that encrypts batches; both are
 * bound to the core in front of the commitment.  ERR_CRYPTO. */
int segment_commitment(uint8_t out[static 32], struct slice core,
		       const uint8_t content_key[static AEAD_KEY]);
int segment_batch_key(uint8_t out[static AEAD_KEY], struct slice core,
		      const uint8_t content_key[static AEAD_KEY]);
/* HPKE's info for one recipient. */
enum { WRAP_INFO = 23 + 1 + 32 + 16 + 8 };
void segment_wrap_info(uint8_t out[static WRAP_INFO],
		       const struct segment_info *info,
		       const uint8_t key_id[static 8]);

/* c->info is set by the caller before.  ERR_CRYPTO. */
int chain_start(struct chain *c, struct slice core);
void chain_fini(struct chain *c);

/* Encodes what is sent of a head, after a batch's nonce.  UV_EINVAL: times or
 * ranges that no batch may have, a stream twice; ERR_FULL; UV_ENOMEM. */
int chain_encode(const struct chain *c, const struct batch_head *h,
		 struct buf *out);
/* The reverse: fills h but for hash, moves r to the ciphertext. */
int chain_decode(const struct chain *c, struct reader *r,
		 struct batch_head *h);
/* The whole logical header; returns its length. */
size_t chain_aad(const struct chain *c, const struct batch_head *h,
		 uint8_t out[static AAD_MAX]);
void chain_nonce(uint8_t out[static AEAD_NONCE], uint32_t index,
		 const uint8_t fresh[static BATCH_NONCE]);
/* The chain's head after this batch.  ERR_CRYPTO. */
int chain_hash(struct hash32 *out, struct slice aad,
	       const uint8_t nonce[static AEAD_NONCE], struct slice sealed);
/* Room for the streams that a batch may bring, so that chain_commit() can't
 * fail.  UV_ENOMEM. */
int chain_reserve(struct chain *c, size_t n);
/* h->hash is set. */
void chain_commit(struct chain *c, const struct batch_head *h);

#endif
