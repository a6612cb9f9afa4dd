#include "sources/journal_file.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/reader.h"

static uint64_t le64(struct reader *r)
{
	uint64_t v;

	reader_copy(r, &v, sizeof v);
	return le64toh(v);
}

int journal_header_decode(struct slice bytes, struct journal_header *out)
{
	struct reader r = reader(slice_head(bytes, JOURNAL_HEADER));

	*out = (struct journal_header){0};
	if (!slice_eq(reader_bytes(&r, 8), SLICE_LIT("LPKSHHRH"))) {
		return bytes.n < 8 ? ERR_TRUNCATED : ERR_MALFORMED;
	}
	reader_bytes(&r, 8); /* flags */
	out->state = reader_u8(&r);
	reader_bytes(&r, 7);
	reader_copy(&r, out->file_id, sizeof out->file_id);
	reader_bytes(&r, 32); /* machine, boot of the last entry */
	reader_copy(&r, out->seqnum_id, sizeof out->seqnum_id);
	reader_bytes(&r, 64); /* sizes and offsets */
	out->entries = le64(&r);
	out->tail = le64(&r);
	out->head = le64(&r);
	reader_bytes(&r, 32); /* times */
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	if (out->state > JOURNAL_ARCHIVED || out->head > out->tail ||
	    out->tail == UINT64_MAX || (out->entries > 0 && out->head == 0)) {
		return ERR_MALFORMED;
	}
	return 0;
}

int journal_header_read(struct sys *sys, int fd, struct journal_header *out)
{
	char bytes[JOURNAL_HEADER];
	int rc = sys_pread_all(sys, fd, bytes, sizeof bytes, 0);

	if (rc == UV_EOF) {
		rc = ERR_TRUNCATED;
	}
	return rc != 0 ? rc : journal_header_decode(slice(bytes, sizeof bytes), out);
}

bool journal_family(const char *name, char out[static JOURNAL_FAMILY])
{
	struct slice s = slice_str(name);
	size_t at = slice_find(s, SLICE_LIT("@"));

	if (!slice_ends(s, SLICE_LIT(".journal")) &&
	    !slice_ends(s, SLICE_LIT(".journal~"))) {
		return false;
	}
	if (at == SIZE_MAX) {
		at = slice_rfind(s, SLICE_LIT(".journal"));
	}
	if (at == 0 || at >= JOURNAL_FAMILY) {
		return false;
	}
	memcpy(out, name, at);
	out[at] = '\0';
	return true;
}

/* ---- folders ---- */

struct listing {
	struct journal_files *files;
	struct sys *sys;
	const char *dir;
	bool deep; /* this is a folder below the one that was asked for */
};

static void look_at(struct journal_file *f, struct sys *sys)
{
	struct sys_stat st;
	int fd = sys_open(sys, f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0) {
		f->error = fd;
		return;
	}
	f->error = sys_fstat(sys, fd, &st);
	if (f->error == 0) {
		f->dev = st.dev;
		f->ino = st.ino;
		f->error = S_ISREG(st.mode) ? journal_header_read(sys, fd, &f->header)
					    : UV_EINVAL;
	}
	sys_close(sys, fd);
}

static int add_file(struct listing *l, const char *path, const char *family)
{
	struct journal_files *fs = l->files;
	struct journal_file *f, *v;

	if (fs->n == JOURNAL_FILES_MAX) {
		fs->error = ERR_LIMIT;
		return 0;
	}
	if (fs->n == fs->room) {
		v = realloc(fs->v, (fs->room * 2 + 16) * sizeof *v);
		if (v == NULL) {
			return UV_ENOMEM;
		}
		fs->v = v;
		fs->room = fs->room * 2 + 16;
	}
	f = &fs->v[fs->n];
	*f = (struct journal_file){.path = strdup(path), .dir_n = strlen(l->dir)};
	if (f->path == NULL) {
		return UV_ENOMEM;
	}
	snprintf(f->family, sizeof f->family, "%s", family);
	look_at(f, l->sys);
	if (f->error == UV_ENOENT) {
		free(f->path); /* Gone between the two, or it has another name. */
		fs->error = UV_ENOENT;
	} else {
		fs->n++;
	}
	return 0;
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct listing *l = arg;
	char path[PATH_MAX], family[JOURNAL_FAMILY];

	if (snprintf(path, sizeof path, "%s/%s", l->dir, name) >= (int)sizeof path) {
		l->files->error = UV_ENAMETOOLONG;
		return 0;
	}
	if (is_dir && !l->deep) {
		struct listing below = {l->files, l->sys, path, true};
		int rc = sys_list(l->sys, path, on_entry, &below);

		if (rc < 0 && rc != UV_ENOMEM) {
			l->files->error = rc;
			rc = 0;
		}
		return rc;
	}
	return !is_dir && journal_family(name, family) ? add_file(l, path, family) : 0;
}

int journal_files_list(struct journal_files *f, struct sys *sys, const char *dir)
{
	struct listing l = {f, sys, dir, false};
	int rc = sys_list(sys, dir, on_entry, &l);

	if (rc < 0 && rc != UV_ENOMEM && rc != UV_ENOENT) {
		f->error = rc;
	}
	return rc == UV_ENOMEM ? rc : 0;
}

static int compare(const void *x, const void *y)
{
	const struct journal_file *a = x, *b = y;
	size_t n = a->dir_n < b->dir_n ? a->dir_n : b->dir_n;
	int c = memcmp(a->path, b->path, n);

	if (c == 0 && a->dir_n != b->dir_n) {
		c = a->dir_n < b->dir_n ? -1 : 1;
	}
	if (c == 0) {
		c = strcmp(a->family, b->family);
	}
	if (c == 0) {
		c = memcmp(a->header.seqnum_id, b->header.seqnum_id, 16);
	}
	if (c == 0 && a->header.head != b->header.head) {
		c = a->header.head < b->header.head ? -1 : 1;
	}
	return c;
}

void journal_files_sort(struct journal_files *f)
{
	if (f->n > 0) {
		qsort(f->v, f->n, sizeof *f->v, compare);
	}
}

void journal_files_fini(struct journal_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].path);
	}
	free(f->v);
	*f = (struct journal_files){0};
}
