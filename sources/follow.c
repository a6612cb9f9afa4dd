#include <assert.h>
#include <errno.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

enum { NS_PER_MS = 1000000 };

static int make_id(struct file *f)
{
	struct stream *s = f->s;
	int rc = sys_random(f->tail->sys, s->st.id.b, sizeof s->st.id.b);

	if (rc != 0) {
		tail_trouble(f->tail, f->path, rc,
			     "no random bytes for a stream's id, trying again");
		return rc;
	}
	s->has_id = true;
	s->st.born_ns = sys_wall_ns(f->tail->sys);
	return 0;
}

/* The stream gets its id with the first bytes that are handed on. */
static int open_stream(struct file *f)
{
	struct tail *t = f->tail;
	int rc = f->s->has_id ? 0 : make_id(f);

	if (rc == 0 && !f->opened) {
		f->opened = true;
		t->stats.forks += f->s->st.fork;
		t->cb.opened(t->arg, f->s);
	}
	return rc;
}

void follow_begin(struct file *f)
{
	f->state = FILE_READING;
	f->turn_ns = sys_mono_ns(f->tail->sys);
	f->ready = true;
	f->partial = 0;
	/* A stream that begins inside a file has to be known by its id at once:
	 * nothing else says later that it does not begin at 0. */
	if (f->s->has_id || f->s->st.start > 0) {
		if (open_stream(f) != 0) {
			f->paused = true;
		}
	}
	tail_wake(f->tail);
}

static void hand_on(struct file *f, struct slice data, unsigned flags)
{
	struct tail *t = f->tail;
	struct stream *s = f->s;
	size_t taken;

	if (open_stream(f) != 0) {
		f->paused = true;
		return;
	}
	stream_note_first(s, data);
	stream_begin_chunk(s, data);
	taken = t->cb.chunk(t->arg, s, data, flags);
	assert(taken <= data.n);
	stream_end_chunk(s, taken);
	assert(s->lines.position == s->position);
	t->stats.bytes += taken;
	f->full = taken < data.n || ((flags & TAIL_FINAL) != 0 &&
				     s->lines.record_start != s->position);
}

/* What was handed on is not what stands in the file any more. */
static void rewritten(struct file *f)
{
	if (f->s->lines.record_start != f->s->position) {
		/* A skip record is under way: it ends here. */
		hand_on(f, SLICE_NONE, TAIL_FINAL);
		if (f->full || f->paused) {
			return; /* Again when there is room. */
		}
	}
	log_info("a log file was truncated or rewritten in place",
		 "path=%s position=%llu", f->path,
		 (unsigned long long)f->s->position);
	search_add(f->tail, f->path, f->good_mtime_ns);
	file_park(f, TAIL_TRUNCATED);
	f->good_mtime_ns = f->mtime_ns;
	f->ready = true;
	f->shrunk = false;
	f->idle_polls = 0;
	f->polls = 0;
}

/* A long line's last bytes may be those of another one. */
static bool has_head(const struct file *f)
{
	return f->s->n_head > 0 && f->packed == CONTENT_PLAIN;
}

/* How far before the position a read begins: with the line's first bytes, if they are
 * near, or else with the last ones. */
static size_t read_back(const struct file *f)
{
	const struct stream *s = f->s;

	return has_head(f) && s->position - s->head_at <= TAIL_BACK
		       ? (size_t)(s->position - s->head_at)
		       : s->n_last;
}

/* back: of the bytes in tail.buf so many stand before the position. */
static bool head_is_there(struct file *f, size_t back)
{
	const struct stream *s = f->s;
	char bytes[STREAM_LAST];
	int64_t got;

	if (!has_head(f)) {
		return true;
	}
	if (s->head_at == s->position - back) {
		return stream_head_is(s, f->tail->buf);
	}
	got = file_pread(f, bytes, s->n_head, s->head_at);
	return got < 0 || ((size_t)got == s->n_head && stream_head_is(s, bytes));
}

/* A stream that begins again at 0 was proved by what the file held then, and has no bytes
 * before its position by which to see that this was rewritten since. */
static bool first_is_there(const struct file *f, struct slice data)
{
	const struct stream *s = f->s;

	return s->position > 0 || s->st.first.position > f->tail->buf_room - TAIL_BACK ||
	       stream_first_is(s, data);
}

/* One read at the position, with the last bytes before it.  Returns the new
 * bytes, or SLICE_NONE with *ok false: an error, or not this stream's file any
 * more. */
static struct slice read_on(struct file *f, bool *ok)
{
	struct tail *t = f->tail;
	struct stream *s = f->s;
	size_t back = read_back(f), room = t->buf_room - TAIL_BACK + back, n = 0;
	uint64_t from = s->position - back;
	int64_t got;

	*ok = false;
	if (f->shrunk) {
		rewritten(f);
		return SLICE_NONE;
	}
	do {
		got = file_pread(f, t->buf + n, room - n, from + n);
		if (got == UV_EAGAIN) {
			return SLICE_NONE; /* Ready still. */
		}
		if (got < 0) {
			tail_trouble(t, f->path, (int)got,
				     "cannot read a log file, trying again");
			f->paused = true;
			return SLICE_NONE;
		}
		n += (size_t)got;
		/* Again only if the file was known to hold more. */
	} while (got > 0 && n < room && from + n < f->size);
	if (n < back || !stream_last_is(s, t->buf + back - s->n_last) ||
	    (got == 0 && from + n < f->size) || n - back < f->n_peek ||
	    memcmp(t->buf + back, f->peek, f->n_peek) != 0 ||
	    !head_is_there(f, back) ||
	    !first_is_there(f, slice(t->buf + back, n - back))) {
		/* Other bytes, or fewer than there were. */
		explicit_bzero(t->buf, n);
		rewritten(f);
		return SLICE_NONE;
	}
	*ok = true;
	if (!f->gone && f->in_glob) {
		f->good_mtime_ns = f->mtime_ns;
	}
	tail_trouble_over(t, f->path);
	return slice(t->buf + back, n - back);
}

/* What was read holds secrets; redacted is only what was made of it. */
static void forget_bytes(struct tail *t, struct slice data)
{
	explicit_bzero(t->buf, (size_t)(data.p - t->buf) + data.n);
}

void follow_check(struct file *f)
{
	bool ok;
	struct slice data = read_on(f, &ok);

	if (ok) {
		forget_bytes(f->tail, data);
	}
}

/* The next stage is full, and the file has grown: whether what comes next is what came
 * next before. */
static bool peek_is_there(struct file *f)
{
	char bytes[STREAM_LAST];
	int64_t got;
	bool same;

	if (f->n_peek == 0) {
		return true;
	}
	got = file_pread(f, bytes, f->n_peek, f->s->position);
	same = got < 0 || ((size_t)got == f->n_peek &&
			   memcmp(bytes, f->peek, f->n_peek) == 0);
	explicit_bzero(bytes, sizeof bytes);
	return same;
}

/* rest: what was read and not taken. */
static void keep_peek(struct file *f, struct slice rest)
{
	explicit_bzero(f->peek, sizeof f->peek);
	f->n_peek = rest.n < sizeof f->peek ? rest.n : sizeof f->peek;
	if (f->n_peek > 0) {
		memcpy(f->peek, rest.p, f->n_peek);
	}
}

static void read_burst(struct file *f)
{
	struct tail *t = f->tail;
	bool ok;
	struct slice data = read_on(f, &ok);
	size_t whole;
	uint64_t from;

	if (!ok) {
		return;
	}
	from = f->s->position;
	whole = lines_ready(&f->s->lines, data);
	if (f->s->position + data.n > f->size) {
		f->size = f->s->position + data.n;
		f->idle_since_ns = sys_mono_ns(t->sys);
		f->idle_polls = 0;
	}
	if (whole > 0) {
		hand_on(f, slice_head(data, whole), 0);
	}
	keep_peek(f, slice_skip(data, (size_t)(f->s->position - from)));
	forget_bytes(t, data);
	if (f->full || f->paused) {
		return;
	}
	f->partial = data.n - whole;
	/* A short read has seen the end: what comes later brings an event, or
	 * the next poll finds it. */
	if (data.n + TAIL_BACK < t->buf_room || whole == 0) {
		f->ready = false;
	}
}

/* The file has been quiet: what stands at its end without a newline is a
 * record, as is a skip record under way. */
static void read_rest(struct file *f)
{
	uint64_t expected = f->partial;
	bool ok;
	struct slice data = read_on(f, &ok);

	if (!ok) {
		return;
	}
	if (data.n != expected) {
		forget_bytes(f->tail, data);
		f->ready = true; /* It has just grown. */
		tail_wake(f->tail);
		return;
	}
	hand_on(f, data, TAIL_FINAL);
	forget_bytes(f->tail, data);
	if (!f->full && !f->paused) {
		f->partial = 0;
		keep_peek(f, SLICE_NONE);
	}
}

/* A file without a stream: it may have got its first bytes. */
static void look_at_new(struct file *f)
{
	struct sys_stat st;
	int rc = sys_fstat(f->tail->sys, f->fd, &st);

	if (rc != 0) {
		tail_trouble(f->tail, f->path, rc,
			     "cannot look at a log file, trying again");
		f->paused = true;
		return;
	}
	f->ready = false;
	if (st.size != file_disk_size(f)) {
		f->idle_polls = 0;
		f->idle_since_ns = sys_mono_ns(f->tail->sys);
	}
	if (st.mtime_ns != f->mtime_ns && f->in_glob) {
		/* Perhaps not its first bytes: those may have been copied away
		 * and cut meanwhile. */
		search_add(f->tail, f->path, f->good_mtime_ns);
	}
	if (f->packed != CONTENT_PLAIN) {
		packed_changed(f, &st);
	} else {
		f->size = st.size;
		f->mtime_ns = st.mtime_ns;
	}
	f->good_mtime_ns = f->gone ? f->good_mtime_ns : st.mtime_ns;
	if (st.size > 0 && f->packed != CONTENT_PLAIN && !f->unpacked) {
		packed_begin(f);
	} else if (f->size > 0) {
		identify_begin(f);
	}
}

void follow_step(struct file *f)
{
	if (f->state == FILE_READING) {
		read_burst(f);
	} else if (f->state == FILE_NEW) {
		look_at_new(f);
	} else {
		f->ready = false;
	}
}

static int64_t idle_ms(const struct file *f)
{
	return (sys_mono_ns(f->tail->sys) - f->idle_since_ns) / NS_PER_MS;
}

/* Whether nothing more is to be expected of a file whose name is gone. */
static bool at_rest(const struct file *f)
{
	if (f->packed != CONTENT_PLAIN) {
		return packed_done(f);
	}
	if ((!f->gone && f->in_glob) || f->ready || f->full || f->paused) {
		return false;
	}
	if (f->nlink == 0 ? f->idle_polls < TAIL_DELETED_POLLS
			  : idle_ms(f) < TAIL_LINGER_MS) {
		return false;
	}
	if (f->state == FILE_NEW) {
		return f->size == 0;
	}
	/* Until all is acknowledged it may have to be read again. */
	return f->state == FILE_READING && f->partial == 0 &&
	       f->s->position == f->size &&
	       f->s->lines.record_start == f->s->position &&
	       f->s->st.acked >= f->s->position;
}

static bool has_rest(const struct file *f)
{
	return f->state == FILE_READING && !f->ready && !f->full &&
	       !f->paused &&
	       (f->partial > 0 || f->s->lines.record_start != f->s->position) &&
	       idle_ms(f) >= (int64_t)f->tail->timeout_ms;
}

/* The server has deleted it, or has come back as another: this descriptor gives nothing
 * any more.  By its name, or among its siblings, it may be found again. */
static void stale(struct file *f)
{
	struct tail *t = f->tail;

	log_warn("the server of a log file does not know it any more; looking for it again",
		 "path=%s", f->path);
	if (f->s != NULL) {
		file_park(f, TAIL_EVICTED);
	}
	file_free(f);
	tail_want_scan(t);
}

void follow_poll(struct file *f)
{
	struct sys_stat st;
	int rc;

	f->paused = false;
	f->polls++;
	if (f->fd < 0) {
		return;
	}
	rc = sys_fstat(f->tail->sys, f->fd, &st);
	if (rc == -ESTALE) {
		stale(f);
		return;
	}
	if (rc != 0) {
		tail_trouble(f->tail, f->path, rc,
			     "cannot look at a log file, trying again");
		return;
	}
	f->nlink = st.nlink;
	if (f->packed != CONTENT_PLAIN) {
		packed_changed(f, &st);
		st.size = f->size;
		f->idle_polls++;
	} else if (f->state == FILE_READING && st.size < f->size) {
		f->shrunk = true;
		f->size = st.size;
		rewritten(f);
	}
	if (f->state == FILE_NEW) {
		f->idle_polls++; /* look_at_new() sets it back. */
		f->ready = true;
	} else if (st.size != f->size || st.mtime_ns != f->mtime_ns) {
		if (st.size != f->size) {
			f->idle_polls = 0;
			f->idle_since_ns = sys_mono_ns(f->tail->sys);
		}
		f->size = st.size;
		f->mtime_ns = st.mtime_ns;
		f->ready = true;
		if (f->state == FILE_READING && f->full && !peek_is_there(f)) {
			rewritten(f);
		}
	} else {
		f->idle_polls++;
	}
	if (has_rest(f)) {
		read_rest(f);
	}
	if (at_rest(f)) {
		if (f->s != NULL) {
			file_park(f, TAIL_ROTATED);
		}
		file_free(f);
	}
}
