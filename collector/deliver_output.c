/* deliver_output: the cursor and the output file. */
#include <fcntl.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/deliver_priv.h"
#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

static const char cursor_magic[8] = "NJCUR\r\n\032";

/* ---- the cursor ---- */

static void cursor_path(const char *dir, char out[static STORE_PATH])
{
	snprintf(out, STORE_PATH, "%.*s/deliver.cursor", STORE_PATH - 32, dir);
}

int deliver_save(struct deliver *d, const struct cursor *k)
{
	char path[STORE_PATH];
	struct buf b;
	int rc = 0;

	if (d->output && d->out_fd >= 0) {
		rc = sys_fdatasync(d->c->sys, d->out_fd);
	}
	buf_init(&b, CURSOR_FILE);
	if (rc == 0) {
		rc = buf_reserve(&b, CURSOR_FILE);
	}
	if (rc == 0) {
		buf_add(&b, cursor_magic, sizeof cursor_magic);
		buf_add_u64(&b, k->arrival);
		buf_add_u64(&b, k->bytes);
		buf_add_u64(&b, k->dev);
		buf_add_u64(&b, k->ino);
		buf_add_u64(&b, XXH64(b.p, b.n, 0));
		cursor_path(d->c->store.own, path);
		rc = sys_replace(d->c->sys, d->c->store.own, path, b.p, b.n,
				 0600);
	}
	buf_fini(&b);
	return rc;
}

/* UV_ENOENT: there is none; ERR_DAMAGED. */
static int cursor_read(struct sys *sys, const char *dir, struct cursor *k)
{
	char path[STORE_PATH], *text;
	struct reader r;
	size_t n;
	int rc;

	*k = (struct cursor){0};
	cursor_path(dir, path);
	rc = sys_read_file(sys, path, CURSOR_FILE, &text, &n);
	if (rc != 0) {
		return rc == ERR_TOO_LARGE ? ERR_DAMAGED : rc;
	}
	r = reader(slice(text, n));
	reader_bytes(&r, sizeof cursor_magic);
	k->arrival = reader_u64(&r);
	k->bytes = reader_u64(&r);
	k->dev = reader_u64(&r);
	k->ino = reader_u64(&r);
	if (reader_u64(&r) != XXH64(text, n >= 8 ? n - 8 : 0, 0) ||
	    !reader_done(&r) ||
	    memcmp(text, cursor_magic, sizeof cursor_magic) != 0) {
		*k = (struct cursor){0};
		rc = ERR_DAMAGED;
	}
	free(text);
	return rc;
}

int deliver_given_out(struct sys *sys, const char *dir, uint64_t *arrival)
{
	struct cursor k;
	int rc = cursor_read(sys, dir, &k);

	*arrival = rc == ERR_DAMAGED ? UINT64_MAX : k.arrival;
	return rc == UV_ENOENT || rc == ERR_DAMAGED ? 0 : rc;
}

int deliver_load(struct deliver *d)
{
	int rc = cursor_read(d->c->sys, d->c->store.own, &d->cursor);

	if (rc == ERR_DAMAGED) {
		log_error("the cursor of outputs is damaged: going on from now, "
			  "records may be missing from the output file",
			  "store=%s", d->c->store.dir);
		d->cursor.arrival = d->c->store.arrival;
		rc = 0;
	}
	d->saved_arrival = d->cursor.arrival;
	return rc == UV_ENOENT ? 0 : rc;
}

/* ---- the output file ---- */

int deliver_open_output(struct deliver *d)
{
	struct sys *sys = d->c->sys;
	const char *path = d->c->options->output_file;
	struct sys_stat st;
	int rc = sys_open(sys, path, O_RDWR | O_CREAT, 0640);

	if (rc < 0) {
		return rc;
	}
	d->out_fd = rc;
	rc = sys_fstat(sys, d->out_fd, &st);
	if (rc == 0 && st.ino == d->cursor.ino && st.dev == d->cursor.dev &&
	    st.size >= d->cursor.bytes) {
		/* Ours: what was written after the cursor comes again. */
		rc = sys_ftruncate(sys, d->out_fd, d->cursor.bytes);
	} else if (rc == 0) {
		d->cursor.bytes = st.size;
	}
	if (rc != 0) {
		sys_close(sys, d->out_fd);
		d->out_fd = -1;
		return rc;
	}
	d->cursor.dev = st.dev;
	d->cursor.ino = st.ino;
	return 0;
}

/* A file that was moved away or cut under us is begun anew. */
int deliver_check_output(struct deliver *d)
{
	struct sys_stat st;
	int rc = sys_stat(d->c->sys, d->c->options->output_file, &st);

	if (d->out_fd >= 0 && rc == 0 && st.ino == d->cursor.ino &&
	    st.dev == d->cursor.dev && st.size >= d->cursor.bytes) {
		return 0;
	}
	if (d->out_fd >= 0) {
		sys_close(d->c->sys, d->out_fd);
		d->out_fd = -1;
		d->cursor.ino = 0; /* Append to whatever is there. */
	}
	return deliver_open_output(d);
}

int deliver_write(struct deliver *d)
{
	int rc;

	if (d->text.n == 0) {
		return 0;
	}
	rc = sys_pwrite_all(d->c->sys, d->out_fd, d->text.p, d->text.n,
			    d->bytes);
	if (rc == 0) {
		d->bytes += d->text.n;
		buf_clear(&d->text);
	}
	return rc;
}
