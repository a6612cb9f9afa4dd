#include "wire/chain.h"

#include <stdlib.h>

#include "common/err.h"
#include "wire/hpke.h"

enum {
	MAGIC_SIZE = 4,
	HASH_SHA512_256 = 1,   /* of the chain: SHA-512's first 256 bits */
	COMPRESSION_ZSTD = 1,
	WINDOW_LOG_MIN = 10,
	WINDOW_LOG_MAX = 27,
	COMMITMENT_SIZE = 32,
	NUMBER_NEW = LIMIT_SEGMENT_STREAMS, /* no stream's number */
};
static const uint8_t magic[MAGIC_SIZE] = {'N', 'J', 'S', 'G'};

/* ---- the segment header ---- */

int segment_core_encode(const struct segment_info *info, struct buf *out)
{
	size_t was = out->n;
	int rc;

	if ((rc = buf_add(out, magic, MAGIC_SIZE)) != 0 ||
	    (rc = buf_add_u8(out, info->version)) != 0 ||
	    (rc = buf_add_u16(out, HPKE_KEM)) != 0 ||
	    (rc = buf_add_u16(out, HPKE_KDF)) != 0 ||
	    (rc = buf_add_u16(out, HPKE_AEAD)) != 0 ||
	    (rc = buf_add_u8(out, HASH_SHA512_256)) != 0 ||
	    (rc = buf_add_u8(out, COMPRESSION_ZSTD)) != 0 ||
	    (rc = buf_add_u8(out, (uint8_t)info->lane)) != 0 ||
	    (rc = buf_add(out, info->id.b, sizeof info->id.b)) != 0 ||
	    (rc = buf_add_varint(out, info->number)) != 0 ||
	    (rc = buf_add(out, info->device.b, sizeof info->device.b)) != 0 ||
	    (rc = buf_add_varint(out, zigzag(info->created_ms))) != 0 ||
	    (rc = buf_add_u8(out, info->window_log)) != 0 ||
	    (rc = buf_add_varint(out, info->head_every_s)) != 0 ||
	    (rc = buf_add(out, info->commitment, COMMITMENT_SIZE)) != 0) {
		out->n = was;
	}
	return rc;
}

int segment_wraps_encode(const struct segment_wrap *wraps, size_t n,
			 struct buf *out)
{
	int rc = buf_add_u8(out, (uint8_t)n);

	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((rc = buf_add(out, wraps[i].key_id, 8)) == 0 &&
		    (rc = buf_add(out, wraps[i].enc, X25519_SIZE)) == 0) {
			rc = buf_add(out, wraps[i].sealed,
				     sizeof wraps[i].sealed);
		}
	}
	return rc;
}

/* A reader fails for want of bytes and for a varint that is too large; only at
 * the very end is it surely the first. */
static int reader_error(const struct reader *r)
{
	return r->p == r->end ? ERR_TRUNCATED : ERR_MALFORMED;
}

/* Versions and algorithms: whatever else stands behind them is another's. */
static int decode_suite(struct reader *r, struct segment_info *info)
{
	uint8_t m[MAGIC_SIZE];
	bool known;

	reader_copy(r, m, MAGIC_SIZE);
	if (!reader_ok(r)) {
		return ERR_TRUNCATED;
	}
	if (memcmp(m, magic, MAGIC_SIZE) != 0) {
		return ERR_MALFORMED;
	}
	info->version = reader_u8(r);
	if (reader_ok(r) && info->version != SEGMENT_VERSION) {
		return ERR_VERSION;
	}
	known = reader_u16(r) == HPKE_KEM;
	known = reader_u16(r) == HPKE_KDF && known;
	known = reader_u16(r) == HPKE_AEAD && known;
	known = reader_u8(r) == HASH_SHA512_256 && known;
	known = reader_u8(r) == COMPRESSION_ZSTD && known;
	if (!reader_ok(r)) {
		return ERR_TRUNCATED;
	}
	return known ? 0 : ERR_VERSION;
}

static int decode_core(struct reader *r, struct segment_info *info)
{
	uint8_t lane;
	bool good;

	lane = reader_u8(r);
	reader_copy(r, info->id.b, sizeof info->id.b);
	info->number = reader_varint(r);
	reader_copy(r, info->device.b, sizeof info->device.b);
	info->created_ms = unzigzag(reader_varint(r));
	info->window_log = reader_u8(r);
	info->head_every_s = (uint32_t)reader_varint_max(r, UINT32_MAX);
	reader_copy(r, info->commitment, COMMITMENT_SIZE);
	if (!reader_ok(r)) {
		return reader_error(r);
	}
	good = lane < LANE_NR && info->created_ms <= BATCH_MS_MAX &&
	       info->created_ms >= -BATCH_MS_MAX &&
	       info->window_log >= WINDOW_LOG_MIN &&
	       info->window_log <= WINDOW_LOG_MAX;
	info->lane = good ? (enum lane)lane : LANE_FILE;
	return good ? 0 : ERR_MALFORMED;
}

static int decode_wraps(struct reader *r, struct segment_info *info,
			struct segment_wrap wraps[static LIMIT_RECIPIENTS])
{
	uint8_t n = reader_u8(r);

	if (!reader_ok(r)) {
		return ERR_TRUNCATED;
	}
	if (n < 1 || n > LIMIT_RECIPIENTS) {
		return ERR_MALFORMED;
	}
	info->n_recipients = n;
	for (size_t i = 0; i < n; i++) {
		reader_copy(r, wraps[i].key_id, 8);
		reader_copy(r, wraps[i].enc, X25519_SIZE);
		reader_copy(r, wraps[i].sealed, sizeof wraps[i].sealed);
		memcpy(info->recipient[i], wraps[i].key_id, 8);
	}
	if (!reader_ok(r)) {
		return ERR_TRUNCATED;
	}
	return reader_done(r) ? 0 : ERR_MALFORMED;
}

int segment_header_decode(struct segment_info *info,
			  struct segment_wrap wraps[static LIMIT_RECIPIENTS],
			  struct slice *core, struct slice header)
{
	struct reader r = reader(header);
	int rc;

	memset(info, 0, sizeof *info);
	if (header.n > LIMIT_SEGMENT_HEADER) {
		return ERR_TOO_LARGE;
	}
	rc = decode_suite(&r, info);
	if (rc == 0) {
		rc = decode_core(&r, info);
	}
	if (rc == 0) {
		*core = slice_head(header, header.n - reader_left(&r));
		rc = decode_wraps(&r, info, wraps);
	}
	return rc;
}

/* ---- keys ---- */

/* HKDF-Expand with the content key, which is uniformly random, as the PRK. */
static int derive(uint8_t out[static 32], struct slice label, struct slice core,
		  const uint8_t content_key[static AEAD_KEY])
{
	const struct slice info[] = {
		label, slice_head(core, core.n - COMMITMENT_SIZE)};

	return hkdf_expand(content_key, info, 2, out, 32);
}

int segment_commitment(uint8_t out[static 32], struct slice core,
		       const uint8_t content_key[static AEAD_KEY])
{
	return derive(out, SLICE_LIT("nightjar commitment v1"), core,
		      content_key);
}

int segment_batch_key(uint8_t out[static AEAD_KEY], struct slice core,
		      const uint8_t content_key[static AEAD_KEY])
{
	return derive(out, SLICE_LIT("nightjar batch key v1"), core,
		      content_key);
}

void segment_wrap_info(uint8_t out[static WRAP_INFO],
		       const struct segment_info *info,
		       const uint8_t key_id[static 8])
{
	static const char label[] = "nightjar segment key v1";

	_Static_assert(sizeof label - 1 == WRAP_INFO - 1 - 32 - 16 - 8,
		       "WRAP_INFO counts the label");
	memcpy(out, label, sizeof label - 1);
	out += sizeof label - 1;
	*out++ = info->version;
	memcpy(out, info->device.b, 32);
	memcpy(out + 32, info->id.b, 16);
	memcpy(out + 48, key_id, 8);
}

/* ---- the chain ---- */

int chain_start(struct chain *c, struct slice core)
{
	const struct slice parts[] = {SLICE_LIT("nightjar segment v1"), core};

	c->last_ms = c->info.created_ms;
	return hash32_of(&c->hash, parts, 2);
}

void chain_fini(struct chain *c)
{
	free(c->streams);
	c->streams = NULL;
}

/* Its number, or NUMBER_NEW.  At most 64 look-ups in at most 1,024 entries for a
 * batch, and as a rule in fewer than ten: a table would not be quicker, and
 * its keys would be the peer's to choose. */
static size_t find(const struct chain *c, const struct stream_id *id)
{
	for (size_t i = 0; i < c->n_streams; i++) {
		if (memcmp(&c->streams[i].id, id, sizeof *id) == 0) {
			return i;
		}
	}
	return NUMBER_NEW;
}

static bool times_good(const struct batch_head *h)
{
	return h->first_ms >= -BATCH_MS_MAX && h->last_ms <= BATCH_MS_MAX &&
	       h->first_ms <= h->last_ms;
}

static bool has_twice(const struct batch_head *h)
{
	for (size_t i = 1; i < h->n_streams; i++) {
		for (size_t j = 0; j < i; j++) {
			if (memcmp(&h->streams[i].id, &h->streams[j].id,
				   sizeof h->streams[i].id) == 0) {
				return true;
			}
		}
	}
	return false;
}

/* One stream: its number (a new one has the next free number) with a bit that
 * says whether the start is not the one to be expected. */
static int encode_stream(const struct chain *c, const struct batch_stream *s,
			 size_t *n_new, struct buf *out)
{
	size_t number = find(c, &s->id);
	bool is_new = number == NUMBER_NEW;
	uint64_t expected = is_new ? 0 : c->streams[number].end;
	bool jumps = s->start != expected;
	int rc;

	if (s->end < s->start || s->end > POSITION_MAX || s->count == 0 ||
	    s->count > LIMIT_BATCH_DECODED) {
		return UV_EINVAL;
	}
	if (is_new) {
		number = c->n_streams + (*n_new)++;
	}
	if (number >= LIMIT_SEGMENT_STREAMS) {
		return ERR_FULL;
	}
	rc = buf_add_varint(out, (uint64_t)number << 1 | jumps);
	if (rc == 0 && is_new) {
		rc = buf_add(out, s->id.b, sizeof s->id.b);
	}
	if (rc == 0 && jumps) {
		rc = buf_add_varint(out, s->start);
	}
	if (rc == 0) {
		rc = buf_add_varint(out, s->end - s->start);
	}
	if (rc == 0) {
		rc = buf_add_varint(out, s->count);
	}
	return rc != 0 ? rc : buf_add_u64(out, s->h);
}

int chain_encode(const struct chain *c, const struct batch_head *h,
		 struct buf *out)
{
	size_t n_new = 0;
	int rc;

	if (!times_good(h) || h->n_streams < 1 ||
	    h->n_streams > LIMIT_BATCH_STREAMS || has_twice(h)) {
		return UV_EINVAL;
	}
	if (c->next >= LIMIT_SEGMENT_BATCHES) {
		return ERR_FULL;
	}
	if ((rc = buf_add_varint(out, zigzag(h->first_ms - c->last_ms))) != 0 ||
	    (rc = buf_add_varint(out,
				 (uint64_t)(h->last_ms - h->first_ms))) != 0 ||
	    (rc = buf_add_varint(out, h->decoded)) != 0 ||
	    (rc = buf_add_varint(out, h->n_streams)) != 0) {
		return rc;
	}
	for (size_t i = 0; i < h->n_streams && rc == 0; i++) {
		rc = encode_stream(c, &h->streams[i], &n_new, out);
	}
	return rc;
}

static bool decode_stream(const struct chain *c, struct reader *r,
			  size_t *n_new, struct batch_stream *s)
{
	uint64_t word =
		reader_varint_max(r, LIMIT_SEGMENT_STREAMS * 2 - 1);
	size_t number = (size_t)(word >> 1);
	uint64_t expected = 0, length;

	if (number < c->n_streams) {
		s->id = c->streams[number].id;
		expected = c->streams[number].end;
	} else if (number == c->n_streams + *n_new) {
		(*n_new)++;
		reader_copy(r, s->id.b, sizeof s->id.b);
		if (reader_ok(r) && find(c, &s->id) != NUMBER_NEW) {
			return false; /* It has a number already. */
		}
	} else {
		return false;
	}
	s->start = expected;
	if ((word & 1) != 0) {
		s->start = reader_varint_max(r, POSITION_MAX);
		if (reader_ok(r) && s->start == expected) {
			return false; /* There is one encoding of a head. */
		}
	}
	length = reader_varint_max(r, POSITION_MAX);
	s->end = s->start + length;
	s->count = (uint32_t)reader_varint_max(r, LIMIT_BATCH_DECODED);
	s->h = reader_u64(r);
	return !reader_ok(r) || (s->end <= POSITION_MAX && s->count > 0);
}

/* The span of times that zigzag deltas may make. */
static bool decode_times(const struct chain *c, struct reader *r,
			 struct batch_head *h)
{
	int64_t delta = unzigzag(reader_varint_max(
		r, zigzag(2 * BATCH_MS_MAX)));
	uint64_t span = reader_varint_max(r, 2 * (uint64_t)BATCH_MS_MAX);

	h->first_ms = c->last_ms + delta;
	h->last_ms = h->first_ms + (int64_t)span;
	return !reader_ok(r) || times_good(h);
}

int chain_decode(const struct chain *c, struct reader *r, struct batch_head *h)
{
	size_t n_new = 0;

	h->index = c->next;
	if (c->next >= LIMIT_SEGMENT_BATCHES) {
		return ERR_TOO_LARGE;
	}
	if (!decode_times(c, r, h)) {
		return ERR_MALFORMED;
	}
	h->decoded = (uint32_t)reader_varint_max(r, UINT32_MAX);
	h->n_streams = (size_t)reader_varint_max(r, UINT32_MAX);
	if (!reader_ok(r)) {
		return reader_error(r);
	}
	if (h->decoded > LIMIT_BATCH_DECODED) {
		return ERR_TOO_LARGE;
	}
	if (h->decoded < 1 || h->n_streams < 1 ||
	    h->n_streams > LIMIT_BATCH_STREAMS) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < h->n_streams; i++) {
		if (!decode_stream(c, r, &n_new, &h->streams[i])) {
			return ERR_MALFORMED;
		}
		if (!reader_ok(r)) {
			return reader_error(r);
		}
	}
	return has_twice(h) ? ERR_MALFORMED : 0;
}

static uint8_t *put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = n; i-- > 0; v >>= 8) {
		p[i] = (uint8_t)v;
	}
	return p + n;
}

static uint8_t *put_bytes(uint8_t *p, const void *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

size_t chain_aad(const struct chain *c, const struct batch_head *h,
		 uint8_t out[static AAD_MAX])
{
	uint8_t *p = put_bytes(out, c->hash.b, sizeof c->hash.b);

	p = put(p, c->info.version, 1);
	p = put_bytes(p, c->info.device.b, sizeof c->info.device.b);
	p = put(p, (uint64_t)c->info.lane, 1);
	p = put_bytes(p, c->info.id.b, sizeof c->info.id.b);
	p = put(p, h->index, 4);
	p = put(p, (uint64_t)h->first_ms, 8);
	p = put(p, (uint64_t)h->last_ms, 8);
	p = put(p, h->decoded, 4);
	p = put(p, h->n_streams, 2);
	for (size_t i = 0; i < h->n_streams; i++) {
		const struct batch_stream *s = &h->streams[i];

		p = put_bytes(p, s->id.b, sizeof s->id.b);
		p = put(p, s->start, 8);
		p = put(p, s->end, 8);
		p = put(p, s->count, 4);
		p = put(p, s->h, 8);
	}
	return (size_t)(p - out);
}

void chain_nonce(uint8_t out[static AEAD_NONCE], uint32_t index,
		 const uint8_t fresh[static BATCH_NONCE])
{
	put_bytes(put(out, index, 4), fresh, BATCH_NONCE);
}

int chain_hash(struct hash32 *out, struct slice aad,
	       const uint8_t nonce[static AEAD_NONCE], struct slice sealed)
{
	/* The logical header starts with the previous hash and knows its own
	 * length, so that the three parts can't be shifted into one another. */
	const struct slice parts[] = {aad, slice(nonce, AEAD_NONCE), sealed};

	return hash32_of(out, parts, 3);
}

int chain_reserve(struct chain *c, size_t n)
{
	size_t room = c->room == 0 ? 4 : c->room;
	struct chain_stream *p;

	if (c->room - c->n_streams >= n) {
		return 0;
	}
	while (room - c->n_streams < n) {
		room *= 2; /* n_streams + n <= 1,088 */
	}
	p = realloc(c->streams, room * sizeof *p);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	c->streams = p;
	c->room = room;
	return 0;
}

void chain_commit(struct chain *c, const struct batch_head *h)
{
	for (size_t i = 0; i < h->n_streams; i++) {
		size_t number = find(c, &h->streams[i].id);

		if (number == NUMBER_NEW) {
			number = c->n_streams++;
			c->streams[number].id = h->streams[i].id;
		}
		c->streams[number].end = h->streams[i].end;
	}
	c->last_ms = h->last_ms;
	c->hash = h->hash;
	c->next++;
}
