#include "sources/export.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/limits.h"
#include "sources/journal_text.h"

enum {
	NAME_ROOM = 64, /* systemd 252 src/libsystemd/sd-journal/journal-file.c: field names */
	LENGTH_BYTES = 8,
	LENGTH_MAX = 768 * 1024 * 1024, /* journal-importer.h DATA_SIZE_MAX: no field is longer */
	FIELDS = 13,
};

/* Those that a line is made of (journal_text.c); the message is the last. */
static const char *const names[FIELDS] = {
	"_UID", "_TRANSPORT", "SYSLOG_FACILITY", "PRIORITY", "_SOURCE_REALTIME_TIMESTAMP",
	"__REALTIME_TIMESTAMP", "_HOSTNAME", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "SYSLOG_PID",
	"MESSAGE_ID", "MESSAGE",
};

enum state {
	NAME,   /* of a field, or the empty line */
	TEXT,   /* behind "=", to the newline */
	LENGTH,
	DATA,
	CLOSE,  /* the newline behind it */
	JUNK,   /* no field: to the newline */
	BEGIN,  /* of another record, which the one before it did not end for; nothing is taken */
	WRONG,  /* a length that can't be; nothing is taken */
	LOST,   /* to the next line that begins with MARK */
};

static const char MARK[] = "__CURSOR=";

/* A field's place in `kept`. */
struct value {
	size_t at, n;
	bool there;
};

struct journal_reader {
	struct buf kept;
	struct value value[FIELDS];
};

struct export {
	struct journal_reader r;
	struct buf line;
	size_t line_max;
	enum state state;
	char name[NAME_ROOM];
	size_t name_n;
	unsigned char length[LENGTH_BYTES];
	unsigned length_n;
	uint64_t left;      /* DATA: bytes to come */
	struct value *into; /* NULL: a field that nobody asks for */
	size_t room;        /* for the rest of it */
	bool any;           /* the record has a field */
	bool plain;         /* one that is none of the journal's addresses ("__...") */
	struct value *last; /* the field before this one, if it is kept */
	bool cr;            /* the byte before was a CR that may belong to a CR LF */
	bool crlf;          /* there are such */
	size_t marked;      /* LOST: so much of MARK has come; SIZE_MAX: not on this line */
	uint64_t at;        /* offset of the next byte */
	uint64_t begun;     /* of the field, the line that is none, or what is LOST */
	struct buf saved;   /* a value with its length, to go back for */
	bool saves;         /* all of it */
	struct buf again;   /* what was gone back for: from again_at on to be read */
	size_t again_at;
	uint64_t gone_back; /* bytes, in all */
	export_damage_cb cb;
	void *arg;
};

static void tell(struct export *x, enum export_damage what, uint64_t from, uint64_t to)
{
	if (x->cb != NULL) {
		x->cb(x->arg, what, from, to);
	}
}

int export_new(struct export **out, size_t line_max, export_damage_cb cb, void *arg)
{
	struct export *x = calloc(1, sizeof *x);

	if (x == NULL) {
		return UV_ENOMEM;
	}
	x->line_max = line_max;
	x->cb = cb;
	x->arg = arg;
	buf_init(&x->saved, EXPORT_BACK);
	buf_init(&x->again, EXPORT_BACK);
	buf_init(&x->line, line_max * 4 + FIELDS * JOURNAL_FIELD_MAX * 2);
	buf_init(&x->r.kept, line_max + 1 + FIELDS * JOURNAL_FIELD_MAX);
	*out = x;
	return 0;
}

void export_free(struct export *x)
{
	if (x != NULL) {
		buf_wipe(&x->line);
		buf_wipe(&x->r.kept);
		buf_wipe(&x->saved);
		buf_wipe(&x->again);
		free(x);
	}
}

bool export_starts(struct slice head)
{
	return slice_starts(head, SLICE_LIT("__CURSOR=")) ||
	       slice_starts(head, SLICE_LIT("__REALTIME_TIMESTAMP=")) ||
	       slice_starts(head, SLICE_LIT("__SEQNUM="));
}

static int find(struct slice name)
{
	for (int i = 0; i < FIELDS; i++) {
		if (slice_eq(slice_str(names[i]), name)) {
			return i;
		}
	}
	return -1;
}

static int read_field(struct journal_reader *r, const char *name, struct slice *value)
{
	int i = find(slice_str(name));

	if (i < 0 || !r->value[i].there) {
		return UV_ENOENT;
	}
	/* (Of nothing but empty values nothing is kept, at no address.) */
	*value = r->value[i].n == 0 ? SLICE_NONE
				    : slice(r->kept.p + r->value[i].at, r->value[i].n);
	return 0;
}

/* The name is whole.  Of a field that comes again the first counts, as for sd_journal_get_data. */
static void begin_value(struct export *x)
{
	struct slice name = slice(x->name, x->name_n);
	int i = find(name);

	x->plain = x->plain || !slice_starts(name, SLICE_LIT("__"));
	x->name_n = 0;
	x->any = true;
	x->into = x->last = NULL;
	if (i >= 0 && !x->r.value[i].there) {
		x->into = &x->r.value[i];
		*x->into = (struct value){.at = x->r.kept.n};
		x->room = i == FIELDS - 1 ? x->line_max + 1 : JOURNAL_FIELD_MAX;
	}
}

static int add_value(struct export *x, struct slice s)
{
	size_t n = s.n < x->room ? s.n : x->room;

	if (x->into == NULL) {
		return 0;
	}
	x->room -= n;
	x->into->n += n;
	return buf_add_slice(&x->r.kept, slice_head(s, n));
}

static void end_value(struct export *x)
{
	if (x->into != NULL) {
		x->into->there = true;
		x->last = x->into;
		x->into = NULL;
	}
}

/* Forgets a value that was not whole. */
static void drop_value(struct export *x)
{
	if (x->into != NULL) {
		x->r.kept.n = x->into->at;
		x->into = NULL;
	}
}

static int record(struct export *x, struct slice *line, bool *cut)
{
	static const struct journal_calls calls = {.field = read_field};
	static const struct strlist fields = {.n = 0};
	struct journal_entry e = {.realtime_us = -1};
	struct slice stamp;
	uint64_t us;
	int rc;

	if (read_field(&x->r, "__REALTIME_TIMESTAMP", &stamp) == 0 &&
	    slice_to_u64(stamp, INT64_MAX / 1000, &us)) {
		e.realtime_us = (int64_t)us;
	}
	rc = journal_text(&x->line, &calls, &x->r, &e, &fields, x->line_max, cut);
	*line = slice(x->line.p, x->line.n);
	memset(x->r.value, 0, sizeof x->r.value);
	buf_clear(&x->r.kept);
	x->any = x->plain = false;
	x->last = NULL;
	return rc == 0 ? 1 : rc;
}

static bool name_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The journal writes no CR into a line: it is what a transfer as text made of the newline. */
static void found_crlf(struct export *x)
{
	if (!x->crlf) {
		x->crlf = true;
		tell(x, EXPORT_CRLF, x->begun, x->begun);
	}
}

/* A text has ended: without the CR of a CR LF. */
static void end_text(struct export *x)
{
	if (x->cr) {
		found_crlf(x);
	}
	/* (Of a value that is cut the last byte is not the line's.) */
	if (x->cr && x->into != NULL && x->into->n > 0 && x->room > 0) {
		x->into->n--;
		x->r.kept.n--;
	}
	x->cr = false;
	end_value(x);
}

/* A record begins, and the one before it has no end: it was torn, or the newline is lost.  What
 * stands on the line of the tear is two records' words. */
static void tear(struct export *x, uint64_t to)
{
	struct slice last = SLICE_NONE;

	if (x->last != NULL && x->last->n > 0) {
		last = slice(x->r.kept.p + x->last->at, x->last->n);
	}
	if (slice_find(last, slice_str(MARK)) != SIZE_MAX) {
		x->last->there = false;
	}
	tell(x, EXPORT_TORN, to, to);
}

/* The name that is whole is that of another record: the addresses come first, and once. */
static bool begins_record(const struct export *x)
{
	struct slice name = slice(x->name, x->name_n);
	int i = find(name);

	return slice_starts(name, SLICE_LIT("__")) &&
	       (x->plain || (i >= 0 && x->r.value[i].there) ||
		(x->any && slice_eq(name, SLICE_LIT("__CURSOR"))));
}

/* The name is whole, and so may be the record. */
static int end_name(struct export *x, char c)
{
	if (c == '=' && begins_record(x)) {
		tear(x, x->begun);
		x->state = BEGIN;
		return 1;
	}
	begin_value(x);
	x->state = c == '=' ? TEXT : LENGTH;
	x->length_n = 0;
	x->saves = true;
	buf_clear(&x->saved);
	return 0;
}

/* One byte of a name, or what ends it; 1: the record's end. */
static int take_name(struct export *x, char c)
{
	if (x->name_n == 0 && !x->cr) {
		x->begun = x->at;
	}
	if (c == '\r' && !x->cr) {
		x->cr = true;
		return 0;
	}
	if (x->cr && c == '\n') {
		x->cr = false;
		found_crlf(x);
	}
	if (c == '\n' && x->name_n == 0) {
		return x->any ? 1 : 0;
	}
	if ((c == '=' || c == '\n') && x->name_n > 0 && !x->cr) {
		return end_name(x, c);
	}
	if (!name_byte(c) || x->name_n == NAME_ROOM || x->cr) {
		x->name_n = 0;
		x->cr = false;
		x->state = JUNK;
		return 0;
	}
	x->name[x->name_n++] = c;
	return 0;
}

/* The value can't be as long as it says.  What was taken for it is read again, as far as it was
 * kept, and the record ends; a file that is made of such places is gone back in as long as that
 * costs no more than reading it a few times.  1: the record has fields. */
static int go_back(struct export *x)
{
	struct slice rest = slice_skip(buf_slice(&x->again), x->again_at);
	size_t n = x->saved.n;
	int rc = 0;

	drop_value(x);
	x->state = LOST;
	x->cr = false;
	x->marked = SIZE_MAX;
	if (x->saves && x->gone_back + n <= EXPORT_BACK + 4 * x->at) {
		rc = buf_add_slice(&x->saved, rest);
		if (rc == 0) {
			struct buf read = x->again;

			x->again = x->saved;
			x->again_at = 0;
			x->saved = read;
			x->at -= n;
			x->gone_back += n;
			x->marked = 0;
		}
	}
	buf_clear(&x->saved);
	return rc == 0 ? x->any : rc;
}

static int take_length(struct export *x, char c)
{
	int rc = buf_add_u8(&x->saved, (uint8_t)c);

	x->length[x->length_n++] = (unsigned char)c;
	if (rc != 0 || x->length_n < LENGTH_BYTES) {
		return rc;
	}
	x->left = 0;
	for (unsigned i = LENGTH_BYTES; i-- > 0;) {
		x->left = x->left << 8 | x->length[i];
	}
	x->state = x->left > LENGTH_MAX ? WRONG : x->left > 0 ? DATA : CLOSE;
	x->saves = x->left > LENGTH_MAX || x->left + LENGTH_BYTES <= EXPORT_BACK;
	return 0;
}

/* Up to the newline, if it is here. */
static struct slice take_text(struct slice *in, bool *whole)
{
	size_t n = slice_find(*in, SLICE_LIT("\n"));
	struct slice s = slice_head(*in, n);

	*whole = n < in->n;
	*in = slice_skip(*in, *whole ? n + 1 : in->n);
	return s;
}

static int take_data(struct export *x, struct slice *in)
{
	struct slice s = slice_head(*in, x->left < in->n ? (size_t)x->left : in->n);
	int rc = x->saves ? buf_add_slice(&x->saved, s) : 0;

	*in = slice_skip(*in, s.n);
	x->left -= s.n;
	x->state = x->left > 0 ? DATA : CLOSE;
	return rc ? rc : add_value(x, s);
}

static int take_close(struct export *x, struct slice *in)
{
	if (in->p[0] == '\r' && x->crlf && !x->cr) {
		x->cr = true;
		*in = slice_skip(*in, 1);
		return 0;
	}
	if (in->p[0] != '\n') {
		return go_back(x);
	}
	*in = slice_skip(*in, 1);
	x->cr = false;
	end_value(x);
	x->state = NAME;
	return 0;
}

/* One byte of what is lost; behind MARK a record has begun. */
static void take_lost(struct export *x, char c)
{
	if (c == '\n') {
		x->marked = 0;
	} else if (x->marked != SIZE_MAX) {
		x->marked = c == MARK[x->marked] ? x->marked + 1 : SIZE_MAX;
	}
	if (x->marked == sizeof MARK - 1) {
		tell(x, EXPORT_LENGTH, x->begun, x->at + 1 - x->marked);
		memcpy(x->name, MARK, sizeof MARK - 2);
		x->name_n = sizeof MARK - 2;
		begin_value(x);
		x->state = TEXT;
	}
}

static int take_line(struct export *x, struct slice *in)
{
	bool whole;
	struct slice s = take_text(in, &whole);
	int rc = x->state == TEXT ? add_value(x, s) : 0;

	x->cr = s.n > 0 ? s.p[s.n - 1] == '\r' : x->cr;
	if (!whole) {
		return rc;
	}
	if (x->state == TEXT) {
		end_text(x);
	} else {
		tell(x, EXPORT_JUNK, x->begun, x->at + s.n + 1);
	}
	x->cr = false;
	x->state = NAME;
	return rc;
}

/* What of *in one state takes; 1: the record's end. */
static int step(struct export *x, struct slice *in)
{
	char c = in->p[0];

	switch (x->state) {
	case TEXT:
	case JUNK:
		return take_line(x, in);
	case DATA:
		return take_data(x, in);
	case CLOSE:
		return take_close(x, in);
	case WRONG:
		return go_back(x);
	default:
		break;
	}
	if (x->state == BEGIN) {
		begin_value(x);
		x->state = TEXT;
		return 0;
	}
	*in = slice_skip(*in, 1);
	if (x->state == LOST) {
		take_lost(x, c);
		return 0;
	}
	return x->state == LENGTH ? take_length(x, c) : take_name(x, c);
}

/* One step, in what was gone back for or else in *in; keeps count of where it is. */
static int advance(struct export *x, struct slice *in)
{
	bool back = x->again_at < x->again.n;
	struct slice rest = back ? slice_skip(buf_slice(&x->again), x->again_at) : *in, was = rest;
	uint64_t at = x->at;
	int rc = step(x, &rest);

	/* (A step that goes back takes nothing, and moves both.) */
	if (x->at == at) {
		x->at += was.n - rest.n;
		if (back) {
			x->again_at += was.n - rest.n;
		} else {
			*in = rest;
		}
	}
	return rc;
}

int export_next(struct export *x, struct slice *in, struct slice *line, bool *cut)
{
	while (in->n > 0 || x->again_at < x->again.n) {
		int rc = advance(x, in);

		if (rc != 0) {
			return rc == 1 ? record(x, line, cut) : rc;
		}
	}
	return 0;
}

/* The file ends here, in the middle of something; 1: a record ends with it. */
static int end_here(struct export *x)
{
	if (x->state == LENGTH || x->state == DATA || x->state == CLOSE || x->state == WRONG) {
		return go_back(x);
	}
	if (x->state == LOST || x->state == JUNK) {
		tell(x, x->state == LOST ? EXPORT_LENGTH : EXPORT_JUNK, x->begun, x->at);
	} else if (x->any || x->name_n > 0) {
		tell(x, EXPORT_TORN, x->at, x->at);
	}
	drop_value(x);
	x->state = NAME;
	x->name_n = 0;
	return x->any;
}

int export_end(struct export *x, struct slice *line, bool *cut)
{
	struct slice none = SLICE_NONE;
	int rc = 0;

	while (rc == 0 &&
	       (x->again_at < x->again.n || x->state != NAME || x->any || x->name_n > 0)) {
		rc = x->again_at < x->again.n ? advance(x, &none) : end_here(x);
	}
	return rc == 1 ? record(x, line, cut) : rc;
}
