#include "collector/take_beat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/share_join.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/reader.h"
#include "common/timefmt.h"

/* magic (8), count (8), devices (32 each, zeroes behind the last), XXH64 of these (8): always
 * as long, so that it is written in its place in one call. */
enum { BEAT_FILE = 8 + 8 + BEAT_DEVICES * 32 + 8 };
static const char magic[8] = "NJTAK\r\n\032";

static void beat_path(char out[static STORE_PATH], const char *own)
{
	snprintf(out, STORE_PATH, "%.*s/taking", STORE_PATH - 16, own);
}

static int encode(struct buf *b, uint64_t count, const struct hash32 *devices,
		  size_t n)
{
	static const struct hash32 none;
	int rc = buf_reserve(b, BEAT_FILE);

	if (rc != 0) {
		return rc;
	}
	buf_add(b, magic, sizeof magic);
	buf_add_u64(b, count);
	for (size_t i = 0; i < BEAT_DEVICES; i++) {
		buf_add(b, i < n ? devices[i].b : none.b, sizeof none.b);
	}
	return buf_add_u64(b, XXH64(b->p, b->n, 0));
}

int beat_write(struct sys *sys, const char *own, uint64_t count,
	       const struct hash32 *devices, size_t n)
{
	char path[STORE_PATH];
	struct buf b;
	int fd, rc;

	buf_init(&b, BEAT_FILE);
	rc = encode(&b, count, devices, n);
	beat_path(path, own);
	fd = rc == 0 ? sys_open(sys, path, O_WRONLY | O_CREAT, 0600) : rc;
	if (fd >= 0) {
		rc = sys_pwrite_all(sys, fd, b.p, b.n, 0);
		sys_close(sys, fd);
	}
	buf_fini(&b);
	return fd < 0 ? fd : rc;
}

void beat_clear(struct sys *sys, const char *own)
{
	char path[STORE_PATH];

	beat_path(path, own);
	sys_unlink(sys, path);
}

/* 0: *sum is of what it says, and *named whether it names the device; of one that was read
 * while it was written that is taken for granted.  UV_E*, UV_ENOMEM. */
static int look(struct sys *sys, const char *own, const struct hash32 *device,
		uint64_t *sum, bool *named)
{
	char path[STORE_PATH], *text;
	struct reader r;
	size_t n;
	int rc;

	beat_path(path, own);
	rc = sys_read_file(sys, path, BEAT_FILE, &text, &n);
	if (rc != 0) {
		return rc;
	}
	*sum = XXH64(text, n, 0);
	*named = n != BEAT_FILE || memcmp(text, magic, sizeof magic) != 0;
	r = reader(slice(text, n));
	reader_bytes(&r, 8 + 8);
	for (size_t i = 0; i < BEAT_DEVICES && !*named; i++) {
		struct slice id = reader_bytes(&r, sizeof device->b);

		*named = slice_eq(id, slice(device->b, sizeof device->b));
	}
	if (reader_ok(&r) && !*named) {
		*named = reader_u64(&r) != XXH64(text, n - 8, 0);
	}
	free(text);
	return 0;
}

static struct beat_seen *find(struct beats *b, const char *member)
{
	for (size_t i = 0; i < BEAT_SEEN; i++) {
		if (strcmp(b->v[i].member, member) == 0) {
			return &b->v[i];
		}
	}
	return NULL;
}

bool beat_goes_on(struct beats *b, const struct store *s, const char *member,
		  const struct hash32 *device)
{
	int64_t now_ns = sys_mono_ns(s->sys);
	struct beat_seen *seen = find(b, member);
	char own[STORE_PATH];
	uint64_t sum;
	bool named;

	share_own_dir(own, s->dir, member);
	if (look(s->sys, own, device, &sum, &named) != 0 || !named) {
		return false;
	}
	if (seen == NULL) {
		seen = &b->v[b->next++ % BEAT_SEEN];
		snprintf(seen->member, sizeof seen->member, "%s", member);
		seen->sum = ~sum;
	}
	if (seen->sum != sum) {
		seen->sum = sum;
		seen->since_ns = now_ns;
	}
	return now_ns - seen->since_ns < BEAT_STALE_S * NS_PER_S;
}
