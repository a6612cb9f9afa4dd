/* batch: batches from outside, followed and opened.
 *
 * The input is a list of commands.  0xff, length (u16): the bytes are taken as
 * a batch as they are.  Anything else, length: the bytes are a compressed body
 * that is sealed properly, as a hostile device would, so that what stands behind
 * the authentication is reached as well. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/reader.h"
#include "common/sys.h"
#include "wire/chain.h"
#include "wire/hpke.h"
#include "wire/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The hostile device: it has the content key and uses it for anything. */
struct device {
	struct chain chain;
	uint8_t key[AEAD_KEY];
	struct buf header;
	struct seal_secret secret;
};

static int device_init(struct device *d)
{
	static const uint8_t content_key[AEAD_KEY] = {7}, ephemeral[32] = {9};
	struct segment_info *info = &d->chain.info;
	struct segment_wrap wrap;
	uint8_t hpke_info[WRAP_INFO];

	memset(d, 0, sizeof *d);
	buf_init(&d->header, LIMIT_SEGMENT_HEADER);
	d->secret.secret[0] = 1;
	*info = (struct segment_info){.version = SEGMENT_VERSION,
				      .lane = LANE_FILE,
				      .number = 1,
				      .window_log = 15,
				      .n_recipients = 1};
	if (seal_secret_derive(&d->secret) != 0 ||
	    segment_core_encode(info, &d->header) != 0 ||
	    segment_commitment(info->commitment, buf_slice(&d->header),
			       content_key) != 0) {
		return -1;
	}
	buf_clear(&d->header);
	if (segment_core_encode(info, &d->header) != 0 ||
	    segment_batch_key(d->key, buf_slice(&d->header), content_key) !=
		    0 ||
	    chain_start(&d->chain, buf_slice(&d->header)) != 0) {
		return -1;
	}
	memcpy(wrap.key_id, d->secret.pub.id, 8);
	segment_wrap_info(hpke_info, info, wrap.key_id);
	if (hpke_seal(wrap.enc, wrap.sealed, d->secret.pub.public_key,
		      ephemeral, slice(hpke_info, sizeof hpke_info),
		      slice(info->commitment, 32),
		      slice(content_key, sizeof content_key)) != 0) {
		return -1;
	}
	return segment_wraps_encode(&wrap, 1, &d->header);
}

/* A batch with this compressed body; its decoded size is the input's claim. */
static int make_batch(struct device *d, struct slice packed, uint32_t decoded,
		      struct buf *out)
{
	static const uint8_t fresh[BATCH_NONCE];
	uint8_t aad[AAD_MAX], nonce[AEAD_NONCE];
	struct batch_head h = {.index = d->chain.next,
			       .decoded = decoded,
			       .n_streams = 1};
	size_t at;

	h.streams[0].count = 1;
	h.streams[0].end = h.streams[0].start = d->chain.next;
	if (buf_add(out, fresh, sizeof fresh) != 0 ||
	    chain_encode(&d->chain, &h, out) != 0) {
		return -1;
	}
	at = out->n;
	if (buf_add_slice(out, packed) != 0 ||
	    buf_reserve(out, AEAD_TAG) != 0) {
		return -1;
	}
	chain_nonce(nonce, h.index, fresh);
	if (aead_seal(d->key, nonce,
		      slice(aad, chain_aad(&d->chain, &h, aad)),
		      (uint8_t *)out->p + at, packed.n) != 0) {
		return -1;
	}
	out->n += AEAD_TAG;
	return 0;
}

static void feed(struct device *d, struct follower *f, struct opener *o,
		 struct slice batch)
{
	struct batch_head head, again;
	struct buf body;
	int rc;

	buf_init(&body, LIMIT_BATCH_DECODED);
	rc = opener_open(o, batch, &again, &body);
	assert(body.room <= 2 * LIMIT_BATCH_DECODED);
	if (follower_peek(f, batch, &head) == 0 && rc == 0) {
		assert(hash32_eq(&head.hash, &again.hash));
		assert(body.n == head.decoded);
		if (follower_commit(f, &head) == 0 &&
		    chain_reserve(&d->chain, head.n_streams) == 0) {
			chain_commit(&d->chain, &head);
		}
	}
	buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader(slice(data, size));
	struct follower *f = NULL;
	struct opener *o = NULL;
	/* Key agreement is slow, and the same each time. */
	static struct device made;
	static bool ready;
	struct device d;
	struct buf batch;

	if (!ready) {
		ready = device_init(&made) == 0;
		assert(ready);
	}
	d = made; /* Its chain has no memory yet. */
	buf_init(&batch, LIMIT_BATCH_SEALED);
	if (follower_new(&f, buf_slice(&d.header)) == 0 &&
	    opener_new(&o, buf_slice(&d.header), &d.secret, 1) == 0) {
		while (reader_left(&r) > 5) {
			uint8_t command = reader_u8(&r);
			uint16_t n = reader_u16(&r);
			uint32_t decoded = reader_u16(&r);
			struct slice bytes = reader_bytes(&r, n);

			if (command == 0xff) {
				feed(&d, f, o, bytes);
				continue;
			}
			buf_clear(&batch);
			if (make_batch(&d, bytes, decoded << command % 5,
				       &batch) == 0) {
				feed(&d, f, o, buf_slice(&batch));
			}
		}
	}
	follower_free(f);
	opener_free(o);
	chain_fini(&d.chain);
	buf_fini(&batch);
	return 0;
}
