#include <assert.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

struct file *file_find(const struct tail *t, uint64_t dev, uint64_t ino)
{
	struct file *f = t->files_by_ino[tail_ino_chain(dev, ino)];

	while (f != NULL && (f->ino != ino || f->dev != dev)) {
		f = f->next_by_ino;
	}
	return f;
}

static void chain(struct file *f)
{
	struct file **at = &f->tail->files_by_ino[tail_ino_chain(f->dev, f->ino)];

	f->next_by_ino = *at;
	*at = f;
}

static void unchain(const struct file *f)
{
	struct file **at = &f->tail->files_by_ino[tail_ino_chain(f->dev, f->ino)];

	while (*at != f) {
		at = &(*at)->next_by_ino;
	}
	*at = f->next_by_ino;
}

struct file *file_of(const struct tail *t, const struct stream_id *id)
{
	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		if ((f->s != NULL && f->s->has_id &&
		     stream_id_eq(&f->s->st.id, id)) ||
		    (f->resume != NULL && stream_id_eq(&f->resume->st.id, id))) {
			return f;
		}
	}
	return NULL;
}

static int grow(struct tail *t)
{
	size_t room = t->room_files == 0 ? 16 : 2 * t->room_files;
	struct file **files;

	if (t->n_files < t->room_files) {
		return 0;
	}
	files = realloc(t->files, room * sizeof files[0]);
	if (files == NULL) {
		return UV_ENOMEM;
	}
	t->files = files;
	t->room_files = room;
	return 0;
}

int file_add(struct tail *t, const char *path, int fd,
	     const struct sys_stat *st, struct file **out)
{
	struct file *f = NULL;
	struct folder *folder = folder_of(t, path);
	int rc = folder == NULL ? UV_ENOMEM : grow(t);

	*out = NULL;
	if (rc == 0) {
		f = calloc(1, sizeof *f);
		rc = f == NULL ? UV_ENOMEM : file_set_path(f, path);
	}
	if (rc != 0) {
		free(f);
		sys_close(t->sys, fd);
		return rc;
	}
	f->folder = folder;
	folder->n_files++;
	folder->n_open++;
	f->tail = t;
	f->state = FILE_NEW;
	f->fd = fd;
	f->packed = content_kind_of(path, t->sys, fd);
	f->packed_size = st->size;
	f->dev = st->dev;
	f->ino = st->ino;
	f->nlink = st->nlink;
	f->size = f->packed != CONTENT_PLAIN ? 0 : st->size;
	f->mtime_ns = st->mtime_ns;
	f->good_mtime_ns = st->mtime_ns;
	f->idle_since_ns = f->turn_ns = sys_mono_ns(t->sys);
	f->ready = true;
	t->files[t->n_files++] = f;
	chain(f);
	t->n_open++;
	*out = f;
	return 0;
}

void file_close(struct file *f)
{
	content_close(f->content);
	f->content = NULL;
	if (f->fd >= 0) {
		sys_close(f->tail->sys, f->fd); /* Was only read from. */
		f->fd = -1;
		f->tail->n_open--;
		f->folder->n_open--;
	}
}

void file_free(struct file *f)
{
	struct tail *t = f->tail;

	identify_forget(t, f);
	if (f->state == FILE_SKIPPED) {
		t->n_skipped--;
		f->folder->oldest_known = false;
	}
	file_close(f);
	file_drop_stream(f);
	if (f->resume != NULL) {
		known_put(t, f->resume);
	}
	known_free(f->reserve);
	unchain(f);
	f->folder->n_files--;
	for (size_t i = 0; i < t->n_files; i++) {
		if (t->files[i] == f) {
			t->files[i] = t->files[--t->n_files];
			break;
		}
	}
	free(f->path);
	free(f->family);
	free(f);
}

int64_t file_pread(void *file, void *buf, size_t n, uint64_t offset)
{
	struct file *f = file;
	int rc;

	if (f->packed == CONTENT_PLAIN) {
		return sys_pread(f->tail->sys, f->fd, buf, n, offset);
	}
	if (f->content == NULL) {
		rc = content_open(&f->content, f->tail->sys, f->fd, f->packed,
				 f->tail->buf_room);
		if (rc != 0) {
			return rc;
		}
	}
	return content_pread(f->content, buf, n, offset);
}

int file_set_path(struct file *f, const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL) {
		return UV_ENOMEM;
	}
	free(f->path);
	f->path = copy;
	f->path_hash = tail_path_hash(path);
	return 0;
}

int file_new_stream(struct file *f)
{
	struct stream *s;

	assert(f->s == NULL);
	if (f->reserve == NULL) {
		f->reserve = calloc(1, sizeof *f->reserve);
		if (f->reserve == NULL) {
			return UV_ENOMEM;
		}
	}
	s = malloc(sizeof *s);
	if (s == NULL) {
		return UV_ENOMEM;
	}
	if (stream_init(s, f->tail->secret, f->tail->line_max) != 0) {
		free(s);
		return UV_ENOMEM;
	}
	s->source = f->source;
	s->st.fork = f->fork;
	s->st.path = strdup(f->family != NULL ? f->family : f->path);
	if (s->st.path == NULL) {
		stream_fini(s);
		free(s);
		return UV_ENOMEM;
	}
	s->st.dev = f->dev;
	s->st.ino = f->ino;
	f->s = s;
	f->opened = false;
	f->partial = 0;
	f->n_peek = 0;
	return 0;
}

void file_drop_stream(struct file *f)
{
	if (f->s != NULL) {
		stream_fini(f->s);
		free(f->s);
		f->s = NULL;
	}
	f->opened = false;
}

void file_away(struct file *f, bool away)
{
	int64_t *since = f->s != NULL	     ? &f->s->st.away_ns
			 : f->resume != NULL ? &f->resume->st.away_ns
					     : NULL;

	if (since != NULL && away != (*since != 0)) {
		*since = away ? sys_wall_ns(f->tail->sys) : 0;
	}
}

/* What the stream was, into the reserved place among the known. */
static struct known *remember(struct file *f)
{
	struct stream *s = f->s;
	struct known *k = f->reserve;

	f->reserve = NULL;
	k->st = s->st;
	s->st.path = NULL;
	k->st.position = s->position;
	stream_note_top(&k->st, s);
	k->st.size = file_disk_size(f);
	k->st.mtime_ns = f->mtime_ns;
	k->good_mtime_ns = f->good_mtime_ns;
	k->st.seen_ns = f->tail->clock_wall_ns;
	k->source = s->source;
	/* Rewound and not there again: what W and the top say is more. */
	k->live = s->position >= k->st.top.position &&
		  s->position >= k->st.acked;
	k->h_position = s->hash_at_position;
	k->ours = true;
	k->cut = false;
	memcpy(k->marks, s->marks, sizeof k->marks);
	k->n_marks = s->n_marks;
	k->present = false;
	k->seen_scan = f->gone || !f->in_glob ? 0 : f->tail->n_scans;
	k->searching = false;
	k->searches = 0;
	k->wait_polls = 0;
	return k;
}

bool file_wake_copies(struct tail *t, const struct stream_id *id)
{
	bool any = false;

	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		if (f->state == FILE_SKIPPED && stream_id_eq(&f->copy_of, id)) {
			f->mtime_ns = INT64_MIN; /* As if it had changed. */
			any = true;
		}
	}
	if (any) {
		tail_want_scan(t);
	}
	return any;
}

void file_park(struct file *f, enum tail_close why)
{
	struct tail *t = f->tail;
	struct known *k;

	identify_forget(t, f);
	f->state = FILE_NEW;
	f->full = false;
	f->partial = 0;
	f->n_peek = 0;
	f->fork = false;
	if (!f->s->has_id) {
		file_drop_stream(f);
		return;
	}
	if (f->opened && t->cb.closed != NULL) {
		t->cb.closed(t->arg, f->s, why);
	}
	k = remember(f);
	/* Of a stream that gave nothing yet, nothing can be missing. */
	k->st.finished = why == TAIL_ROTATED || why == TAIL_FORKED ||
			 (why == TAIL_TRUNCATED &&
			  k->st.position == k->st.start && k->live);
	k->present = why == TAIL_EVICTED;
	if (why == TAIL_TRUNCATED || why == TAIL_FORKED) {
		/* What the inode holds now is something else. */
		k->cut = why == TAIL_TRUNCATED;
		k->st.away_ns = 0;
		k->st.dev = 0;
		k->st.ino = 0;
		k->seen_scan = 0;
	}
	if (why == TAIL_FORKED) {
		k->live = false;
		k->st.gap_told = true;
		k->st.position = k->st.acked;
		k->st.top.position = 0;
	}
	file_drop_stream(f);
	known_put(t, k);
	if (!k->st.finished) {
		file_wake_copies(t, &k->st.id);
	}
}

void file_skip(struct file *f)
{
	f->state = FILE_SKIPPED;
	file_close(f);
	room_skipped(f);
}
