#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/err.h"
#include "wire/chain.h"
#include "wire/hpke.h"

struct opener {
	struct chain chain;
	uint8_t batch_key[AEAD_KEY];
	ZSTD_DCtx *zstd;
	struct buf plain; /* compressed body of the batch at hand */
	bool failed;
};

static const struct seal_secret *find_secret(const struct segment_wrap *w,
					     const struct seal_secret *secrets,
					     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(w->key_id, secrets[i].pub.id,
			   sizeof w->key_id) == 0) {
			return &secrets[i];
		}
	}
	return NULL;
}

/* The content key has to be the one that the header commits to: ChaCha20-
 * Poly1305 does not bind a key, and without this a sender could make a segment
 * that reads differently for each recipient. */
static int unwrap(uint8_t content_key[static AEAD_KEY],
		  const struct segment_info *info, struct slice core,
		  const struct segment_wrap *w, const struct seal_secret *k)
{
	uint8_t hpke_info[WRAP_INFO], commitment[32];
	int rc;

	segment_wrap_info(hpke_info, info, w->key_id);
	rc = hpke_open(content_key, w->enc, k->secret, k->pub.public_key,
		       slice(hpke_info, sizeof hpke_info),
		       slice(info->commitment, sizeof info->commitment),
		       slice(w->sealed, sizeof w->sealed));
	if (rc == 0) {
		rc = segment_commitment(commitment, core, content_key);
	}
	if (rc == 0 && memcmp(commitment, info->commitment, 32) != 0) {
		rc = ERR_AUTH; /* The commitment is public: no timing to hide. */
	}
	return rc;
}

static int find_key(struct opener *o, struct slice core,
		    const struct segment_wrap *wraps,
		    const struct seal_secret *secrets, size_t n)
{
	uint8_t content_key[AEAD_KEY];
	int rc = ERR_NOT_OURS;

	/* A damaged wrap must not hide a good one behind it. */
	for (size_t i = 0; i < o->chain.info.n_recipients && rc != 0; i++) {
		const struct seal_secret *k =
			find_secret(&wraps[i], secrets, n);

		if (k != NULL) {
			rc = unwrap(content_key, &o->chain.info, core,
				    &wraps[i], k);
		}
	}
	if (rc == 0) {
		rc = segment_batch_key(o->batch_key, core, content_key);
	}
	explicit_bzero(content_key, sizeof content_key);
	return rc;
}

static int set_up_zstd(struct opener *o)
{
	o->zstd = ZSTD_createDCtx();
	if (o->zstd == NULL) {
		return UV_ENOMEM;
	}
	return ZSTD_isError(ZSTD_DCtx_setParameter(
		       o->zstd, ZSTD_d_windowLogMax, o->chain.info.window_log))
		       ? ERR_COMPRESS
		       : 0;
}

int opener_new(struct opener **out, struct slice header,
	       const struct seal_secret *secrets, size_t n)
{
	struct segment_wrap wraps[LIMIT_RECIPIENTS];
	struct slice core = SLICE_NONE;
	struct opener *o;
	int rc = crypto_init();

	*out = NULL;
	if (rc != 0) {
		return rc;
	}
	o = calloc(1, sizeof *o);
	if (o == NULL) {
		return UV_ENOMEM;
	}
	buf_init(&o->plain, LIMIT_BATCH_SEALED);
	rc = segment_header_decode(&o->chain.info, wraps, &core, header);
	if (rc == 0) {
		rc = chain_start(&o->chain, core);
	}
	if (rc == 0) {
		rc = find_key(o, core, wraps, secrets, n);
	}
	if (rc == 0) {
		rc = set_up_zstd(o);
	}
	if (rc != 0) {
		opener_free(o);
		return rc;
	}
	*out = o;
	return 0;
}

void opener_free(struct opener *o)
{
	if (o == NULL) {
		return;
	}
	ZSTD_freeDCtx(o->zstd);
	chain_fini(&o->chain);
	buf_wipe(&o->plain);
	explicit_bzero(o->batch_key, sizeof o->batch_key);
	free(o);
}

const struct segment_info *opener_info(const struct opener *o)
{
	return &o->chain.info;
}

uint32_t opener_next_index(const struct opener *o)
{
	return o->chain.next;
}

/* Decodes exactly `decoded` bytes out of exactly the whole input. */
static int decompress(ZSTD_DCtx *zstd, struct slice packed, uint32_t decoded,
		      struct buf *body)
{
	ZSTD_inBuffer in = {packed.p, packed.n, 0};
	ZSTD_outBuffer room = {body->p, decoded, 0};
	char more;
	ZSTD_outBuffer beyond = {&more, 1, 0};
	size_t hint, in_was, out_was;

	do {
		in_was = in.pos;
		out_was = room.pos;
		hint = ZSTD_decompressStream(zstd, &room, &in);
		/* 0 is the end of the frame, which no segment has. */
		if (ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation) {
			return UV_ENOMEM; /* The batch may well be good. */
		}
		if (ZSTD_isError(hint) || hint == 0) {
			return ERR_COMPRESS;
		}
	} while (in.pos != in_was || room.pos != out_was);
	/* A body longer than it says is still inside the decoder. */
	hint = ZSTD_decompressStream(zstd, &beyond, &in);
	if (ZSTD_isError(hint) || hint == 0 || beyond.pos != 0 ||
	    in.pos != in.size || room.pos != decoded) {
		return ERR_COMPRESS;
	}
	body->n = decoded;
	return 0;
}

/* Decrypts into o->plain. */
static int decrypt(struct opener *o, const uint8_t nonce[static AEAD_NONCE],
		   struct slice aad, struct slice sealed)
{
	int rc;

	buf_clear(&o->plain);
	rc = buf_reserve(&o->plain, sealed.n - AEAD_TAG);
	if (rc == 0) {
		rc = aead_open(o->batch_key, nonce, aad, sealed,
			       (uint8_t *)o->plain.p);
	}
	if (rc == 0) {
		o->plain.n = sealed.n - AEAD_TAG;
	}
	return rc;
}

static int open_batch(struct opener *o, struct slice batch,
		      struct batch_head *head, struct buf *body)
{
	uint8_t aad[AAD_MAX], nonce[AEAD_NONCE], fresh[BATCH_NONCE];
	struct reader r = reader(batch);
	struct slice logical, sealed;
	int rc;

	reader_copy(&r, fresh, sizeof fresh);
	rc = reader_ok(&r) ? chain_decode(&o->chain, &r, head) : ERR_TRUNCATED;
	if (rc == 0 && reader_left(&r) <= AEAD_TAG) {
		rc = ERR_TRUNCATED;
	}
	if (rc == 0) {
		rc = chain_reserve(&o->chain, head->n_streams);
	}
	if (rc != 0) {
		return rc;
	}
	sealed = slice(r.p, reader_left(&r));
	logical = slice(aad, chain_aad(&o->chain, head, aad));
	chain_nonce(nonce, head->index, fresh);
	rc = chain_hash(&head->hash, logical, nonce, sealed);
	if (rc == 0) {
		rc = decrypt(o, nonce, logical, sealed);
	}
	if (rc == 0) {
		rc = buf_reserve(body, head->decoded);
	}
	if (rc != 0) {
		return rc;
	}
	/* From here on an error leaves the decoder's history in the middle. */
	rc = decompress(o->zstd, buf_slice(&o->plain), head->decoded, body);
	o->failed = rc != 0;
	return rc;
}

int opener_open(struct opener *o, struct slice batch, struct batch_head *head,
		struct buf *body)
{
	struct batch_head own;
	int rc;

	if (head == NULL) {
		head = &own;
	}
	buf_clear(body);
	if (o->failed) {
		return ERR_POISONED;
	}
	if (batch.n > LIMIT_BATCH_SEALED) {
		return ERR_TOO_LARGE;
	}
	rc = open_batch(o, batch, head, body);
	if (rc == 0) {
		chain_commit(&o->chain, head);
	}
	return rc;
}
