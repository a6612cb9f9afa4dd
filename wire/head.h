/* head: a device's signed statement of where one of its lanes stands, so that a
 * cut tail, a rollback or a swapped store shows.  docs/wire.md, "Signed heads".
 *
 * Signed with the device's own key (ECDSA P-256, SHA-256).  Pure but for the
 * signing, which takes about a millisecond.
 */
#ifndef WIRE_HEAD_H
#define WIRE_HEAD_H

#include "common/buf.h"
#include "wire/segment.h"

enum head_state { HEAD_OPEN, HEAD_CLOSED, HEAD_ABANDONED };

struct head {
	struct hash32 device;
	enum lane lane;
	uint64_t number;              /* of the segment */
	struct segment_id segment;
	int64_t index;                /* of its last batch, -1: none yet */
	struct hash32 hash;           /* after that batch */
	enum head_state state;
	int64_t previous_index;       /* last index of the segment before, -1: none */
	struct hash32 previous_hash;
	int64_t time_ms;              /* the device's clock */
};

/* Signs with ECDSA/SHA-256; implemented by wire/identity.h. */
struct identity;

/* Appends the encoded head and its signature.  ERR_CRYPTO, UV_ENOMEM. */
int head_sign(const struct head *h, const struct identity *id,
	      struct buf *out);
/* Decodes and verifies against a device's public key (SPKI, DER).
 * ERR_AUTH, ERR_NOT_OURS (another device's), ERR_MALFORMED, ERR_TRUNCATED. */
int head_verify(struct head *out, struct slice bytes, struct slice spki_der);

#endif
