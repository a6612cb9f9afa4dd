#include "collector/commit.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/commit_log.h"
#include "collector/share.h"
#include "common/err.h"

enum { LOG_MAX = 1 << 30 };

void commit_init(struct commit *c, struct store *s,
		 void (*on_done)(void *arg, int rc), void *arg)
{
	*c = (struct commit){.store = s, .on_done = on_done, .arg = arg};
	buf_init(&c->log, LOG_MAX);
}

static void clear(struct commit *c)
{
	free(c->streams);
	free(c->segments);
	free(c->files);
	free(c->dirs);
	free(c->due);
	free(c->gone);
	buf_fini(&c->log);
	c->due = NULL;
	c->gone = NULL;
	c->n_due = 0;
	c->streams = NULL;
	c->segments = NULL;
	c->files = NULL;
	c->dirs = NULL;
	c->n_streams = c->n_segments = c->n_dirs = 0;
	c->replace_log = false;
}

void commit_fini(struct commit *c)
{
	clear(c);
}

bool commit_needed(const struct commit *c)
{
	const struct store *s = c->store;

	return s->n_dirty_streams > 0 || s->n_dirty_segments > 0 ||
	       s->n_due > 0 || s->log_pending.n > 0 || s->log_fd < 0;
}

/* ---- the work ---- */

static void log_path(const struct store *s, char out[static STORE_PATH])
{
	/* store_open() has checked that this fits. */
	int n = snprintf(out, STORE_PATH, "%.*s/watermarks.log",
			 STORE_PATH - 32, s->own);

	(void)n;
}

static int sync_log(struct commit *c)
{
	struct store *s = c->store;
	char path[STORE_PATH];
	int rc;

	if (c->log.n == 0) {
		return 0;
	}
	log_path(s, path);
	if (!c->replace_log) {
		rc = sys_pwrite_all(s->sys, c->log_fd, c->log.p, c->log.n,
				    c->log_offset);
		return rc != 0 ? rc : sys_fdatasync(s->sys, c->log_fd);
	}
	rc = sys_replace(s->sys, s->own, path, c->log.p, c->log.n, 0600);
	if (rc == 0) {
		rc = sys_open(s->sys, path, O_RDWR, 0);
		c->log_fd = rc;
	}
	return rc < 0 ? rc : 0;
}

/* Are the devices still ours?  What was written of one before it was taken from us is in
 * what its taker has; so much may be said, and no more. */
static int look(struct commit *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_due; i++) {
		int owns = share_owns(c->store, c->due[i]);

		if (owns < 0) {
			return owns;
		}
		c->gone[i] = owns == 0;
		rc = owns == 0 ? ERR_FENCED : rc;
	}
	return rc;
}

static int sync_dirs(struct commit *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_dirs && rc == 0; i++) {
		rc = sys_sync_dir(c->store->sys, c->dirs[i]);
	}
	/* A folder that has another name by now. */
	return rc == UV_ENOENT && look(c) == ERR_FENCED ? ERR_FENCED : rc;
}

static void on_run(struct sys_work *w)
{
	struct commit *c = w->arg;
	struct sys *sys = c->store->sys;

	c->rc = 0;
	c->log_written = false;
	for (size_t i = 0; i < c->n_segments && c->rc == 0; i++) {
		if (c->files[i].fd >= 0) {
			c->rc = sys_fdatasync(sys, c->files[i].fd);
		}
	}
	if (c->rc == 0) {
		c->rc = sync_dirs(c);
	}
	if (c->rc == 0) {
		c->rc = look(c);
	}
	if (c->rc == 0) {
		c->rc = sync_log(c);
		c->log_written = c->rc == 0;
	}
	if (c->rc == 0 && c->log.n > 0) {
		c->rc = look(c);
	}
}

/* ---- preparing ---- */

static int take_streams(struct commit *c)
{
	struct store *s = c->store;

	c->streams = calloc(s->n_dirty_streams + 1, sizeof *c->streams);
	if (c->streams == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < s->n_dirty_streams; i++) {
		struct dirty_stream *ds = &s->dirty_streams[i];
		struct stream *st = device_find_stream(ds->device, &ds->id);

		c->streams[i] = (struct commit_stream){
			ds->device, ds->id, st->received, st->h_received};
		st->dirty = false;
	}
	c->n_streams = s->n_dirty_streams;
	s->n_dirty_streams = 0;
	return 0;
}

static void add_dir(struct commit *c, const char *dir)
{
	for (size_t i = 0; i < c->n_dirs; i++) {
		if (strcmp(c->dirs[i], dir) == 0) {
			return;
		}
	}
	snprintf(c->dirs[c->n_dirs++], STORE_PATH, "%s", dir);
}

static void note_what_is_synced(struct segment *g)
{
	g->committing = true;
	g->at.bytes = g->bytes;
	g->at.index = g->index;
	g->at.hash = g->hash;
	g->at.file_made = g->file_made;
}

static int take_segments(struct commit *c)
{
	struct store *s = c->store;
	size_t made = 0;

	for (size_t i = 0; i < s->n_dirty_segments; i++) {
		made += s->dirty_segments[i]->file_made;
	}
	c->segments = calloc(s->n_dirty_segments + 1, sizeof(struct segment *));
	c->files = calloc(s->n_dirty_segments + 1, sizeof *c->files);
	c->dirs = calloc(2 * made + 1, sizeof *c->dirs);
	if (c->segments == NULL || c->files == NULL || c->dirs == NULL) {
		return UV_ENOMEM;
	}
	c->n_segments = s->n_dirty_segments;
	s->n_dirty_segments = 0;
	for (size_t i = 0; i < c->n_segments; i++) {
		struct segment *g = s->dirty_segments[i];

		c->segments[i] = g;
		c->files[i].fd = g->bytes > g->durable_bytes ? g->fd : -1;
		g->dirty = false;
		note_what_is_synced(g);
	}
	s->dirty_bytes = 0;
	return 0;
}

static int take_due(struct commit *c)
{
	struct store *s = c->store;

	c->due = calloc(s->n_due + 1, sizeof(struct device *));
	c->gone = calloc(s->n_due + 1, sizeof *c->gone);
	if (c->due == NULL || c->gone == NULL) {
		return UV_ENOMEM;
	}
	c->n_due = s->n_due;
	s->n_due = 0;
	for (size_t i = 0; i < c->n_due; i++) {
		c->due[i] = s->due[i];
		c->due[i]->due = false;
	}
	return 0;
}

static void take_dirs(struct commit *c)
{
	char dir[STORE_PATH];

	for (size_t i = 0; i < c->n_segments; i++) {
		if (c->segments[i]->file_made) {
			store_device_dir(c->store, c->segments[i]->device, dir);
			add_dir(c, dir);
			*strrchr(dir, '/') = '\0';
			add_dir(c, dir);
		}
	}
}

static void on_synced(struct sys_work *w);

static void submit(struct commit *c, enum commit_state state, int rc)
{
	c->state = state;
	c->work = (struct sys_work){.run = on_run, .done = on_synced, .arg = c};
	if (rc == 0) {
		rc = sys_work_submit(c->store->sys, &c->work);
	}
	if (rc != 0) {
		c->rc = rc;
		on_synced(&c->work);
	}
}

void commit_start(struct commit *c)
{
	struct store *s = c->store;
	int rc;

	assert(c->state == COMMIT_IDLE);
	c->arrival = s->arrival;
	rc = commit_log_closed(s);
	if (rc == 0) {
		rc = take_segments(c);
	}
	if (rc == 0) {
		rc = take_streams(c);
	}
	if (rc == 0) {
		rc = take_due(c);
	}
	if (rc == 0) {
		take_dirs(c);
	}
	if (rc == 0 && (s->log_pending.n > 0 || s->log_fd < 0)) {
		rc = commit_log_prepare(c);
	}
	submit(c, COMMIT_SYNCING, rc);
}

/* ---- afterwards ---- */

static void log_done(struct commit *c)
{
	struct store *s = c->store;

	if (c->log.n == 0) {
		return;
	}
	if (c->replace_log) {
		if (s->log_fd >= 0) {
			sys_close(s->sys, s->log_fd);
		}
		s->log_fd = c->log_fd;
	}
	s->log_bytes = c->log_offset + c->log.n;
	buf_consume(&s->log_pending, (size_t)c->log_requeue);
	c->log_requeue = 0;
}

static void segments_done(struct commit *c)
{
	for (size_t i = 0; i < c->n_segments; i++) {
		struct segment *g = c->segments[i];

		g->committing = false;
		g->repair = REPAIR_NONE;
		g->file_made = g->file_made && !g->at.file_made;
		g->durable_bytes = g->at.bytes;
		g->durable_index = g->at.index;
		g->durable_hash = g->at.hash;
		g->catalogue_dirty = true;
	}
}

static void streams_done(struct commit *c)
{
	for (size_t i = 0; i < c->n_streams; i++) {
		const struct commit_stream *cs = &c->streams[i];
		struct stream *st = device_find_stream(cs->device, &cs->id);

		st->durable = cs->w;
		st->h_durable = cs->h;
	}
}

/* A device is not ours any more.  What was synced of the others counts with the next
 * commit, which is synced anew. */
static void wait_for_next(struct commit *c)
{
	struct store *s = c->store;

	if (c->log_written) {
		log_done(c);
	}
	c->log_requeue = 0;
	for (size_t i = 0; i < c->n_segments; i++) {
		c->segments[i]->committing = false;
		store_mark_segment(s, c->segments[i]);
	}
	for (size_t i = 0; i < c->n_streams; i++) {
		struct device *d = c->streams[i].device;

		store_mark_stream(s, d,
				  device_find_stream(d, &c->streams[i].id));
	}
	for (size_t i = 0; i < c->n_due; i++) {
		c->due[i]->lost = c->gone[i];
		store_mark_due(s, c->due[i]);
	}
	c->state = COMMIT_IDLE;
}

static void go_on_in_new_files(struct commit *c);

static void on_synced(struct sys_work *w)
{
	struct commit *c = w->arg;
	bool repaired = c->state == COMMIT_REPAIRING;

	if (c->state == COMMIT_RELOGGING && c->rc == 0) {
		log_done(c);
		buf_clear(&c->log);
		go_on_in_new_files(c);
		return;
	}
	if (c->rc == ERR_FENCED && c->state == COMMIT_SYNCING) {
		c->rc = store_reserve_marks(c->store, c->n_streams,
					    c->n_segments, c->n_due);
		if (c->rc == 0) {
			wait_for_next(c);
			c->on_done(c->arg, ERR_FENCED);
			clear(c);
			return;
		}
	}
	if (c->rc != 0) {
		c->state = COMMIT_FAILED;
		c->on_done(c->arg, c->rc);
		return;
	}
	log_done(c);
	segments_done(c);
	if (!repaired) {
		streams_done(c);
		c->store->durable_arrival = c->arrival;
	}
	c->state = COMMIT_IDLE;
	c->on_done(c->arg, 0);
	clear(c);
}

/* ---- a sync failed ---- */

static void take_back_stream(const struct store *s, struct device *d,
			     const struct stream_id *id)
{
	struct stream *st = device_find_stream(d, id);

	st->touched = commit_touched_durably(s, st);
	st->received = st->durable;
	st->h_received = st->h_durable;
	st->dirty = false;
	st->logged = 0;
}

static void take_back_segment(struct segment *g)
{
	g->committing = false;
	g->dirty = false;
	store_segment_detach(g);
	g->index = g->durable_index;
	g->hash = g->durable_hash;
	/* Without a header nothing was written to it. */
	g->repair = g->header.p != NULL ? REPAIR_OLD_FILE : REPAIR_NONE;
}

/* Puts a segment on the list of those to repair, once. */
static int to_repair(struct commit *c, struct segment *g)
{
	struct segment **v;

	for (size_t i = 0; i < c->n_segments; i++) {
		if (c->segments[i] == g) {
			return 0;
		}
	}
	v = realloc(c->segments, (c->n_segments + 1) * sizeof(*v));
	if (v == NULL) {
		return UV_ENOMEM;
	}
	c->segments = v;
	c->segments[c->n_segments++] = g;
	return 0;
}

void commit_take_back(struct commit *c,
		      void (*dropped)(void *arg, struct device *d), void *arg)
{
	struct store *s = c->store;

	assert(c->state == COMMIT_FAILED);
	for (size_t i = 0; i < c->n_streams; i++) {
		take_back_stream(s, c->streams[i].device, &c->streams[i].id);
		dropped(arg, c->streams[i].device);
	}
	for (size_t i = 0; i < s->n_dirty_streams; i++) {
		struct dirty_stream *ds = &s->dirty_streams[i];

		take_back_stream(s, ds->device, &ds->id);
		dropped(arg, ds->device);
	}
	c->n_streams = s->n_dirty_streams = 0;
	store_forget_watermarks(s, NULL);
	for (size_t i = 0; i < s->n_dirty_segments; i++) {
		to_repair(c, s->dirty_segments[i]);
	}
	s->n_dirty_segments = 0;
	s->dirty_bytes = 0;
	for (size_t i = 0; i < c->n_segments; i++) {
		take_back_segment(c->segments[i]);
		dropped(arg, c->segments[i]->device);
	}
	for (size_t i = 0; i < c->n_due; i++) {
		if (store_mark_due(s, c->due[i]) != 0) {
			dropped(arg, c->due[i]);
		}
	}
	c->n_due = 0;
	/* Its end is as uncertain as that of the others. */
	if (s->log_fd >= 0) {
		sys_close(s->sys, s->log_fd);
		s->log_fd = -1;
	}
	c->log_requeue = 0;
}

static bool is_anothers(const struct store *s, const struct segment *g)
{
	return share_is_on(s) && share_owns(s, g->device) == 0;
}

/* The next commit finds out that its device is not ours any more; until then nothing is
 * synced of it, whose folder has another name. */
static void leave_segment(struct store *s, struct segment *g)
{
	store_close_file(s, g);
	g->bytes = 0;
	g->file_made = false;
	g->repair = REPAIR_NONE;
}

/* The new log is on the disk. */
static void go_on_in_new_files(struct commit *c)
{
	struct store *s = c->store;
	int rc = 0;

	for (size_t i = 0; i < c->n_segments && rc == 0; i++) {
		struct segment *g = c->segments[i];

		if (is_anothers(s, g)) {
			leave_segment(s, g);
		} else if (g->repair == REPAIR_OLD_FILE) {
			store_segment_give_up_file(s, g);
		}
		if (g->repair == REPAIR_NEW_FILE) {
			rc = store_segment_continue(s, g);
		}
		c->files[i].fd = g->fd;
		note_what_is_synced(g);
	}
	if (rc == 0) {
		take_dirs(c);
	}
	submit(c, COMMIT_REPAIRING, rc);
}

void commit_repair(struct commit *c)
{
	int rc;

	assert(c->state == COMMIT_FAILED);
	free(c->files);
	free(c->dirs);
	buf_clear(&c->log);
	c->n_dirs = 0;
	c->files = calloc(c->n_segments + 1, sizeof *c->files);
	c->dirs = calloc(2 * c->n_segments + 1, sizeof *c->dirs);
	rc = c->files == NULL || c->dirs == NULL ? UV_ENOMEM : commit_log_prepare(c);
	for (size_t i = 0; rc == 0 && i < c->n_segments; i++) {
		c->files[i].fd = -1;
	}
	submit(c, COMMIT_RELOGGING, rc);
}
