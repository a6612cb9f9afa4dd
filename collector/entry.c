#include "collector/entry.h"

#include <xxhash.h>

#include "common/err.h"
#include "common/reader.h"

enum { READ_CHUNK = 64 * 1024,
       ENTRY_MAX = ENTRY_HEAD + ENTRY_PAYLOAD_MAX + ENTRY_TAIL };

int entry_add(struct buf *out, uint64_t offset, enum entry_kind kind,
	      const struct slice *parts, size_t n)
{
	size_t start = out->n, payload = 0;
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > ENTRY_PAYLOAD_MAX - payload) {
			return ERR_TOO_LARGE;
		}
		payload += parts[i].n;
	}
	rc = buf_reserve(out, ENTRY_HEAD + payload + ENTRY_TAIL);
	if (rc != 0) {
		return rc;
	}
	/* There is room now: none of these can fail. */
	buf_add_u8(out, (uint8_t)kind);
	buf_add_u32(out, (uint32_t)payload);
	for (size_t i = 0; i < n; i++) {
		buf_add_slice(out, parts[i]);
	}
	buf_add_u64(out, XXH64(out->p + start, out->n - start, offset));
	return 0;
}

int entry_take(struct slice bytes, uint64_t offset, struct entry *out)
{
	struct reader r = reader(bytes);
	uint32_t n;
	uint64_t sum;

	out->kind = reader_u8(&r);
	n = reader_u32(&r);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (n > ENTRY_PAYLOAD_MAX) {
		return ERR_DAMAGED;
	}
	out->payload = reader_bytes(&r, n);
	sum = reader_u64(&r);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (sum != XXH64(bytes.p, ENTRY_HEAD + (size_t)n, offset)) {
		/* A tail that the file system had made longer and not filled. */
		return out->kind == 0 && n == 0 && sum == 0 ? ERR_TRUNCATED
							    : ERR_DAMAGED;
	}
	out->offset = offset;
	out->next = offset + ENTRY_HEAD + n + ENTRY_TAIL;
	return 0;
}

void entry_reader_init(struct entry_reader *r, struct sys *sys, int fd,
		       uint64_t offset)
{
	*r = (struct entry_reader){.sys = sys, .fd = fd, .base = offset,
				   .offset = offset, .limit = UINT64_MAX};
	buf_init(&r->window, ENTRY_MAX + READ_CHUNK);
}

void entry_reader_fini(struct entry_reader *r)
{
	buf_fini(&r->window);
}

/* Drops what was given out and reads one chunk more.  1: there was some; 0: the
 * file ends. */
static int fill(struct entry_reader *r, size_t want)
{
	size_t room = want > READ_CHUNK ? want : READ_CHUNK;
	uint64_t end;
	int64_t got;
	int rc;

	buf_consume(&r->window, (size_t)(r->offset - r->base));
	r->base = r->offset;
	rc = buf_reserve(&r->window, room);
	if (rc != 0) {
		return rc;
	}
	end = r->base + r->window.n;
	if (r->limit <= end) {
		room = 0;
	} else if (room > r->limit - end) {
		room = (size_t)(r->limit - end);
	}
	got = room == 0 ? 0
			: sys_pread(r->sys, r->fd, r->window.p + r->window.n,
				    room, end);
	if (got < 0) {
		return (int)got;
	}
	r->window.n += (size_t)got;
	return got > 0;
}

/* How many bytes the entry at the front of s has, as far as it can tell. */
static size_t wanted(struct slice s)
{
	struct reader r = reader(s);
	uint32_t n;

	reader_u8(&r);
	n = reader_u32(&r);
	return reader_ok(&r) && n <= ENTRY_PAYLOAD_MAX
		       ? ENTRY_HEAD + (size_t)n + ENTRY_TAIL
		       : ENTRY_HEAD;
}

int entry_reader_next(struct entry_reader *r, struct entry *out)
{
	for (;;) {
		struct slice s = slice_skip(buf_slice(&r->window),
					    (size_t)(r->offset - r->base));
		int rc = entry_take(s, r->offset, out);

		if (rc == 0) {
			r->offset = out->next;
			return 1;
		}
		if (rc != ERR_TRUNCATED || wanted(s) <= s.n) {
			return rc;
		}
		rc = fill(r, wanted(s) - s.n);
		if (rc < 0) {
			return rc;
		}
		if (rc == 0) {
			return s.n == 0 ? 0 : ERR_TRUNCATED;
		}
	}
}
