#include "shipper/spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/spool_frame.h"

/* A file:  "NJSPOOL2", frame(segment header) twice, frame(batch 0), frame(batch 1) ... */
static const char magic[SPOOL_MAGIC_BYTES] = SPOOL_MAGIC;

static void id_text(char out[static 33], const struct segment_id *id)
{
	for (int i = 0; i < 16; i++) {
		snprintf(out + 2 * i, 3, "%02x", id->b[i]);
	}
}

/* Magic and header.  It stands there twice, since without it nothing can be opened. */
static int encode_start(struct buf *out, struct slice header)
{
	int rc = buf_add(out, magic, sizeof magic);

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = spool_frame_add(out, FRAME_HEADER, SLICE_NONE, header);
	}
	return rc;
}

static int write_start(struct spool_file *f, struct sys *sys,
		       const struct buf *start)
{
	int rc;

	f->fd = sys_open(sys, f->path,
			 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (f->fd < 0) {
		return f->fd;
	}
	rc = sys_pwrite_all(sys, f->fd, start->p, start->n, 0);
	if (rc != 0) {
		sys_close(sys, f->fd);
		sys_unlink(sys, f->path);
		return rc;
	}
	f->size = start->n;
	return 0;
}

int spool_file_create(struct spool_file *f, struct sys *sys, const char *dir,
		      uint64_t order, enum queue queue,
		      const struct segment_info *info, struct slice header)
{
	struct buf start;
	char id[33];
	int rc;

	*f = spool_file_none();
	buf_init(&start, 2 * LIMIT_SEGMENT_HEADER + 256);
	id_text(id, &info->id);
	if (asprintf(&f->path, "%s/%020" PRIu64 "-%s-%s.spool", dir, order,
		     queue_name(queue), id) < 0) {
		f->path = NULL;
		return UV_ENOMEM;
	}
	rc = follower_new(&f->follower, header);
	if (rc == 0) {
		rc = encode_start(&start, header);
	}
	if (rc == 0) {
		rc = write_start(f, sys, &start);
	}
	buf_fini(&start);
	if (rc != 0) {
		follower_free(f->follower);
		free(f->path);
		*f = spool_file_none();
	}
	return rc;
}

/* One batch as a frame, at *at, and on. */
static int append_one(struct spool_file *f, struct sys *sys, struct slice batch,
		      struct buf *note, struct buf *out, uint64_t *at,
		      struct spool_place *place)
{
	struct batch_head head;
	int rc = follower_peek(f->follower, batch, &head);

	if (rc == 0) {
		rc = follower_commit(f->follower, &head);
	}
	buf_clear(note);
	buf_clear(out);
	if (rc == 0) {
		rc = spool_frame_note_batch(note, &head);
	}
	if (rc == 0) {
		rc = spool_frame_add(out, FRAME_BATCH, buf_slice(note), batch);
	}
	if (rc == 0) {
		rc = sys_pwrite_all(sys, f->fd, out->p, out->n, *at);
	}
	*place = (struct spool_place){
		*at + FRAME_HEAD + note->n + FRAME_SUM, (uint32_t)batch.n};
	*at += out->n;
	return rc;
}

static void no_more_appends(struct spool_file *f)
{
	follower_free(f->follower);
	f->follower = NULL;
}

int spool_file_append(struct spool_file *f, struct sys *sys, const char *dir,
		      const struct slice *batches, size_t n,
		      struct spool_place *places)
{
	uint64_t at = f->size;
	struct buf note, out;
	bool first = f->follower != NULL && follower_next_index(f->follower) == 0;
	int rc = f->follower == NULL ? ERR_POISONED : 0;

	buf_init(&note, FRAME_NOTE);
	buf_init(&out, LIMIT_BATCH_SEALED + FRAME_NOTE + 64);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = append_one(f, sys, batches[i], &note, &out, &at,
				&places[i]);
	}
	if (rc == 0) {
		rc = sys_fdatasync(sys, f->fd);
	}
	if (rc == 0 && first) {
		rc = sys_sync_dir(sys, dir);
	}
	if (rc == 0) {
		f->size = at;
	} else if (f->follower != NULL) {
		sys_ftruncate(sys, f->fd, f->size);
		no_more_appends(f);
	}
	buf_fini(&note);
	buf_fini(&out);
	return rc;
}

int spool_file_read(struct spool_file *f, struct sys *sys,
		    struct spool_place place, struct buf *out)
{
	uint8_t tail[FRAME_TAIL];
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
	rc = buf_reserve(out, place.len + FRAME_TAIL);
	if (rc == 0) {
		rc = sys_pread_all(sys, f->fd, out->p, place.len + FRAME_TAIL,
				   place.offset);
	}
	if (rc != 0) {
		return rc;
	}
	memcpy(tail, out->p + place.len, sizeof tail);
	out->n = place.len;
	return spool_frame_sum_holds(buf_slice(out), tail) ? 0 : ERR_DAMAGED;
}

void spool_file_rest(struct spool_file *f, struct sys *sys)
{
	no_more_appends(f);
	if (f->fd >= 0) {
		sys_close(sys, f->fd);
		f->fd = -1;
	}
}

void spool_file_close(struct spool_file *f, struct sys *sys)
{
	spool_file_rest(f, sys);
	free(f->path);
	*f = spool_file_none();
}

void spool_set_aside(struct sys *sys, const char *path)
{
	char aside[SPOOL_PATH + sizeof ".damaged"];
	int rc;

	snprintf(aside, sizeof aside, "%s.damaged", path);
	rc = sys_rename(sys, path, aside);
	log_warn("a damaged spool file is kept aside; remove it when nobody wants "
		 "to look at it",
		 "path=%s error=\"%s\"", aside, err_str(rc));
}

void spool_file_remove(struct spool_file *f, struct sys *sys)
{
	int rc = 0;

	if (f->path != NULL && f->damaged) {
		spool_set_aside(sys, f->path);
	} else if (f->path != NULL) {
		rc = sys_unlink(sys, f->path);
	}
	if (rc != 0 && rc != UV_ENOENT) {
		log_warn("cannot remove a delivered spool file; remove it by "
			 "hand",
			 "path=%s error=\"%s\"", f->path, err_str(rc));
	}
	spool_file_close(f, sys);
}
