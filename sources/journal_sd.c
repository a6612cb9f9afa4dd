/* libsystemd's reader of journal files (systemd 252: sd_journal_open_files_fd() and so
 * on), behind sources/journal.h.  Cursors: sd_journal_get_cursor(3).
 *
 * The library maps the files.  One that is cut off while it is read costs that reader
 * and not the process (sources/guard.h): from then on each call is an error, as with
 * any other damage.  So no pointer into a mapping leaves this file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/limits.h"
#include "sources/guard.h"
#include "sources/journal.h"

enum { DATA_MAX = LIMIT_LINE_MAX + 256 };

struct journal_reader {
	sd_journal *j;
	char *cursor;
	struct buf field; /* that was asked for last */
	int fd; /* a copy, which belongs to j or not */
	struct stat st;
	bool cut; /* a part of it is not there any more */
};

/* After calls of the library: theirs, or that the file was cut. */
static int leave(struct journal_reader *r, int rc)
{
	r->cut = guard_leave() || r->cut;
	return r->cut ? UV_EIO : rc;
}

/* Whether sd_journal_open_files_fd() takes the descriptor over is not documented and has
 * changed between versions.  Nobody else here opens this file: if the number still
 * stands for it, it is still ours. */
static void close_copy(const struct journal_reader *r)
{
	struct stat st;

	if (fstat(r->fd, &st) == 0 && st.st_dev == r->st.st_dev &&
	    st.st_ino == r->st.st_ino) {
		close(r->fd);
	}
}

static int sd_open(struct journal_reader **out, int fd)
{
	struct journal_reader *r;
	int rc = guard_install();

	*out = NULL;
	if (rc != 0) {
		return rc;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		return UV_ENOMEM;
	}
	buf_init(&r->field, DATA_MAX);
	r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (r->fd < 0 || fstat(r->fd, &r->st) != 0) {
		rc = -errno;
		if (r->fd >= 0) {
			close(r->fd);
		}
		free(r);
		return rc;
	}
	guard_enter();
	rc = sd_journal_open_files_fd(&r->j, &r->fd, 1, 0);
	if (leave(r, rc) < 0) {
		sd_journal_close(rc < 0 ? NULL : r->j);
		close_copy(r);
		free(r);
		return rc < 0 ? rc : UV_EIO;
	}
	sd_journal_set_data_threshold(r->j, DATA_MAX);
	*out = r;
	return 0;
}

static void sd_close(struct journal_reader *r)
{
	guard_enter();
	sd_journal_close(r->j);
	guard_leave();
	close_copy(r);
	free(r->cursor);
	buf_wipe(&r->field);
	free(r);
}

static int sd_seek(struct journal_reader *r, const uint8_t seqnum_id[static 16],
		   uint64_t number)
{
	char cursor[64] = "s=";
	int rc;

	for (size_t i = 0; i < 16; i++) {
		snprintf(cursor + 2 + i * 2, 3, "%02x", seqnum_id[i]);
	}
	snprintf(cursor + 34, sizeof cursor - 34, ";i=%llx", (unsigned long long)number);
	guard_enter();
	rc = sd_journal_seek_cursor(r->j, cursor);
	return leave(r, rc < 0 ? rc : 0);
}

static int sd_next(struct journal_reader *r)
{
	int rc;

	guard_enter();
	rc = sd_journal_next(r->j);
	return leave(r, rc > 0 ? 1 : rc);
}

static int sd_entry(struct journal_reader *r, struct journal_entry *out)
{
	uint64_t us = 0;
	const char *i;
	char *end;
	int rc;

	free(r->cursor);
	r->cursor = NULL;
	guard_enter();
	rc = sd_journal_get_cursor(r->j, &r->cursor);
	if (rc < 0) {
		r->cursor = NULL;
	} else {
		rc = sd_journal_get_realtime_usec(r->j, &us);
	}
	rc = leave(r, rc);
	if (rc < 0) {
		return rc;
	}
	i = strstr(r->cursor, ";i=");
	if (i == NULL) {
		return UV_EINVAL;
	}
	out->number = strtoull(i + 3, &end, 16);
	if (end == i + 3 || *end != ';') {
		return UV_EINVAL;
	}
	out->realtime_us = us < INT64_MAX / 1000 ? (int64_t)us : INT64_MAX / 1000;
	out->cursor = slice_str(r->cursor);
	return 0;
}

static int sd_field(struct journal_reader *r, const char *name, struct slice *value)
{
	const void *p;
	size_t n, skip = strlen(name) + 1;
	int rc;

	guard_enter();
	rc = sd_journal_get_data(r->j, name, &p, &n);
	if (rc >= 0) {
		buf_clear(&r->field);
		rc = n < skip ? UV_EINVAL
			      : buf_add(&r->field, (const char *)p + skip,
					n - skip < DATA_MAX ? n - skip : DATA_MAX);
	}
	rc = leave(r, rc);
	if (rc < 0) {
		return rc == -ENOENT ? UV_ENOENT : rc;
	}
	*value = buf_slice(&r->field);
	return 0;
}

static const struct journal_calls calls = {
	.open = sd_open,
	.close = sd_close,
	.seek = sd_seek,
	.next = sd_next,
	.entry = sd_entry,
	.field = sd_field,
};

const struct journal_calls *journal_calls(void)
{
	return &calls;
}
