/* Compressed log files.  One counts when it was decoded to its end and its trailer is
 * right: until then it is being written, or damaged.  Then it is a file like any other,
 * but that it doesn't grow. */
#include <string.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "sources/tail_impl.h"

enum { NS_PER_MS = 1000000 };

void packed_changed(struct file *f, const struct sys_stat *st)
{
	if (st->size == f->packed_size && st->mtime_ns == f->mtime_ns) {
		return;
	}
	if (f->state == FILE_READING) {
		file_park(f, TAIL_TRUNCATED);
	} else if (f->state != FILE_NEW) {
		identify_forget(f->tail, f);
		identify_again(f);
	}
	content_close(f->content);
	f->content = NULL;
	f->unpacked = false;
	f->size = 0;
	f->packed_size = st->size;
	f->mtime_ns = st->mtime_ns;
	f->ready = true;
}

void packed_begin(struct file *f)
{
	f->state = FILE_UNPACKING;
	f->size = 0;
	tail_wake(f->tail);
}

/* Nothing is to be had from it as it is: left alone until it changes. */
static void put_aside(struct file *f)
{
	if (!f->in_glob) {
		file_free(f);
		return;
	}
	memset(&f->copy_of, 0, sizeof f->copy_of);
	file_skip(f);
}

/* However it changes, what was found out once costs no more for a while; and whoever can
 * make one can make many, which are told once. */
static void put_bomb_aside(struct file *f)
{
	static const char detail[] = "a compressed log file holds far more than its size lets "
				     "expect, and is not read";
	struct tail *t = f->tail;
	struct folder *d = f->folder;

	f->aside_until_ns = sys_mono_ns(t->sys) + (int64_t)TAIL_ASIDE_MS * NS_PER_MS;
	if (!d->told_large && t->cb.blind != NULL) {
		d->told_large = true;
		t->cb.blind(t->arg, slice_str(d->path), slice_str(detail));
	}
	/* Also beside the globs: a search would decode it again and again. */
	memset(&f->copy_of, 0, sizeof f->copy_of);
	file_skip(f);
}

static const char *why(int rc)
{
	switch (rc) {
	case ERR_TOO_LARGE:
		return "a compressed log file holds far more than its size lets expect, "
		       "skipping it (unpack it where it lies, if it is right)";
	case UV_ENOTSUP:
		return "cannot read this kind of compressed log file, skipping it "
		       "(this build knows gzip, zstd and, with liblzma, xz)";
	case ERR_LIMIT:
		return "a compressed log file needs more memory than the agent "
		       "gives it, skipping it (compress with a smaller window)";
	default:
		return "a compressed log file is damaged, or still being written";
	}
}

void packed_step(struct file *f)
{
	struct tail *t = f->tail;
	int64_t got = file_pread(f, t->buf, LIMIT_CHUNK, f->size);

	if (got == UV_EAGAIN) {
		return;
	}
	if (got > 0) {
		explicit_bzero(t->buf, (size_t)got);
		f->size += (uint64_t)got;
		return;
	}
	if (got == 0 && f->size == 0) {
		put_aside(f);
		return;
	}
	if (got == 0) {
		tail_trouble_over(t, f->path);
		f->unpacked = true;
		f->state = FILE_NEW;
		f->ready = true;
		return;
	}
	if (got != UV_ENOTSUP && got > ERR_FULL) {
		/* The system's error, not the file's fault. */
		tail_trouble(t, f->path, (int)got,
			     "cannot read a log file, trying again");
		f->state = FILE_NEW;
		f->paused = true;
		return;
	}
	if (got != ERR_TRUNCATED || !file_is_fresh(f, TAIL_YOUNG_NS)) {
		tail_trouble(t, f->path, (int)got, why((int)got));
	}
	search_again_for(t, f);
	if (got == ERR_TOO_LARGE) {
		put_bomb_aside(f);
	} else {
		put_aside(f);
	}
}

bool packed_done(const struct file *f)
{
	const struct stream *s = f->s;

	return f->state == FILE_READING && !f->ready && !f->full && !f->paused &&
	       f->partial == 0 && s->position == f->size &&
	       s->lines.record_start == s->position &&
	       s->st.acked >= s->position;
}
