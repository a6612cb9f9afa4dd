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
};

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
};

int export_new(struct export **out, size_t line_max)
{
	struct export *x = calloc(1, sizeof *x);

	if (x == NULL) {
		return UV_ENOMEM;
	}
	x->line_max = line_max;
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
	int i = find(slice(x->name, x->name_n));

	x->name_n = 0;
	x->any = true;
	x->into = NULL;
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
	x->any = false;
	return rc == 0 ? 1 : rc;
}

static bool name_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* One byte of a name, or what ends it; 1: the record's end. */
static int take_name(struct export *x, char c)
{
	if (c == '\n' && x->name_n == 0) {
		return x->any ? 1 : 0;
	}
	if ((c == '=' || c == '\n') && x->name_n > 0) {
		begin_value(x);
		x->state = c == '=' ? TEXT : LENGTH;
		x->length_n = 0;
		return 0;
	}
	if (!name_byte(c) || x->name_n == NAME_ROOM) {
		x->name_n = 0;
		x->state = JUNK;
		return 0;
	}
	x->name[x->name_n++] = c;
	return 0;
}

static void take_length(struct export *x, char c)
{
	x->length[x->length_n++] = (unsigned char)c;
	if (x->length_n == LENGTH_BYTES) {
		x->left = 0;
		for (unsigned i = LENGTH_BYTES; i-- > 0;) {
			x->left = x->left << 8 | x->length[i];
		}
		x->state = x->left > LENGTH_MAX ? JUNK : x->left > 0 ? DATA : CLOSE;
	}
	if (x->state == JUNK) {
		drop_value(x);
	}
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

/* What of *in one state takes; 1: the record's end. */
static int step(struct export *x, struct slice *in)
{
	struct slice s;
	bool whole;
	int rc = 0;
	char c = in->p[0];

	switch (x->state) {
	case NAME:
		*in = slice_skip(*in, 1);
		return take_name(x, c);
	case TEXT:
		rc = add_value(x, take_text(in, &whole));
		if (whole) {
			end_value(x);
			x->state = NAME;
		}
		return rc;
	case LENGTH:
		*in = slice_skip(*in, 1);
		take_length(x, c);
		return 0;
	case DATA:
		s = slice_head(*in, x->left < in->n ? (size_t)x->left : in->n);
		*in = slice_skip(*in, s.n);
		x->left -= s.n;
		x->state = x->left > 0 ? DATA : CLOSE;
		return add_value(x, s);
	case CLOSE:
		if (c == '\n') {
			*in = slice_skip(*in, 1);
			end_value(x);
			x->state = NAME;
		} else {
			drop_value(x);
			x->state = JUNK;
		}
		return 0;
	case JUNK:
		take_text(in, &whole);
		x->state = whole ? NAME : JUNK;
		return 0;
	}
	return 0;
}

int export_next(struct export *x, struct slice *in, struct slice *line, bool *cut)
{
	while (in->n > 0) {
		int rc = step(x, in);

		if (rc != 0) {
			return rc == 1 ? record(x, line, cut) : rc;
		}
	}
	return 0;
}

int export_end(struct export *x, struct slice *line, bool *cut)
{
	drop_value(x);
	x->state = NAME;
	x->name_n = 0;
	return x->any ? record(x, line, cut) : 0;
}
