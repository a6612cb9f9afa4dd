#include "collector/format.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/reader.h"

const char segment_magic[FILE_MAGIC] = "NJSEG\r\n\032";
const char watermark_magic[FILE_MAGIC] = "NJWMK\r\n\032";

/* ---- file head ---- */

int file_head_add(struct buf *out, const struct file_head *h)
{
	int rc = buf_reserve(out, 256 + h->name.n + h->header.n);

	if (rc != 0) {
		return rc;
	}
	/* There is room now: none of these can fail. */
	buf_add_u8(out, STORE_VERSION);
	buf_add(out, h->store_id, STORE_ID);
	buf_add(out, &h->device, sizeof h->device);
	buf_add_varint(out, h->part);
	buf_add_varint(out, (uint64_t)(h->after + 1));
	buf_add(out, &h->hash, sizeof h->hash);
	buf_add_u64(out, (uint64_t)h->created_ms);
	buf_add_varint(out, h->name.n);
	buf_add_slice(out, h->name);
	buf_add_varint(out, h->header.n);
	buf_add_slice(out, h->header);
	return 0;
}

int file_head_take(struct file_head *h, struct slice payload)
{
	struct reader r = reader(payload);
	uint8_t version = reader_u8(&r);

	if (reader_ok(&r) && version != STORE_VERSION) {
		return ERR_VERSION;
	}
	reader_copy(&r, h->store_id, STORE_ID);
	reader_copy(&r, &h->device, sizeof h->device);
	h->part = (uint32_t)reader_varint_max(&r, UINT32_MAX);
	h->after = (int64_t)reader_varint_max(&r, LIMIT_SEGMENT_BATCHES) - 1;
	reader_copy(&r, &h->hash, sizeof h->hash);
	h->created_ms = (int64_t)reader_u64(&r);
	h->name = reader_blob(&r, LIMIT_DEVICE_NAME);
	h->header = reader_blob(&r, LIMIT_SEGMENT_HEADER);
	return reader_done(&r) ? 0 : ERR_MALFORMED;
}

/* ---- envelope ---- */

int envelope_add(struct buf *out, const struct envelope *e)
{
	int rc = buf_reserve(out, 64 + e->n_cuts * 11);

	if (rc != 0) {
		return rc;
	}
	buf_add_varint(out, e->arrival);
	buf_add_varint(out, e->arrival - e->durable);
	buf_add_u64(out, (uint64_t)e->received_ms);
	buf_add_varint(out, e->n_cuts);
	for (size_t i = 0; i < e->n_cuts; i++) {
		buf_add_u8(out, e->cuts[i].stream);
		buf_add_varint(out, e->cuts[i].take_from);
	}
	return 0;
}

int envelope_take(struct envelope *e, struct slice *batch,
		  struct slice payload)
{
	struct reader r = reader(payload);
	uint64_t behind;

	e->arrival = reader_varint(&r);
	behind = reader_varint_max(&r, e->arrival);
	e->durable = e->arrival - behind;
	e->received_ms = (int64_t)reader_u64(&r);
	e->n_cuts = (size_t)reader_varint_max(&r, LIMIT_BATCH_STREAMS);
	for (size_t i = 0; i < e->n_cuts && reader_ok(&r); i++) {
		e->cuts[i].stream = reader_u8(&r);
		e->cuts[i].take_from = reader_varint(&r);
		if (e->cuts[i].stream >= LIMIT_BATCH_STREAMS ||
		    (i > 0 && e->cuts[i].stream <= e->cuts[i - 1].stream)) {
			return ERR_MALFORMED;
		}
	}
	*batch = reader_bytes(&r, reader_left(&r));
	return reader_ok(&r) && e->arrival > 0 ? 0 : ERR_MALFORMED;
}

uint64_t envelope_take_from(const struct envelope *e, size_t stream,
			    uint64_t start)
{
	for (size_t i = 0; i < e->n_cuts; i++) {
		if (e->cuts[i].stream == stream) {
			return e->cuts[i].take_from;
		}
	}
	return start;
}

bool envelope_takes(uint64_t from, uint64_t start, uint64_t end, bool *extends)
{
	*extends = start < from && end > from;
	/* A mark without length (a stream opens, closes) that stands exactly
	 * where taking begins may be new: readers know a mark seen before. */
	return end > from || (start == end && start == from);
}

/* ---- watermark log ---- */

int log_file_add(struct buf *out, const uint8_t store_id[static STORE_ID])
{
	int rc = buf_reserve(out, 1 + STORE_ID);

	if (rc == 0) {
		buf_add_u8(out, STORE_VERSION);
		buf_add(out, store_id, STORE_ID);
	}
	return rc;
}

int log_file_take(uint8_t store_id[static STORE_ID], struct slice payload)
{
	struct reader r = reader(payload);
	uint8_t version = reader_u8(&r);

	if (reader_ok(&r) && version != STORE_VERSION) {
		return ERR_VERSION;
	}
	reader_copy(&r, store_id, STORE_ID);
	return reader_done(&r) ? 0 : ERR_MALFORMED;
}

int log_device_add(struct buf *out, const struct log_device *d)
{
	int rc = buf_reserve(out, 64 + d->spki.n + d->name.n);

	if (rc != 0) {
		return rc;
	}
	buf_add(out, &d->device, sizeof d->device);
	buf_add_varint(out, d->spki.n);
	buf_add_slice(out, d->spki);
	buf_add_varint(out, d->name.n);
	buf_add_slice(out, d->name);
	return 0;
}

int log_device_take(struct log_device *d, struct slice payload)
{
	struct reader r = reader(payload);

	reader_copy(&r, &d->device, sizeof d->device);
	d->spki = reader_blob(&r, LIMIT_SPKI);
	d->name = reader_blob(&r, LIMIT_DEVICE_NAME);
	return reader_done(&r) ? 0 : ERR_MALFORMED;
}

int log_watermark_add(struct buf *out, const struct log_watermark *w)
{
	int rc = buf_reserve(out, 96);

	if (rc != 0) {
		return rc;
	}
	buf_add(out, &w->device, sizeof w->device);
	buf_add(out, &w->stream, sizeof w->stream);
	buf_add_varint(out, w->position);
	buf_add_u64(out, w->h);
	buf_add_varint(out, w->arrival);
	return 0;
}

int log_watermark_take(struct log_watermark *w, struct slice payload)
{
	struct reader r = reader(payload);

	reader_copy(&r, &w->device, sizeof w->device);
	reader_copy(&r, &w->stream, sizeof w->stream);
	w->position = reader_varint(&r);
	w->h = reader_u64(&r);
	w->arrival = reader_varint(&r);
	return reader_done(&r) ? 0 : ERR_MALFORMED;
}

/* ---- names ---- */

static void hex(char *out, const uint8_t *b, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly n bytes of lower-case hexadecimal at s. */
static bool unhex(uint8_t *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = nibble(s[2 * i]);
		int low = high < 0 ? -1 : nibble(s[2 * i + 1]);

		if (low < 0) {
			return false;
		}
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void hash32_hex(char out[static HEX32], const struct hash32 *h)
{
	hex(out, h->b, sizeof h->b);
}

bool hash32_unhex(struct hash32 *out, const char *s)
{
	return strlen(s) == HEX32 - 1 && unhex(out->b, s, sizeof out->b);
}

void segment_name_format(char out[static SEGMENT_NAME],
			 const struct segment_name *n)
{
	char id[2 * sizeof n->id.b + 1];

	hex(id, n->id.b, sizeof n->id.b);
	if (n->part == 0) {
		snprintf(out, SEGMENT_NAME, "%s-%010llu-%s.seg",
			 lane_name(n->lane), (unsigned long long)n->number, id);
	} else {
		snprintf(out, SEGMENT_NAME, "%s-%010llu-%s.%u.seg",
			 lane_name(n->lane), (unsigned long long)n->number, id,
			 n->part);
	}
}

bool segment_name_parse(struct segment_name *out, const char *name)
{
	const char *dash = strchr(name, '-');
	char again[SEGMENT_NAME];
	unsigned long long number;
	int lane, used = 0;

	for (lane = 0; lane < LANE_NR; lane++) {
		const char *l = lane_name((enum lane)lane);

		if (dash != NULL && strlen(l) == (size_t)(dash - name) &&
		    memcmp(name, l, strlen(l)) == 0) {
			break;
		}
	}
	if (lane == LANE_NR || sscanf(dash, "-%20llu-%n", &number, &used) != 1 ||
	    used == 0 || strlen(dash + used) < 2 * sizeof out->id.b ||
	    !unhex(out->id.b, dash + used, sizeof out->id.b)) {
		return false;
	}
	out->lane = (enum lane)lane;
	out->number = number;
	out->part = 0;
	sscanf(dash + used + 2 * sizeof out->id.b, ".%9u.seg", &out->part);
	/* Only the one way to write it is the name. */
	segment_name_format(again, out);
	return strcmp(again, name) == 0;
}

int segment_name_compare(const void *a, const void *b)
{
	const struct segment_name *x = a, *y = b;
	int id;

	if (x->lane != y->lane) {
		return x->lane < y->lane ? -1 : 1;
	}
	if (x->number != y->number) {
		return x->number < y->number ? -1 : 1;
	}
	id = memcmp(&x->id, &y->id, sizeof x->id);
	if (id != 0) {
		return id;
	}
	return x->part == y->part ? 0 : x->part < y->part ? -1 : 1;
}
