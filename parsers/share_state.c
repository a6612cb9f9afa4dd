#include <stdio.h>

#include "common/err.h"
#include "common/reader.h"
#include "parsers/share_impl.h"

enum { SAVE_VERSION = 1 };

bool shares_take(struct shares *s, struct share_fall *out)
{
	if (s->n_falls == 0) {
		return false;
	}
	*out = s->falls[0];
	s->n_falls--;
	memmove(s->falls, s->falls + 1, s->n_falls * sizeof *s->falls);
	return true;
}

void share_fall_text(const struct share_fall *f, char out[static SHARE_TEXT])
{
	char how[96] = "";

	if (f->why == SHARE_NAME_NEW) {
		snprintf(how, sizeof how, "; lines of %s read as its own did", f->name_new);
	} else if (f->why == SHARE_HEADER) {
		snprintf(how, sizeof how, "; the lines do not begin as they did");
	}
	snprintf(out, SHARE_TEXT,
		 "%s: %u.%u %% of the lines were understood, then %u.%u %% of %u%s", f->program,
		 f->before / 10, f->before % 10, f->after / 10, f->after % 10, (unsigned)f->of,
		 how);
}

bool shares_get(const struct shares *s, unsigned i, struct share_count *out)
{
	for (unsigned k = 0; k < s->n_entries; k++) {
		const struct share *e = &s->entries[k];

		if (e->name_n > 0 && i-- == 0) {
			out->source = slice_str(s->sources[e->source].path);
			out->program = share_name(e);
			out->understood = share_understood(e);
			out->lines = out->understood + e->bad + e->n_gap + e->usual;
			return true;
		}
	}
	return false;
}

static int add_text(struct buf *out, struct slice text)
{
	int rc = buf_add_varint(out, text.n);

	return rc ? rc : buf_add_slice(out, text);
}

static int save_entry(const struct share *e, struct buf *out)
{
	int rc = buf_add_u8(out, e->source);

	rc = rc ? rc : add_text(out, share_name(e));
	rc = rc ? rc : buf_add_u32(out, e->head.good);
	rc = rc ? rc : buf_add_u32(out, e->good);
	rc = rc ? rc : buf_add_u32(out, e->bad);
	rc = rc ? rc : buf_add_u32(out, e->usual);
	rc = rc ? rc : buf_add_u8(out, e->n_gap);
	for (unsigned i = 0; i < e->n_gap && rc == 0; i++) {
		rc = buf_add_u16(out, e->gap[(e->oldest + i) % GAPS]);
		rc = rc ? rc : buf_add_u32(out, e->begins[(e->oldest + i) % GAPS]);
	}
	for (unsigned i = 0; i < NOISE && rc == 0; i++) {
		rc = buf_add_u32(out, e->noise[i]);
	}
	return rc;
}

int shares_save(const struct shares *s, struct buf *out)
{
	int rc = buf_add_u8(out, SAVE_VERSION);

	rc = rc ? rc : buf_add_varint(out, s->n_sources);
	for (unsigned i = 0; i < s->n_sources && rc == 0; i++) {
		rc = add_text(out, slice_str(s->sources[i].path));
	}
	rc = rc ? rc : buf_add_varint(out, s->n_entries);
	for (unsigned i = 0; i < s->n_entries && rc == 0; i++) {
		rc = save_entry(&s->entries[i], out);
	}
	return rc;
}

/* Counts from outside may be anything; sums of them must not pass 32 bits. */
static uint32_t load_count(struct reader *r)
{
	uint32_t n = reader_u32(r);

	return n < UINT32_MAX / 4 ? n : UINT32_MAX / 4;
}

static bool load_entry(struct shares *s, struct reader *r)
{
	uint8_t source = reader_u8(r);
	struct slice name = reader_blob(r, SHARE_NAME - 1);
	struct share *e;

	if (!reader_ok(r) || source >= s->n_sources || share_find(s, source, name) != NULL) {
		return false;
	}
	e = share_add(s, source, name, name.n == 0 ? NULL : family_known(name));
	if (e == NULL) {
		return false;
	}
	e->head.good = load_count(r);
	e->good = load_count(r);
	e->bad = load_count(r);
	e->usual = load_count(r);
	e->n_gap = reader_u8(r);
	if (e->n_gap > GAPS) {
		return false;
	}
	for (unsigned i = 0; i < e->n_gap; i++) {
		e->gap[i] = reader_u16(r);
		e->stood += e->gap[i];
		e->begins[i] = reader_u32(r);
	}
	for (unsigned i = 0; i < NOISE; i++) {
		e->noise[i] = reader_u32(r);
	}
	return reader_ok(r);
}

static bool load_sources(struct shares *s, struct reader *r)
{
	uint64_t n = reader_varint_max(r, SHARE_SOURCES);

	for (uint64_t i = 0; i < n; i++) {
		struct slice path = reader_blob(r, sizeof s->sources->path - 1);

		if (!reader_ok(r) || (path.n > 0 && memchr(path.p, '\0', path.n) != NULL)) {
			return false;
		}
		memcpy(s->sources[i].path, path.p == NULL ? "" : path.p, path.n);
		s->n_sources++;
	}
	return reader_ok(r);
}

int shares_load(struct shares *s, struct slice saved)
{
	struct reader r = reader(saved);
	uint8_t version = reader_u8(&r);
	uint64_t n;
	bool good;

	if (version != SAVE_VERSION) {
		return reader_ok(&r) ? ERR_VERSION : ERR_MALFORMED;
	}
	good = load_sources(s, &r);
	n = reader_varint_max(&r, SHARE_ENTRIES);
	for (uint64_t i = 0; i < n && good; i++) {
		good = load_entry(s, &r);
	}
	if (good && reader_done(&r)) {
		return 0;
	}
	memset(s, 0, sizeof *s);
	return ERR_MALFORMED;
}
