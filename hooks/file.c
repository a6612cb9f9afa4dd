/* An alert becomes a line of a file.
 *
 * A line is one write at the end.  Where that fails or is cut short (disk full, no
 * rights, folder gone), the alert stays in the queue and is tried again, after 1 s
 * at first and 60 s at most; half a line is cut off again, or, where that is not
 * possible, ended by a newline before the next.  A file that was renamed or removed
 * is left for a new one of its name, so that logrotate needs no signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/log.h"
#include "hooks/hook.h"

enum { RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 60000 };

static void file_close(struct hook *k)
{
	if (k->file.fd >= 0) {
		sys_close(k->hooks->sys, k->file.fd);
		k->file.fd = -1;
	}
}

static bool is_current(const struct hook *k)
{
	struct sys_stat st;

	return k->file.fd >= 0 &&
	       sys_stat(k->hooks->sys, k->options->path, &st) == 0 &&
	       st.dev == k->file.dev && st.ino == k->file.ino;
}

/* Whether what is there ends in the middle of a line. */
static int look_at_end(struct hook *k, const struct sys_stat *st)
{
	char last = '\n';
	int rc = 0;

	if (st->size > 0) {
		rc = sys_pread_all(k->hooks->sys, k->file.fd, &last, 1, st->size - 1);
	}
	k->file.torn = last != '\n';
	return rc;
}

/* Not blocking: opening a pipe that nobody reads must not stop the daemon. */
static int file_open(struct hook *k)
{
	struct sys *s = k->hooks->sys;
	struct sys_stat st;
	int rc;

	file_close(k);
	rc = sys_open(s, k->options->path,
		      O_RDWR | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0640);
	if (rc < 0) {
		return rc;
	}
	k->file.fd = rc;
	rc = sys_fstat(s, k->file.fd, &st);
	if (rc == 0 && !S_ISREG(st.mode)) {
		rc = UV_EINVAL;
	}
	rc = rc != 0 ? rc : look_at_end(k, &st);
	if (rc != 0) {
		file_close(k);
		return rc;
	}
	k->file.dev = st.dev;
	k->file.ino = st.ino;
	return 0;
}

/* What was written of a line is cut off again, if nobody else wrote meanwhile. */
static void undo(struct hook *k, uint64_t size, size_t written)
{
	struct sys_stat st;

	if (written == 0) {
		return;
	}
	k->file.torn = true;
	if (sys_fstat(k->hooks->sys, k->file.fd, &st) == 0 &&
	    st.size == size + written &&
	    sys_ftruncate(k->hooks->sys, k->file.fd, size) == 0) {
		k->file.torn = false;
	}
}

/* The kernel writes at the end whatever the offset, since the file was opened with
 * O_APPEND (pwrite(2), BUGS). */
static int append(struct hook *k, const char *p, size_t n)
{
	struct sys_stat st;
	int64_t done;
	int rc = sys_fstat(k->hooks->sys, k->file.fd, &st);

	if (rc != 0) {
		return rc;
	}
	done = sys_pwrite(k->hooks->sys, k->file.fd, p, n, st.size);
	if (done == (int64_t)n) {
		return 0;
	}
	undo(k, st.size, done > 0 ? (size_t)done : 0);
	return done < 0 ? (int)done : UV_ENOSPC;
}

static int write_first(struct hook *k)
{
	int rc = is_current(k) ? 0 : file_open(k);

	if (rc == 0 && k->file.torn) {
		rc = append(k, "\n", 1);
		k->file.torn = rc != 0;
	}
	return rc != 0 ? rc : append(k, k->first->line, k->first->n);
}

static void retry_later(struct hook *k, int rc)
{
	struct file_hook *f = &k->file;

	if (!f->failing) {
		f->failing = true;
		f->retry_ms = RETRY_FIRST_MS;
		k->failed++;
		log_error("cannot write an alert to the file of a hook; it waits and is "
			  "tried again",
			  "hook=%s path=%s error=\"%s\"", k->options->name,
			  k->options->path,
			  rc == UV_EINVAL ? "not a regular file" : err_str(rc));
	}
	sys_timer_set(k->hooks->sys, f->timer, f->retry_ms);
	f->retry_ms = f->retry_ms * 2 < RETRY_MAX_MS ? f->retry_ms * 2 : RETRY_MAX_MS;
}

static void drain(struct hook *k)
{
	while (k->first != NULL) {
		int rc = write_first(k);

		if (rc != 0) {
			retry_later(k, rc);
			return;
		}
		k->delivered++;
		hook_pop(k);
	}
	if (k->file.failing) {
		k->file.failing = false;
		log_info("the file of a hook can be written again", "hook=%s path=%s",
			 k->options->name, k->options->path);
	}
}

static void on_retry(void *arg)
{
	struct hook *k = arg;

	drain(k);
	hooks_check_end(k->hooks);
}

void file_pump(struct hook *k)
{
	/* While it fails, the timer decides when to try. */
	if (!k->file.failing) {
		drain(k);
	}
}

int file_init(struct hook *k)
{
	return sys_timer_new(k->hooks->sys, &k->file.timer, on_retry, k);
}

void file_fini(struct hook *k)
{
	file_close(k);
	sys_timer_free(k->hooks->sys, k->file.timer);
	k->file.timer = NULL;
}
