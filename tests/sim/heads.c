/* heads: signed heads at no cost.  ECDSA would take most of a run's time; what the
 * collector does with a head that is signed by its device, or by somebody else, does
 * not depend on the algorithm.  Linked in place of wire/head.c's head_verify(). */
#include <string.h>
#include <xxhash.h>

#include "common/err.h"
#include "tests/sim/rig.h"

/* Used: the optimiser of the whole program sees no call to it. */
int __wrap_head_verify(struct head *out, struct slice bytes, struct slice spki)
	__attribute__((used));

static uint64_t signature_of(const struct head *h, struct slice key)
{
	return XXH64(h, sizeof *h, XXH64(key.p, key.n, 0));
}

int sim_head_sign(const struct head *h, struct slice key, struct buf *out)
{
	struct head clean;
	uint64_t signature;
	int rc;

	/* Without the bytes between its members. */
	memset(&clean, 0, sizeof clean);
	clean.device = h->device;
	clean.lane = h->lane;
	clean.number = h->number;
	clean.segment = h->segment;
	clean.index = h->index;
	clean.hash = h->hash;
	clean.state = h->state;
	clean.previous_index = h->previous_index;
	clean.previous_hash = h->previous_hash;
	clean.time_ms = h->time_ms;
	signature = signature_of(&clean, key);
	rc = buf_add(out, &clean, sizeof clean);
	return rc != 0 ? rc : buf_add(out, &signature, sizeof signature);
}

int __wrap_head_verify(struct head *out, struct slice bytes, struct slice spki)
{
	struct hash32 device;
	uint64_t signature;

	if (bytes.n != sizeof *out + sizeof signature) {
		return ERR_MALFORMED;
	}
	memcpy(out, bytes.p, sizeof *out);
	memcpy(&signature, bytes.p + sizeof *out, sizeof signature);
	if (signature != signature_of(out, spki)) {
		return ERR_AUTH;
	}
	if (hash32_of(&device, &spki, 1) != 0) {
		return ERR_CRYPTO;
	}
	return hash32_eq(&device, &out->device) ? 0 : ERR_NOT_OURS;
}
