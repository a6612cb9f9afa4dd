#include "shipper/spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

/* A file:  "NJSPOOL1", frame(segment header), frame(batch 0), frame(batch 1) ...
 * A frame: length (32 bit), bytes, XXH64 of length and bytes (64 bit). */
static const char magic[8] = {'N', 'J', 'S', 'P', 'O', 'O', 'L', '1'};

enum {
	FRAME_LENGTH = 4,
	FRAME_SUM = 8,
	FILES_MAX = 1024 * 1024, /* all of them, or their order is lost */
};

static void put_be(uint8_t *out, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	}
}

static uint64_t frame_sum(const uint8_t length[static FRAME_LENGTH],
			  struct slice bytes)
{
	XXH64_state_t state;

	XXH64_reset(&state, 0);
	XXH64_update(&state, length, FRAME_LENGTH);
	XXH64_update(&state, bytes.p, bytes.n);
	return XXH64_digest(&state);
}

/* Appends one frame to out. */
static int add_frame(struct buf *out, struct slice bytes)
{
	uint8_t length[FRAME_LENGTH];
	int rc;

	put_be(length, bytes.n, sizeof length);
	rc = buf_add(out, length, sizeof length);
	if (rc == 0) {
		rc = buf_add_slice(out, bytes);
	}
	return rc != 0 ? rc : buf_add_u64(out, frame_sum(length, bytes));
}

static void id_text(char out[static 33], const struct segment_id *id)
{
	for (int i = 0; i < 16; i++) {
		snprintf(out + 2 * i, 3, "%02x", id->b[i]);
	}
}

int spool_file_create(struct spool_file *f, struct sys *sys, const char *dir,
		      uint64_t order, const struct segment_info *info,
		      struct slice header)
{
	struct buf out;
	char id[33];
	int rc;

	*f = spool_file_none();
	buf_init(&out, LIMIT_SEGMENT_HEADER + 64);
	id_text(id, &info->id);
	if (asprintf(&f->path, "%s/%020" PRIu64 "-%s-%s.spool", dir, order,
		     lane_name(info->lane), id) < 0) {
		f->path = NULL;
		return UV_ENOMEM;
	}
	rc = buf_add(&out, magic, sizeof magic);
	if (rc == 0) {
		rc = add_frame(&out, header);
	}
	if (rc != 0) {
		goto err_path;
	}
	f->fd = sys_open(sys, f->path,
			 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (f->fd < 0) {
		rc = f->fd;
		goto err_path;
	}
	rc = sys_pwrite_all(sys, f->fd, out.p, out.n, 0);
	if (rc != 0) {
		goto err_remove;
	}
	f->size = out.n;
	buf_fini(&out);
	return 0;

err_remove:
	sys_close(sys, f->fd);
	sys_unlink(sys, f->path);
err_path:
	buf_fini(&out);
	free(f->path);
	*f = spool_file_none();
	return rc;
}

int spool_file_append(struct spool_file *f, struct sys *sys, const char *dir,
		      const struct slice *batches, size_t n,
		      struct spool_place *places)
{
	uint64_t at = f->size;
	struct buf out;
	bool first = f->size < LIMIT_SEGMENT_HEADER;
	int rc = 0;

	buf_init(&out, LIMIT_BATCH_SEALED + 64);
	for (size_t i = 0; i < n && rc == 0; i++) {
		places[i] = (struct spool_place){at + FRAME_LENGTH,
						 (uint32_t)batches[i].n};
		buf_clear(&out);
		rc = add_frame(&out, batches[i]);
		if (rc == 0) {
			rc = sys_pwrite_all(sys, f->fd, out.p, out.n, at);
			at += out.n;
		}
	}
	if (rc == 0) {
		rc = sys_fdatasync(sys, f->fd);
	}
	if (rc == 0 && first) {
		rc = sys_sync_dir(sys, dir);
	}
	if (rc == 0) {
		f->size = at;
	} else {
		sys_ftruncate(sys, f->fd, f->size);
	}
	buf_fini(&out);
	return rc;
}

int spool_file_read(struct spool_file *f, struct sys *sys,
		    struct spool_place place, struct buf *out)
{
	uint8_t length[FRAME_LENGTH];
	uint8_t sum[FRAME_SUM], want[FRAME_SUM];
	int rc;

	buf_clear(out);
	if (place.len > LIMIT_BATCH_SEALED) {
		return ERR_TOO_LARGE;
	}
	if (f->fd < 0) {
		f->fd = sys_open(sys, f->path, O_RDWR | O_NOFOLLOW, 0);
		if (f->fd < 0) {
			return f->fd;
		}
	}
	rc = buf_reserve(out, place.len + FRAME_SUM);
	if (rc == 0) {
		rc = sys_pread_all(sys, f->fd, out->p, place.len + FRAME_SUM,
				   place.offset);
	}
	if (rc != 0) {
		return rc;
	}
	memcpy(sum, out->p + place.len, sizeof sum);
	out->n = place.len;
	put_be(length, place.len, sizeof length);
	put_be(want, frame_sum(length, buf_slice(out)), sizeof want);
	return memcmp(sum, want, sizeof sum) == 0 ? 0 : ERR_DAMAGED;
}

void spool_file_close(struct spool_file *f, struct sys *sys)
{
	if (f->fd >= 0) {
		sys_close(sys, f->fd);
	}
	free(f->path);
	*f = spool_file_none();
}

void spool_file_remove(struct spool_file *f, struct sys *sys)
{
	int rc = f->path == NULL ? 0 : sys_unlink(sys, f->path);

	if (rc != 0 && rc != UV_ENOENT) {
		log_warn("cannot remove a delivered spool file; remove it by "
			 "hand",
			 "path=%s error=\"%s\"", f->path, err_str(rc));
	}
	spool_file_close(f, sys);
}

/* ---- recovery ---- */

struct name {
	char *text;
};

struct listing {
	struct name *names;
	size_t n, room;
};

static int on_name(void *arg, const char *name, bool is_dir)
{
	struct listing *l = arg;

	if (is_dir || !slice_ends(slice_str(name), SLICE_LIT(".spool"))) {
		return 0;
	}
	if (l->n == FILES_MAX) {
		return ERR_LIMIT;
	}
	if (l->n == l->room) {
		size_t room = l->room == 0 ? 64 : l->room * 2;
		struct name *p = realloc(l->names, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		l->names = p;
		l->room = room;
	}
	l->names[l->n].text = strdup(name);
	if (l->names[l->n].text == NULL) {
		return UV_ENOMEM;
	}
	l->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text,
		      ((const struct name *)b)->text);
}

struct walk {
	struct sys *sys;
	const char *dir;
	const struct spool_visitor *visitor;
	void *arg;
};

/* The next whole frame, or an empty slice when it is damaged or missing. */
static struct slice next_frame(struct reader *r, size_t max)
{
	uint8_t length[FRAME_LENGTH];
	struct reader at = *r;
	uint32_t n = reader_u32(&at);
	struct slice bytes;
	uint64_t sum;

	if (!reader_ok(&at) || n == 0 || n > max) {
		return SLICE_NONE;
	}
	bytes = reader_bytes(&at, n);
	sum = reader_u64(&at);
	put_be(length, n, sizeof length);
	if (!reader_ok(&at) || sum != frame_sum(length, bytes)) {
		return SLICE_NONE;
	}
	*r = at;
	return bytes;
}

/* Follows the batches of one file as far as they are whole and chained. */
static int walk_batches(struct walk *w, struct reader *r, const char *base,
			struct follower *f, size_t *n)
{
	struct batch_head head;
	int rc = 0;

	while (rc == 0) {
		struct reader at = *r;
		struct slice batch = next_frame(&at, LIMIT_BATCH_SEALED);
		struct spool_place place = {0};

		if (batch.n == 0 || follower_peek(f, batch, &head) != 0 ||
		    follower_commit(f, &head) != 0) {
			break;
		}
		place.offset = (uint64_t)(batch.p - base);
		place.len = (uint32_t)batch.n;
		rc = w->visitor->batch(w->arg, place, &head);
		++*n;
		*r = at;
	}
	return rc;
}

static void set_aside(struct walk *w, const char *path, struct slice bytes)
{
	char aside[SPOOL_PATH + sizeof ".damaged"];
	int rc;

	snprintf(aside, sizeof aside, "%s.damaged", path);
	rc = sys_replace(w->sys, w->dir, aside, bytes.p, bytes.n, 0600);
	log_warn("the spool is damaged; what is whole before the damage will be "
		 "sent, the rest is kept aside",
		 "path=%s bytes=%zu error=\"%s\"", aside, bytes.n,
		 err_str(rc));
}

/* Cuts the file to its whole part, so that the next start has nothing to say about
 * it.  When that fails, the next start says it again. */
static void cut(struct walk *w, const char *path, uint64_t size)
{
	int fd = sys_open(w->sys, path, O_RDWR | O_NOFOLLOW, 0);
	int rc = fd;

	if (fd >= 0) {
		rc = sys_ftruncate(w->sys, fd, size);
		if (rc == 0) {
			rc = sys_fdatasync(w->sys, fd);
		}
		sys_close(w->sys, fd);
	}
	if (rc != 0) {
		log_warn("cannot cut the damaged end off a spool file",
			 "path=%s error=\"%s\"", path, err_str(rc));
	}
}

static void discard(struct walk *w, const char *path)
{
	int rc = sys_unlink(w->sys, path);

	if (rc != 0) {
		log_warn("cannot remove a spool file that holds nothing",
			 "path=%s error=\"%s\"", path, err_str(rc));
	}
}

/* An end that a kill or a power cut has left of an append: it was never synced, so
 * nobody was told that it is here. */
static bool is_torn(struct slice rest)
{
	struct reader r = reader(rest);
	uint32_t n = reader_u32(&r);

	return !reader_ok(&r) ||
	       (n > 0 && n <= LIMIT_BATCH_SEALED &&
		reader_left(&r) < (size_t)n + FRAME_SUM);
}

/* What is behind the whole part: away with it, or kept beside it. */
static void deal_with_end(struct walk *w, const char *path,
			  struct slice bytes, size_t damaged)
{
	struct slice rest = slice_skip(bytes, bytes.n - damaged);

	if (is_torn(rest)) {
		log_info("the spool's last append was not finished",
			 "path=%s bytes=%zu", path, rest.n);
	} else {
		set_aside(w, path, rest);
	}
	cut(w, path, bytes.n - damaged);
}

/* A file of which not even the header is whole. */
static void set_whole_aside(struct walk *w, const char *path,
			    struct slice bytes)
{
	char aside[SPOOL_PATH + 16];
	bool begun = slice_eq(slice_head(bytes, sizeof magic),
			      slice(magic, bytes.n < sizeof magic
						   ? bytes.n
						   : sizeof magic));
	int rc;

	if (begun && (bytes.n <= sizeof magic ||
		      is_torn(slice_skip(bytes, sizeof magic)))) {
		discard(w, path); /* Killed while it was being made. */
		return;
	}
	snprintf(aside, sizeof aside, "%s.damaged", path);
	rc = sys_rename(w->sys, path, aside);
	log_warn("a spool file has no whole header, it is kept aside",
		 "path=%s bytes=%zu error=\"%s\"", aside, bytes.n,
		 err_str(rc));
}

static bool order_of(const char *name, uint64_t *order)
{
	struct slice s = slice_str(name);

	return s.n > 20 && slice_to_u64(slice_head(s, 20), UINT64_MAX, order);
}

static int walk_bytes(struct walk *w, const char *path, uint64_t order,
		      struct slice bytes)
{
	struct spool_found found = {.path = path, .order = order};
	struct reader r = reader(bytes);
	struct follower *f = NULL;
	size_t n = 0, damaged;
	int rc;

	if (slice_eq(reader_bytes(&r, sizeof magic),
		     slice(magic, sizeof magic))) {
		found.header = next_frame(&r, LIMIT_SEGMENT_HEADER);
	}
	if (found.header.n == 0 || follower_new(&f, found.header) != 0) {
		set_whole_aside(w, path, bytes);
		return 0;
	}
	found.info = follower_info(f);
	rc = w->visitor->segment(w->arg, &found);
	if (rc == 0) {
		rc = walk_batches(w, &r, bytes.p, f, &n);
	}
	damaged = reader_left(&r);
	if (rc == 0 && damaged > 0) {
		deal_with_end(w, path, bytes, damaged);
	}
	if (rc == 0) {
		rc = w->visitor->end(w->arg, bytes.n - damaged, n);
	}
	if (rc == 0 && n == 0) {
		discard(w, path); /* A header and no batch. */
	}
	follower_free(f);
	return rc;
}

static int walk_file(struct walk *w, const char *name)
{
	char path[SPOOL_PATH];
	uint64_t order;
	char *p;
	size_t n;
	int rc;

	if (!order_of(name, &order)) {
		return 0; /* Not ours. */
	}
	if (snprintf(path, sizeof path, "%s/%s", w->dir, name) >=
	    (int)sizeof path) {
		return UV_ENAMETOOLONG;
	}
	rc = sys_read_file(w->sys, path, UINT32_MAX, &p, &n);
	if (rc != 0) {
		log_error("cannot read a spool file; it stays for the next "
			  "start",
			  "path=%s error=\"%s\"", path, err_str(rc));
		return rc == UV_ENOMEM ? rc : 0;
	}
	rc = walk_bytes(w, path, order, slice(p, n));
	free(p);
	return rc;
}

int spool_recover(struct sys *sys, const char *dir,
		  const struct spool_visitor *visitor, void *arg)
{
	struct listing l = {0};
	struct walk w = {sys, dir, visitor, arg};
	int rc = sys_list(sys, dir, on_name, &l);

	if (l.n > 0) {
		qsort(l.names, l.n, sizeof *l.names, by_name);
	}
	for (size_t i = 0; i < l.n; i++) {
		if (rc == 0) {
			rc = walk_file(&w, l.names[i].text);
		}
		free(l.names[i].text);
	}
	free(l.names);
	return rc;
}
