#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/err.h"
#include "wire/chain.h"
#include "wire/hpke.h"

/* Less room than this and the buffer grows before the compressor is asked again. */
enum { OUT_MIN = 16 * 1024 };

struct sealer {
	struct chain chain;
	struct sys *sys;
	uint8_t batch_key[AEAD_KEY];
	ZSTD_CCtx *zstd;
	struct buf header;
	bool failed;
};

/* Levels that are made for speed look for matches of seven bytes: in lines of logs
 * shorter ones are mostly chance, and sending what they would replace costs less than
 * finding them.  And level 2 keeps its table at 128 KiB, since it shares a core's
 * cache with all else that the agent does.  docs/decisions.md has the figures. */
enum { FAST_LEVEL = 2, FAST_MATCH = 7, FAST_TABLE_LOG = 15 };

static bool set(ZSTD_CCtx *zstd, ZSTD_cParameter what, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, what, value));
}

/* The segment's AEAD does what a checksum would, and the logical header has the
 * sizes. */
static int set_up_zstd(struct sealer *s, const struct sealer_params *p)
{
	s->zstd = ZSTD_createCCtx();
	if (s->zstd == NULL) {
		return UV_ENOMEM;
	}
	if (!set(s->zstd, ZSTD_c_compressionLevel, p->level) ||
	    !set(s->zstd, ZSTD_c_windowLog, p->window_log) ||
	    !set(s->zstd, ZSTD_c_contentSizeFlag, 0) ||
	    !set(s->zstd, ZSTD_c_checksumFlag, 0) ||
	    !set(s->zstd, ZSTD_c_dictIDFlag, 0) ||
	    (p->level <= FAST_LEVEL &&
	     !set(s->zstd, ZSTD_c_minMatch, FAST_MATCH)) ||
	    (p->level == FAST_LEVEL &&
	     !set(s->zstd, ZSTD_c_hashLog, FAST_TABLE_LOG))) {
		return UV_EINVAL;
	}
	return 0;
}

static int wrap_for(const struct sealer *s, const struct seal_key *key,
		    const uint8_t content_key[static AEAD_KEY],
		    struct segment_wrap *out)
{
	const struct segment_info *info = &s->chain.info;
	uint8_t ephemeral[X25519_SIZE], hpke_info[WRAP_INFO];
	int rc = sys_random(s->sys, ephemeral, sizeof ephemeral);

	if (rc == 0) {
		memcpy(out->key_id, key->id, sizeof out->key_id);
		segment_wrap_info(hpke_info, info, key->id);
		rc = hpke_seal(out->enc, out->sealed, key->public_key,
			       ephemeral, slice(hpke_info, sizeof hpke_info),
			       slice(info->commitment, sizeof info->commitment),
			       slice(content_key, AEAD_KEY));
	}
	explicit_bzero(ephemeral, sizeof ephemeral);
	return rc;
}

/* The commitment is derived from the core in front of it, so that the core is
 * encoded twice: first with zeroes in its place. */
static int build_core(struct sealer *s,
		      const uint8_t content_key[static AEAD_KEY])
{
	struct segment_info *info = &s->chain.info;
	int rc = segment_core_encode(info, &s->header);

	if (rc == 0) {
		rc = segment_commitment(info->commitment,
					buf_slice(&s->header), content_key);
	}
	if (rc == 0) {
		buf_clear(&s->header);
		rc = segment_core_encode(info, &s->header);
	}
	if (rc == 0) {
		rc = segment_batch_key(s->batch_key, buf_slice(&s->header),
				       content_key);
	}
	return rc != 0 ? rc : chain_start(&s->chain, buf_slice(&s->header));
}

static int build_header(struct sealer *s, const struct sealer_params *p)
{
	struct segment_wrap wraps[LIMIT_RECIPIENTS];
	uint8_t content_key[AEAD_KEY];
	int rc = sys_random(s->sys, s->chain.info.id.b,
			    sizeof s->chain.info.id.b);

	if (rc == 0) {
		rc = sys_random(s->sys, content_key, sizeof content_key);
	}
	if (rc == 0) {
		rc = build_core(s, content_key);
	}
	for (size_t i = 0; i < p->n_recipients && rc == 0; i++) {
		memcpy(s->chain.info.recipient[i], p->recipients[i].id, 8);
		rc = wrap_for(s, &p->recipients[i], content_key, &wraps[i]);
	}
	if (rc == 0) {
		rc = segment_wraps_encode(wraps, p->n_recipients, &s->header);
	}
	explicit_bzero(content_key, sizeof content_key);
	return rc;
}

static bool params_good(const struct sealer_params *p)
{
	return (unsigned)p->lane < LANE_NR && p->n_recipients >= 1 &&
	       p->n_recipients <= LIMIT_RECIPIENTS && p->window_log >= 10 &&
	       p->window_log <= 27 && p->created_ms <= BATCH_MS_MAX &&
	       p->created_ms >= -BATCH_MS_MAX;
}

int sealer_new(struct sealer **out, struct sys *sys,
	       const struct sealer_params *params)
{
	struct sealer *s;
	int rc;

	*out = NULL;
	if (!params_good(params)) {
		return UV_EINVAL;
	}
	rc = crypto_init();
	if (rc != 0) {
		return rc;
	}
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		return UV_ENOMEM;
	}
	s->sys = sys;
	buf_init(&s->header, LIMIT_SEGMENT_HEADER);
	s->chain.info = (struct segment_info){
		.version = SEGMENT_VERSION,
		.lane = params->lane,
		.number = params->number,
		.device = params->device,
		.created_ms = params->created_ms,
		.window_log = params->window_log,
		.head_every_s = params->head_every_s,
		.n_recipients = params->n_recipients,
	};
	rc = build_header(s, params);
	if (rc == 0) {
		rc = set_up_zstd(s, params);
	}
	if (rc != 0) {
		sealer_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void sealer_free(struct sealer *s)
{
	if (s == NULL) {
		return;
	}
	ZSTD_freeCCtx(s->zstd);
	chain_fini(&s->chain);
	buf_fini(&s->header);
	explicit_bzero(s->batch_key, sizeof s->batch_key);
	free(s);
}

struct slice sealer_header(const struct sealer *s)
{
	return buf_slice(&s->header);
}

const struct segment_info *sealer_info(const struct sealer *s)
{
	return &s->chain.info;
}

struct hash32 sealer_hash(const struct sealer *s)
{
	return s->chain.hash;
}

uint32_t sealer_next_index(const struct sealer *s)
{
	return s->chain.next;
}

/* Appends what the compressor gives of one part of the body. */
static int compress(ZSTD_CCtx *zstd, struct slice part, ZSTD_EndDirective end,
		    struct buf *out)
{
	ZSTD_inBuffer in = {part.n > 0 ? part.p : "", part.n, 0};
	size_t want = ZSTD_compressBound(part.n), left;

	want = want < ZSTD_CStreamOutSize() ? want : ZSTD_CStreamOutSize();
	do {
		ZSTD_outBuffer room;
		int rc = out->room - out->n > OUT_MIN + AEAD_TAG
				 ? 0
				 : buf_reserve(out, want + AEAD_TAG);

		if (rc != 0) {
			return rc;
		}
		room = (ZSTD_outBuffer){out->p + out->n,
					out->room - out->n - AEAD_TAG, 0};
		left = ZSTD_compressStream2(zstd, &room, &in, end);
		if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation) {
			return UV_ENOMEM;
		}
		if (ZSTD_isError(left)) {
			return ERR_COMPRESS;
		}
		out->n += room.pos;
	} while (end == ZSTD_e_flush ? left > 0 : in.pos < in.size);
	return in.pos == in.size ? 0 : ERR_COMPRESS;
}

/* Appends the compressed body, flushed so that a reader can decode all of it. */
static int compress_all(ZSTD_CCtx *zstd, const struct slice *parts, size_t n,
			struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = compress(zstd, parts[i],
			      i + 1 < n ? ZSTD_e_continue : ZSTD_e_flush, out);
	}
	return rc;
}

/* Appends nonce, sent header, ciphertext and tag. */
static int seal_into(struct sealer *s, struct batch_head *head,
		     const struct slice *parts, size_t n, struct buf *out)
{
	uint8_t aad[AAD_MAX], nonce[AEAD_NONCE], fresh[BATCH_NONCE];
	struct slice logical;
	size_t start = out->n, at;
	int rc = sys_random(s->sys, fresh, sizeof fresh);

	if (rc == 0) {
		rc = buf_add(out, fresh, sizeof fresh);
	}
	if (rc == 0) {
		rc = chain_encode(&s->chain, head, out);
	}
	at = out->n;
	if (rc == 0) {
		rc = compress_all(s->zstd, parts, n, out);
	}
	if (rc == 0) {
		rc = buf_reserve(out, AEAD_TAG);
	}
	if (rc != 0) {
		return rc;
	}
	logical = slice(aad, chain_aad(&s->chain, head, aad));
	chain_nonce(nonce, head->index, fresh);
	rc = aead_seal(s->batch_key, nonce, logical, (uint8_t *)out->p + at,
		       out->n - at);
	if (rc == 0) {
		out->n += AEAD_TAG;
		rc = chain_hash(&head->hash, logical, nonce,
				slice(out->p + at, out->n - at));
	}
	if (rc == 0 && out->n - start > LIMIT_BATCH_SEALED) {
		rc = ERR_TOO_LARGE;
	}
	return rc;
}

int sealer_seal_parts(struct sealer *s, struct batch_head *head,
		      const struct slice *parts, size_t n, struct buf *out)
{
	size_t start = out->n, size = 0;
	int rc;

	if (s->failed) {
		return ERR_POISONED;
	}
	for (size_t i = 0; i < n && size <= LIMIT_BATCH_DECODED; i++) {
		size += parts[i].n;
	}
	head->index = s->chain.next;
	head->decoded = (uint32_t)size;
	if (size < 1 || size > LIMIT_BATCH_DECODED) {
		rc = ERR_TOO_LARGE;
	} else {
		rc = chain_reserve(&s->chain, head->n_streams);
	}
	if (rc == 0) {
		rc = seal_into(s, head, parts, n, out);
	}
	if (rc != 0) {
		out->n = start;
		s->failed = true;
		return rc;
	}
	chain_commit(&s->chain, head);
	return 0;
}

int sealer_seal(struct sealer *s, struct batch_head *head, struct slice body,
		struct buf *out)
{
	return sealer_seal_parts(s, head, &body, 1, out);
}
