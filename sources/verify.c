/* Whether a stream's file holds what somebody says of it: H over its beginning, a step at
 * a time, from the file itself, however much of it was handed on.
 *
 * One whose file is closed by now (rotated, and read to its end) is opened once more: by
 * its inode, under the name where it was last seen or a related one.  Another file has an
 * inode soon, and a log is cut and written again: so H at a place that this end has read
 * has to be right as well, or nothing is known. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "common/err.h"
#include "common/limits.h"
#include "sources/identify_impl.h"

enum { NS_PER_MS = 1000000 };

struct hunt {
	struct tail *tail;
	const struct known *k;
	char dir[PATH_MAX]; /* with its slash */
	int fd;
};

/* What can't be said now may be said later. */
static int not_now(int rc)
{
	return rc == UV_ENOENT || rc == UV_EACCES || rc == UV_EPERM ? UV_ENOENT
								    : ERR_AGAIN;
}

static int open_if_its(struct tail *t, const struct known *k, const char *path)
{
	struct sys_stat st;
	int fd, rc = sys_stat(t->sys, path, &st);

	if (rc != 0) {
		return not_now(rc);
	}
	if (st.ino != k->st.ino || st.dev != k->st.dev ||
	    content_kind_of_name(path) != CONTENT_PLAIN) {
		return UV_ENOENT;
	}
	fd = sys_open_log(t->sys, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0) {
		return not_now(fd);
	}
	rc = sys_fstat(t->sys, fd, &st);
	if (rc != 0 || !S_ISREG(st.mode) || st.ino != k->st.ino || st.dev != k->st.dev) {
		sys_close(t->sys, fd);
		return rc != 0 ? not_now(rc) : UV_ENOENT;
	}
	return fd;
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct hunt *h = arg;
	char path[PATH_MAX];
	int fd;

	if (is_dir || h->fd >= 0 || !names_related(name, h->k->st.path) ||
	    snprintf(path, sizeof path, "%s%s", h->dir, name) >= (int)sizeof path) {
		return 0;
	}
	fd = open_if_its(h->tail, h->k, path);
	h->fd = fd != UV_ENOENT ? fd : h->fd;
	return 0;
}

static int open_closed(struct tail *t, const struct known *k)
{
	struct hunt h = {.tail = t, .k = k, .fd = UV_ENOENT};
	char listed[PATH_MAX];
	size_t n;
	int rc;

	if (k->st.path == NULL || k->st.ino == 0 || scan_source_of(t, k->st.path) < 0) {
		return UV_ENOENT;
	}
	h.fd = open_if_its(t, k, k->st.path);
	n = (size_t)(names_base(k->st.path) - k->st.path);
	if (h.fd >= 0 || n == 0 || n >= sizeof h.dir) {
		return h.fd;
	}
	memcpy(h.dir, k->st.path, n);
	h.dir[n] = '\0';
	memcpy(listed, h.dir, n + 1);
	listed[n > 1 ? n - 1 : n] = '\0';
	rc = sys_list(t->sys, listed, on_entry, &h);
	return h.fd < 0 && rc != 0 ? not_now(rc) : h.fd;
}

/* A place of the stream that was read here; 0: none. */
static struct stream_rung own_place(const struct known *k)
{
	struct stream_rung own = {k->st.acked, k->st.h};

	if (k->live) {
		own = (struct stream_rung){k->st.position, k->h_position};
	} else if (k->st.top.position > own.position) {
		own = k->st.top;
	}
	return own;
}

/* Its file was not looked for among the rotated ones yet. */
static int unless_sought(const struct known *k, int rc)
{
	return rc == UV_ENOENT && k != NULL && !known_done(k) && k->searches == 0
		       ? ERR_AGAIN
		       : rc;
}

static int ask_closed(struct tail *t, const struct known *k, struct question *q)
{
	struct sys_stat st;

	q->own = own_place(k);
	q->fd = q->own.position == 0 ? UV_ENOENT : open_closed(t, k);
	if (q->fd < 0) {
		return unless_sought(k, q->fd);
	}
	if (sys_fstat(t->sys, q->fd, &st) != 0 || st.size < q->own.position) {
		sys_close(t->sys, q->fd);
		return unless_sought(k, UV_ENOENT);
	}
	q->shorter = st.size < q->position;
	return 0;
}

int tail_verify(struct tail *t, const struct stream_id *id, uint64_t position,
		uint64_t h)
{
	struct question q = {.id = *id, .position = position, .h = h, .fd = -1,
			     .asked_ns = sys_mono_ns(t->sys)};
	struct file *f = file_of(t, id);
	struct known *k = known_find(t, id);
	int rc = 0;

	if (f == NULL && k == NULL) {
		return UV_ENOENT;
	}
	if (t->n_verify == TAIL_MAX_VERIFY) {
		return ERR_LIMIT;
	}
	if (f == NULL) {
		rc = ask_closed(t, k, &q);
	} else if (f->s == NULL) {
		rc = ERR_AGAIN; /* About to be read. */
	}
	if (rc == 0) {
		t->verify[t->n_verify++] = q;
		tail_wake(t);
	}
	return rc;
}

void verify_forget_all(struct tail *t)
{
	while (t->n_verify > 0) {
		const struct question *q = &t->verify[--t->n_verify];

		if (q->fd >= 0) {
			sys_close(t->sys, q->fd);
		}
	}
}

/* ---- steps ---- */

static void answer(struct job *j, struct tail *t, int rc)
{
	struct question q = t->verify[0];

	identify_job_end(j);
	if (q.fd >= 0) {
		sys_close(t->sys, q.fd);
	}
	memmove(t->verify, t->verify + 1, --t->n_verify * sizeof q);
	if (t->cb.verified != NULL) {
		t->cb.verified(t->arg, &q.id, q.position, rc);
	}
}

/* Not equal; unless the file was cut meanwhile, and is the stream's no more. */
static void answer_no(struct job *j, struct tail *t)
{
	struct file *f = j->file;

	if (f != NULL && f->state == FILE_READING) {
		j->file = NULL;
		follow_check(f);
		answer(j, t, f->state == FILE_READING ? 0 : ERR_AGAIN);
	} else {
		answer(j, t, 0);
	}
}

bool verify_overdue(const struct tail *t)
{
	return t->n_verify > 0 && sys_mono_ns(t->sys) - t->verify[0].asked_ns >=
					  (int64_t)TAIL_ANSWER_MS * NS_PER_MS;
}

bool verify_take_up(struct tail *t)
{
	struct question *q = &t->verify[0];
	struct job *j = t->job;
	struct file *f;

	if (t->n_verify == 0) {
		return false;
	}
	f = file_of(t, &q->id);
	if ((q->fd < 0) == (f == NULL || f->s == NULL)) {
		/* Closed by now, or open again: asked anew it is another question. */
		answer(j, t, ERR_AGAIN);
		return true;
	}
	j->verify = true;
	if (q->fd < 0) {
		j->file = f;
		q->shorter = q->position > f->s->position &&
			     q->position > (f->packed == CONTENT_PLAIN
						    ? file_disk_size(f)
						    : f->size);
	}
	return true;
}

struct closed {
	struct sys *sys;
	int fd;
};

static int64_t closed_pread(void *arg, void *buf, size_t n, uint64_t offset)
{
	const struct closed *c = arg;

	return sys_pread(c->sys, c->fd, buf, n, offset);
}

static int hash_to(struct job *j, struct tail *t, uint64_t to)
{
	struct closed c = {t->sys, t->verify[0].fd};

	return c.fd < 0 ? prefix_step(&j->prefix, file_pread, j->file, to, t->buf,
				      LIMIT_CHUNK)
			: prefix_step(&j->prefix, closed_pread, &c, to, t->buf,
				      LIMIT_CHUNK);
}

/* The lower of the two that is not passed yet; 0: none. */
static uint64_t next_place(uint64_t at, uint64_t a, uint64_t b)
{
	return at < a && (at >= b || a < b) ? a : at < b ? b : 0;
}

void verify_step(struct job *j, struct tail *t)
{
	struct question *q = &t->verify[0];
	uint64_t own = q->fd < 0 ? 0 : q->own.position;
	uint64_t asked = q->shorter ? 0 : q->position;
	uint64_t to = next_place(j->prefix.at, own, asked);
	int rc = to == 0 ? 0 : hash_to(j, t, to);

	if (rc != 0) {
		answer(j, t, rc);
		return;
	}
	if (to != 0 && j->prefix.at == to) {
		if (to == own && prefix_hash(&j->prefix) != q->own.h) {
			/* Another file's by now. */
			answer(j, t, unless_sought(known_find(t, &q->id), UV_ENOENT));
			return;
		}
		q->differs |= to == asked && prefix_hash(&j->prefix) != q->h;
	}
	if (next_place(j->prefix.at, own, asked) != 0) {
		return;
	}
	if (q->shorter || q->differs) {
		answer_no(j, t);
	} else {
		answer(j, t, 1);
	}
}
