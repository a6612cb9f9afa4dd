#include <stdlib.h>

#include "common/err.h"
#include "wire/chain.h"

struct follower {
	struct chain chain;
};

int follower_new(struct follower **out, struct slice header)
{
	struct segment_wrap wraps[LIMIT_RECIPIENTS];
	struct slice core = SLICE_NONE;
	struct follower *f = calloc(1, sizeof *f);
	int rc;

	*out = NULL;
	if (f == NULL) {
		return UV_ENOMEM;
	}
	rc = segment_header_decode(&f->chain.info, wraps, &core, header);
	if (rc == 0) {
		rc = chain_start(&f->chain, core);
	}
	if (rc != 0) {
		follower_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void follower_free(struct follower *f)
{
	if (f != NULL) {
		chain_fini(&f->chain);
		free(f);
	}
}

const struct segment_info *follower_info(const struct follower *f)
{
	return &f->chain.info;
}

struct hash32 follower_hash(const struct follower *f)
{
	return f->chain.hash;
}

uint32_t follower_next_index(const struct follower *f)
{
	return f->chain.next;
}

int follower_peek(const struct follower *f, struct slice batch,
		  struct batch_head *out)
{
	uint8_t aad[AAD_MAX], nonce[AEAD_NONCE], fresh[BATCH_NONCE];
	struct reader r = reader(batch);
	int rc;

	if (batch.n > LIMIT_BATCH_SEALED) {
		return ERR_TOO_LARGE;
	}
	reader_copy(&r, fresh, sizeof fresh);
	rc = reader_ok(&r) ? chain_decode(&f->chain, &r, out) : ERR_TRUNCATED;
	if (rc != 0) {
		return rc;
	}
	/* A ciphertext of nothing is none: zstd's shortest block has 3 bytes. */
	if (reader_left(&r) <= AEAD_TAG) {
		return ERR_TRUNCATED;
	}
	chain_nonce(nonce, out->index, fresh);
	return chain_hash(&out->hash,
			  slice(aad, chain_aad(&f->chain, out, aad)), nonce,
			  slice(r.p, reader_left(&r)));
}

int follower_commit(struct follower *f, const struct batch_head *head)
{
	int rc;

	if (head->index != f->chain.next) {
		return UV_EINVAL;
	}
	rc = chain_reserve(&f->chain, head->n_streams);
	if (rc == 0) {
		chain_commit(&f->chain, head);
	}
	return rc;
}
