#include "shipper/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"
#include "shipper/spool_frame.h"

/* Recovery: what is whole, what is lost, and nothing that stops a start.
 *
 * A segment's batches can be opened only in order, so what follows the first damage
 * in a file is of no use; but it still says which positions are lost.  Files that
 * follow are whole for themselves.
 */

enum {
	FILES_MAX = 1024 * 1024, /* all of them, or their order is lost */
	ORDER_DIGITS = 20,
	SEGMENT_DIGITS = 32,
};

/* ---- the folder ---- */

struct listing {
	char **names;
	size_t n, room;
	struct slice suffix;
};

static int on_name(void *arg, const char *name, bool is_dir)
{
	struct listing *l = arg;

	if (is_dir || !slice_ends(slice_str(name), l->suffix)) {
		return 0;
	}
	if (l->n == FILES_MAX) {
		return ERR_LIMIT;
	}
	if (l->n == l->room) {
		size_t room = l->room == 0 ? 64 : l->room * 2;
		char **p = realloc(l->names, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		l->names = p;
		l->room = room;
	}
	l->names[l->n] = strdup(name);
	if (l->names[l->n] == NULL) {
		return UV_ENOMEM;
	}
	l->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(struct sys *sys, const char *dir, struct slice suffix,
		      struct listing *out)
{
	int rc;

	*out = (struct listing){.suffix = suffix};
	rc = sys_list(sys, dir, on_name, out);
	if (out->n > 0) {
		qsort(out->names, out->n, sizeof *out->names, by_name);
	}
	return rc;
}

static void listing_fini(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->names[i]);
	}
	free(l->names);
}

/* Evidence is kept, but not without end. */
static void forget_old_damage(struct sys *sys, const char *dir)
{
	struct listing l;
	char path[SPOOL_PATH];

	if (list_names(sys, dir, SLICE_LIT(".spool.damaged"), &l) == 0) {
		for (size_t i = 0; i + SPOOL_DAMAGED < l.n; i++) {
			snprintf(path, sizeof path, "%s/%s", dir, l.names[i]);
			sys_unlink(sys, path); /* Or at the next start. */
		}
	}
	listing_fini(&l);
}

/* ---- one file ---- */

struct walk {
	struct sys *sys;
	const char *dir;
	const struct spool_visitor *visitor;
	void *arg;
	bool repair; /* may change files */
};

struct file {
	struct walk *w;
	const char *path;
	uint64_t order;
	struct slice name;
	struct spool_bytes *bytes;
	char header[LIMIT_SEGMENT_HEADER];
	struct spool_found found;
	struct follower *follower; /* NULL: no whole header yet */
	size_t n;           /* whole batches */
	uint64_t whole_end; /* behind the last of them, or behind the header */
	uint64_t size;      /* that the file has in the end */
	bool damaged;     /* a batch is lost, and all behind it */
	bool junk;        /* something unreadable since the last frame */
	bool blind;       /* a batch is lost and nobody knows its streams */
	uint32_t next;    /* index of the batch that would follow, once damaged */
	bool cut;         /* the file ends in a frame that was begun */
	uint64_t damaged_at;
	struct spool_range *ranges;
	size_t n_ranges, room;
};

/* NAME is ORDER-QUEUE-ID.spool. */
static bool parse_name(struct file *f, struct slice name)
{
	size_t rest = ORDER_DIGITS + 1 + SEGMENT_DIGITS + 1 + sizeof ".spool" - 1;

	if (name.n < ORDER_DIGITS ||
	    !slice_to_u64(slice_head(name, ORDER_DIGITS), UINT64_MAX,
			  &f->order)) {
		return false;
	}
	f->name = name.n > rest ? slice(name.p + ORDER_DIGITS + 1, name.n - rest)
				: SLICE_NONE;
	return true;
}

/* The queue that the name tells, when no header does. */
static enum queue queue_by_name(const struct file *f)
{
	enum lane lane = slice_starts(f->name, SLICE_LIT("alert")) ? LANE_ALERT
			 : slice_starts(f->name, SLICE_LIT("file"))
				 ? LANE_FILE
				 : LANE_KEPT;

	return queue_named(f->name, lane);
}

static int add_range(struct file *f, const struct batch_stream *s)
{
	for (size_t i = 0; i < f->n_ranges; i++) {
		struct spool_range *r = &f->ranges[i];

		if (memcmp(&r->id, &s->id, sizeof r->id) == 0) {
			r->start = s->start < r->start ? s->start : r->start;
			r->end = s->end > r->end ? s->end : r->end;
			return 0;
		}
	}
	if (f->n_ranges == f->room) {
		size_t room = f->room == 0 ? 8 : f->room * 2;
		struct spool_range *p = realloc(f->ranges, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		f->ranges = p;
		f->room = room;
	}
	f->ranges[f->n_ranges++] = (struct spool_range){s->id, s->start, s->end};
	return 0;
}

/* The frame's batch is lost; its note says of what. */
static int lose(struct file *f, const struct spool_frame *fr)
{
	struct reader note = reader(fr->note);
	struct batch_stream s;
	uint32_t index;
	size_t at = 0;
	int rc = 0;

	if (!f->damaged) {
		f->damaged = true;
		f->damaged_at = f->junk ? f->whole_end : fr->at;
		f->next = (uint32_t)f->n;
	}
	index = reader_u32(&note);
	if (!reader_ok(&note) || index > f->next) {
		f->blind = true;
	}
	f->junk = false;
	f->next = reader_ok(&note) ? index + 1 : f->next + 1;
	while (rc == 0 && f->n_ranges < LIMIT_SEGMENT_STREAMS &&
	       spool_frame_note_next(fr->note, &at, &s)) {
		rc = add_range(f, &s);
	}
	return rc;
}

static int take_header(struct file *f, const struct spool_frame *fr)
{
	int rc = fr->body.n > sizeof f->header
			 ? ERR_MALFORMED
			 : follower_new(&f->follower, fr->body);

	if (rc != 0) {
		f->follower = NULL;
		return rc == UV_ENOMEM ? rc : 0;
	}
	memcpy(f->header, fr->body.p, fr->body.n);
	f->found = (struct spool_found){
		.path = f->path,
		.order = f->order,
		.header = slice(f->header, fr->body.n),
		.info = follower_info(f->follower),
	};
	f->found.queue = queue_named(f->name, f->found.info->lane);
	f->whole_end = fr->end;
	f->junk = false; /* The other copy, or a part of this one. */
	return f->w->visitor->segment(f->w->arg, &f->found);
}

static int take_batch(struct file *f, const struct spool_frame *fr)
{
	struct batch_head head;
	struct spool_place place = {fr->body_at, (uint32_t)fr->body.n};
	int rc;

	if (f->damaged || f->follower == NULL ||
	    follower_peek(f->follower, fr->body, &head) != 0 ||
	    !spool_frame_holds(fr, &head)) {
		return lose(f, fr);
	}
	rc = follower_commit(f->follower, &head);
	if (rc != 0) {
		return rc == UV_ENOMEM ? rc : lose(f, fr);
	}
	f->n++;
	f->whole_end = fr->end;
	f->junk = false;
	return f->w->visitor->batch(f->w->arg, place, &head);
}

static bool is_header(const struct file *f, const struct spool_frame *fr)
{
	return fr->state == FRAME_BODY_ONLY
		       ? f->n == 0 && !f->damaged &&
				 (f->follower == NULL ||
				  slice_eq(fr->body, f->found.header))
		       : fr->type == FRAME_HEADER;
}

static int take_frame(struct file *f, const struct spool_frame *fr)
{
	bool whole = fr->state == FRAME_WHOLE || fr->state == FRAME_BODY_ONLY;

	if (fr->state == FRAME_JUNK) {
		f->junk = f->junk ||
			  !(fr->end == f->bytes->size &&
			    spool_frame_is_unfinished(f->bytes, fr->at));
		return 0;
	}
	f->cut = fr->state == FRAME_CUT;
	if (is_header(f, fr)) {
		if (!whole) {
			return 0; /* There is another copy, or nothing at all. */
		}
		if (f->follower == NULL) {
			return take_header(f, fr);
		}
		f->whole_end = f->n == 0 ? fr->end : f->whole_end;
		return 0;
	}
	return whole ? take_batch(f, fr) : lose(f, fr);
}

static int take_frames(struct file *f)
{
	uint64_t at = SPOOL_MAGIC_BYTES;
	struct spool_frame fr;
	int rc = 0;

	/* A damaged magic is no reason to look no further. */
	while (rc == 0 && spool_frame_next(f->bytes, &at, &fr)) {
		rc = take_frame(f, &fr);
	}
	return rc;
}

/* ---- what to do about it ---- */

/* Cuts the file to its whole part, so that the next start has nothing to say about
 * it.  When that fails, the next start says it again. */
static void cut_end(struct file *f)
{
	struct sys *sys = f->w->sys;
	int fd = sys_open(sys, f->path, O_RDWR | O_NOFOLLOW, 0);
	int rc = fd;

	if (fd >= 0) {
		rc = sys_ftruncate(sys, fd, f->whole_end);
		if (rc == 0) {
			rc = sys_fdatasync(sys, fd);
		}
		sys_close(sys, fd);
	}
	if (rc != 0) {
		log_warn("cannot cut the unfinished end off a spool file",
			 "path=%s error=\"%s\"", f->path, err_str(rc));
	}
}

static void discard(struct file *f)
{
	int rc = sys_unlink(f->w->sys, f->path);

	if (rc != 0) {
		log_warn("cannot remove a spool file that holds nothing",
			 "path=%s error=\"%s\"", f->path, err_str(rc));
	}
}

/* Killed while it was being made: no batch was ever whole in it, nor was begun. */
static bool is_begun_only(const struct file *f)
{
	return f->n == 0 && !f->damaged && !f->junk;
}

static int tell_loss(struct file *f)
{
	struct spool_loss loss = {
		.path = f->path,
		.order = f->order,
		.queue = f->follower != NULL ? f->found.queue
					     : queue_by_name(f),
		.n_whole = f->n,
		.at = f->damaged ? f->damaged_at : f->whole_end,
		.ranges = f->ranges,
		.n_ranges = f->n_ranges,
		.unfinished = f->damaged && f->cut && !f->junk &&
			      !f->blind && f->damaged_at == f->whole_end,
		.open_end = f->junk || f->blind,
	};

	if (f->w->repair) {
		log_warn(loss.unfinished
				 ? "the spool's last append was not finished; the "
				   "lines in it are lost"
				 : "a spool file is damaged; what is whole before "
				   "the damage will be sent",
			 "path=%s at=%llu batches=%zu streams_hit=%zu", f->path,
			 (unsigned long long)loss.at, f->n, f->n_ranges);
	}
	return f->w->visitor->loss(f->w->arg, &loss);
}

static int finish_file(struct file *f)
{
	const struct spool_visitor *v = f->w->visitor;
	bool loss = f->damaged || f->junk;
	uint64_t end = f->bytes->size;
	uint64_t size = loss || f->follower == NULL ? end : f->whole_end;
	int rc = 0;

	if (f->w->repair && !loss && f->n > 0 && size < end) {
		log_info("the spool's last append was not finished",
			 "path=%s bytes=%llu", f->path, (unsigned long long)(end - size));
		cut_end(f);
	}
	f->size = size;
	if (f->follower != NULL) {
		rc = v->end(f->w->arg, size, f->n);
	}
	if (rc == 0 && f->w->repair && is_begun_only(f)) {
		discard(f);
	}
	return rc == 0 && loss ? tell_loss(f) : rc;
}

static int walk_bytes(struct file *f)
{
	int rc;

	f->whole_end = f->bytes->size < SPOOL_MAGIC_BYTES ? f->bytes->size
							  : SPOOL_MAGIC_BYTES;
	rc = take_frames(f);
	/* What can't be read may have been anything. */
	f->junk = f->junk || f->bytes->rc != 0;
	if (rc == 0) {
		rc = finish_file(f);
	}
	follower_free(f->follower);
	free(f->ranges);
	return rc;
}

/* The file's first `size` bytes, in a file that is synced, in its place. */
static int copy_over(struct file *f)
{
	struct sys *sys = f->w->sys;
	char tmp[SPOOL_PATH + sizeof ".tmp"];
	int rc, fd;

	snprintf(tmp, sizeof tmp, "%s.tmp", f->path);
	fd = sys_open(sys, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? fd : 0;
	for (uint64_t at = 0; at < f->size && rc == 0;) {
		struct slice part = spool_bytes_at(f->bytes, at, SPOOL_WINDOW);

		part = slice_head(part, f->size - at < part.n ? (size_t)(f->size - at)
							      : part.n);
		rc = part.n == 0 ? UV_EIO : sys_pwrite_all(sys, fd, part.p, part.n, at);
		at += part.n;
	}
	if (rc == 0) {
		rc = sys_fdatasync(sys, fd);
	}
	if (fd >= 0) {
		sys_close(sys, fd);
	}
	if (rc == 0) {
		rc = sys_rename(sys, tmp, f->path);
	}
	if (rc != 0) {
		sys_unlink(sys, tmp);
		return rc;
	}
	return sys_sync_dir(sys, f->w->dir);
}

/* Its sources forget what is here from now on; whoever wrote it may have been killed
 * before it was synced. */
static void make_durable(struct file *f)
{
	struct sys *sys = f->w->sys;
	int fd = sys_open(sys, f->path, O_RDWR | O_NOFOLLOW, 0);
	int rc = fd;

	if (fd >= 0) {
		rc = sys_fdatasync(sys, fd);
		sys_close(sys, fd);
	}
	if (rc != 0) {
		/* Nobody knows what of it is on the disk: to another place. */
		rc = copy_over(f);
	}
	if (rc != 0) {
		log_error("cannot sync a spool file; until it is delivered, the "
			  "lines in it do not survive a power cut",
			  "path=%s error=\"%s\"", f->path, err_str(rc));
	}
}

/* All of it can be read: one that can't be now, maybe later. */
static int try_reading(struct spool_bytes *b)
{
	for (uint64_t at = 0; at < b->size && b->rc == 0; at += SPOOL_WINDOW) {
		spool_bytes_at(b, at, SPOOL_WINDOW);
	}
	return b->rc;
}

static int tell_unreadable(struct walk *w, const char *path, int error)
{
	if (w->visitor->unreadable != NULL) {
		return w->visitor->unreadable(w->arg, path, error);
	}
	log_error("cannot read a spool file; it stays for the next start",
		  "path=%s error=\"%s\"", path, err_str(error));
	return 0;
}

static int walk_file(struct walk *w, const char *name)
{
	char path[SPOOL_PATH];
	struct spool_bytes bytes;
	struct file f = {.w = w, .path = path, .bytes = &bytes};
	int rc;

	if (!parse_name(&f, slice_str(name))) {
		return 0; /* Not ours. */
	}
	if (snprintf(path, sizeof path, "%s/%s", w->dir, name) >=
	    (int)sizeof path) {
		return UV_ENAMETOOLONG;
	}
	rc = spool_bytes_open(&bytes, w->sys, path);
	if (rc == 0) {
		rc = try_reading(&bytes);
		if (rc != 0) {
			spool_bytes_close(&bytes);
		}
	}
	if (rc != 0) {
		return rc == UV_ENOMEM ? rc : tell_unreadable(w, path, rc);
	}
	rc = walk_bytes(&f);
	if (rc == 0 && w->repair && f.n > 0) {
		make_durable(&f);
	}
	spool_bytes_close(&bytes);
	return rc;
}

static int walk_all(struct walk *w)
{
	struct listing l;
	int rc = list_names(w->sys, w->dir, SLICE_LIT(".spool"), &l);

	for (size_t i = 0; i < l.n && rc == 0; i++) {
		rc = walk_file(w, l.names[i]);
	}
	listing_fini(&l);
	return rc;
}

int spool_recover(struct sys *sys, const char *dir,
		  const struct spool_visitor *visitor, void *arg)
{
	struct walk w = {sys, dir, visitor, arg, true};
	int rc = walk_all(&w);

	if (rc == 0) {
		int names = sys_sync_dir(sys, dir);

		forget_old_damage(sys, dir);
		if (names != 0) {
			log_error("cannot sync the spool's folder",
				  "path=%s error=\"%s\"", dir, err_str(names));
		}
	}
	return rc;
}

int spool_look(struct sys *sys, const char *dir,
	       const struct spool_visitor *visitor, void *arg)
{
	struct walk w = {sys, dir, visitor, arg, false};

	return walk_all(&w);
}
