#include "common/reader.h"

struct slice reader_bytes(struct reader *r, size_t n)
{
	struct slice out;

	if (n > reader_left(r)) {
		r->failed = true;
		return SLICE_NONE;
	}
	out = slice(r->p, n);
	if (n > 0) {
		r->p += n;
	}
	return out;
}

void reader_copy(struct reader *r, void *out, size_t n)
{
	struct slice s = reader_bytes(r, n);

	if (s.n == n && n > 0) {
		memcpy(out, s.p, n);
	} else {
		memset(out, 0, n);
	}
}

static uint64_t be(struct reader *r, size_t n)
{
	struct slice s = reader_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		v = v << 8 | (uint8_t)s.p[i];
	}
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)be(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)be(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)be(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return be(r, 8);
}

uint64_t reader_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = reader_u8(r);

		if (r->failed || (shift == 63 && b > 1) ||
		    (shift > 0 && b == 0)) {
			break;
		}
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			return v;
		}
	}
	r->failed = true;
	return 0;
}

uint64_t reader_varint_max(struct reader *r, uint64_t max)
{
	uint64_t v = reader_varint(r);

	if (v > max) {
		r->failed = true;
		return 0;
	}
	return v;
}

struct slice reader_blob(struct reader *r, size_t max)
{
	return reader_bytes(r, (size_t)reader_varint_max(r, max));
}
