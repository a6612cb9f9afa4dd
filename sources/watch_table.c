#include "sources/watch_table.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"
#include "common/timefmt.h"

void watch_table_fini(struct watch_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].path);
	}
	free(t->v);
	*t = (struct watch_table){0};
}

bool watch_table_find(const struct watch_table *t, const char *path, size_t *at)
{
	size_t from = 0, to = t->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(t->v[middle].path, path);

		if (order == 0) {
			*at = middle;
			return true;
		}
		if (order < 0) {
			from = middle + 1;
		} else {
			to = middle;
		}
	}
	*at = from;
	return false;
}

static int make_room(struct watch_table *t)
{
	size_t room = t->room == 0 ? 64 : t->room * 2;
	struct watched *v;

	if (t->n == WATCH_FILES_MAX) {
		return ERR_FULL;
	}
	if (t->n < t->room) {
		return 0;
	}
	v = realloc(t->v, room * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	t->v = v;
	t->room = room;
	return 0;
}

int watch_table_put(struct watch_table *t, const struct watched *w)
{
	char *path;
	size_t at;
	int rc;

	if (watch_table_find(t, w->path, &at)) {
		path = t->v[at].path;
		t->v[at] = *w;
		t->v[at].path = path;
		return 0;
	}
	rc = make_room(t);
	path = rc != 0 ? NULL : strdup(w->path);
	if (path == NULL) {
		return rc != 0 ? rc : UV_ENOMEM;
	}
	memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof *t->v);
	t->v[at] = *w;
	t->v[at].path = path;
	t->n++;
	return 0;
}

void watch_table_remove(struct watch_table *t, size_t at)
{
	free(t->v[at].path);
	t->n--;
	memmove(t->v + at, t->v + at + 1, (t->n - at) * sizeof *t->v);
}

/* ---- as bytes ---- */

static const uint8_t version = 1;

static int add_text(struct buf *out, const char *text)
{
	struct slice s = slice_str(text);
	int rc = buf_add_varint(out, s.n);

	return rc != 0 ? rc : buf_add_slice(out, s);
}

static int encode_one(struct buf *out, const struct watched *w)
{
	const uint64_t numbers[] = {w->st.dev, w->st.ino, w->st.size,
				    zigzag(w->st.mtime_ns), w->st.mode, w->st.uid,
				    w->st.gid};
	int rc = add_text(out, w->path);

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && rc == 0; i++) {
		rc = buf_add_varint(out, numbers[i]);
	}
	rc = rc != 0 ? rc : buf_add_u8(out, (uint8_t)w->hash);
	return rc != 0 || w->hash != WATCH_HASHED
		       ? rc
		       : buf_add(out, w->sha256, sizeof w->sha256);
}

int watch_table_encode(const struct watch_table *t, const struct strlist *patterns,
		       struct buf *out)
{
	int rc = buf_add_u8(out, version);

	rc = rc != 0 ? rc : buf_add_varint(out, patterns->n);
	for (size_t i = 0; i < patterns->n && rc == 0; i++) {
		rc = add_text(out, patterns->v[i]);
	}
	rc = rc != 0 ? rc : buf_add_varint(out, t->n);
	for (size_t i = 0; i < t->n && rc == 0; i++) {
		rc = encode_one(out, &t->v[i]);
	}
	return rc;
}

/* A path as a C string of the caller's; false: it is none. */
static bool take_path(struct reader *r, char path[static WATCH_PATH_MAX])
{
	struct slice s = reader_blob(r, WATCH_PATH_MAX - 1);

	if (s.n == 0 || s.p[0] != '/' || memchr(s.p, 0, s.n) != NULL) {
		return false;
	}
	memcpy(path, s.p, s.n);
	path[s.n] = '\0';
	return true;
}

static int decode_one(struct watch_table *t, struct reader *r)
{
	char path[WATCH_PATH_MAX];
	struct watched w = {.path = path};
	uint8_t hash;
	size_t at;

	if (!take_path(r, path)) {
		return ERR_MALFORMED;
	}
	w.st.dev = reader_varint(r);
	w.st.ino = reader_varint(r);
	w.st.size = reader_varint(r);
	w.st.mtime_ns = unzigzag(reader_varint(r));
	w.st.mode = (uint32_t)reader_varint_max(r, UINT32_MAX);
	w.st.uid = (uint32_t)reader_varint_max(r, UINT32_MAX);
	w.st.gid = (uint32_t)reader_varint_max(r, UINT32_MAX);
	hash = reader_u8(r);
	if (hash > WATCH_NO_FILE) {
		return ERR_MALFORMED;
	}
	w.hash = hash;
	if (w.hash == WATCH_HASHED) {
		reader_copy(r, w.sha256, sizeof w.sha256);
	}
	if (!reader_ok(r) || watch_table_find(t, path, &at) || at != t->n) {
		return ERR_MALFORMED; /* Not in their order. */
	}
	return watch_table_put(t, &w);
}

static int decode_all(struct watch_table *t, struct strlist *patterns, struct reader *r)
{
	char path[WATCH_PATH_MAX];
	uint8_t v = reader_u8(r);
	uint64_t n;
	int rc = 0;

	if (!reader_ok(r) || v != version) {
		return ERR_VERSION;
	}
	n = reader_varint_max(r, WATCH_PATTERNS_MAX);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take_path(r, path) ? strlist_add(patterns, slice_str(path))
					: ERR_MALFORMED;
	}
	n = reader_varint_max(r, WATCH_FILES_MAX);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = decode_one(t, r);
	}
	return rc != 0 ? rc : reader_done(r) ? 0 : ERR_MALFORMED;
}

int watch_table_decode(struct watch_table *t, struct strlist *patterns,
		       struct slice bytes)
{
	struct reader r = reader(bytes);
	int rc;

	*t = (struct watch_table){0};
	*patterns = (struct strlist){0};
	rc = decode_all(t, patterns, &r);
	if (rc != 0) {
		watch_table_fini(t);
		strlist_fini(patterns);
	}
	return rc;
}

/* ---- a change ---- */

static bool content_differs(const struct watched *was, const struct watched *is)
{
	if (was->hash == WATCH_HASHED && is->hash == WATCH_HASHED) {
		return memcmp(was->sha256, is->sha256, sizeof is->sha256) != 0;
	}
	/* A folder's size and time speak of what is in it. */
	return is->hash != WATCH_NO_FILE && (was->st.size != is->st.size ||
					     was->st.mtime_ns != is->st.mtime_ns);
}

enum watch_change watch_compare(const struct watched *was, const struct watched *is)
{
	if (was == NULL || is == NULL) {
		return was == NULL ? is == NULL ? WATCH_SAME : WATCH_CREATED
				   : WATCH_DELETED;
	}
	if (was->st.dev != is->st.dev || was->st.ino != is->st.ino) {
		return WATCH_REPLACED;
	}
	if (content_differs(was, is)) {
		return WATCH_MODIFIED;
	}
	if (was->st.mode != is->st.mode || was->st.uid != is->st.uid ||
	    was->st.gid != is->st.gid) {
		return WATCH_PERMISSION;
	}
	return was->st.mtime_ns != is->st.mtime_ns && is->hash != WATCH_NO_FILE
		       ? WATCH_TOUCHED
		       : WATCH_SAME;
}

/* In quotes; what could end them, or the line, as \xNN. */
static int add_path(struct buf *out, const char *path)
{
	int rc = buf_add(out, "path=\"", 6);

	for (const char *p = path; *p != '\0' && rc == 0; p++) {
		unsigned char c = (unsigned char)*p;

		rc = c < ' ' || c == 0x7f || c == '"' || c == '\\'
			     ? buf_printf(out, "\\x%02x", c)
			     : buf_add_u8(out, c);
	}
	return rc != 0 ? rc : buf_add_u8(out, '"');
}

static int add_state(struct buf *out, const struct watched *w)
{
	static const char *const unhashed[] = {"", "unreadable", "too-large", "no-file"};
	char stamp[TIME_TEXT];
	int rc;

	time_format(stamp, w->st.mtime_ns);
	rc = buf_printf(out, " uid=%u gid=%u mode=%04o size=%llu mtime=%s sha256=%s",
			w->st.uid, w->st.gid, w->st.mode & 07777,
			(unsigned long long)w->st.size, stamp, unhashed[w->hash]);
	for (size_t i = 0; w->hash == WATCH_HASHED && i < sizeof w->sha256 && rc == 0;
	     i++) {
		rc = buf_printf(out, "%02x", w->sha256[i]);
	}
	return rc;
}

int watch_text(enum watch_change change, const struct watched *was,
	       const struct watched *is, int64_t now_ns, struct slice host,
	       struct buf *out)
{
	static const char *const words[] = {"same", "created", "deleted", "replaced",
					    "modified", "permission", "touched"};
	char stamp[TIME_TEXT];
	int rc;

	buf_clear(out);
	time_format(stamp, now_ns / 1000 * 1000);
	/* authpriv.notice */
	rc = buf_printf(out, "<85>%s %.*s nightjar-watch: %s ", stamp, SLICE_ARG(host),
			words[change]);
	rc = rc != 0 ? rc : add_path(out, is != NULL ? is->path : was->path);
	if (rc == 0 && is != NULL) {
		rc = add_state(out, is);
	}
	if (rc == 0 && was != NULL) {
		rc = buf_add(out, " was", 4);
		rc = rc != 0 ? rc : add_state(out, was);
	}
	return rc != 0 ? rc : buf_add_u8(out, '\n');
}
