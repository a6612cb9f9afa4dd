#include "sources/journal_text.h"

#include <time.h>

#include "common/err.h"
#include "common/timefmt.h"

enum { NAME_MAX_BYTES = 255 };

struct text {
	struct buf *out;
	const struct journal_calls *calls;
	struct journal_reader *r;
	size_t max;
	int rc;
};

/* Whether the entry has the field; an error stays in t->rc. */
static bool field(struct text *t, const char *name, struct slice *value)
{
	int rc = t->rc != 0 ? t->rc : t->calls->field(t->r, name, value);

	if (rc != 0 && rc != UV_ENOENT) {
		t->rc = rc;
	}
	return rc == 0;
}

static void add(struct text *t, struct slice s)
{
	if (t->rc == 0) {
		t->rc = buf_add_slice(t->out, s);
	}
}

static uint64_t number(struct text *t, const char *name, uint64_t max, uint64_t otherwise)
{
	struct slice s;
	uint64_t v;

	return field(t, name, &s) && slice_to_u64(s, max, &v) ? v : otherwise;
}

/* One word of the header: printable ASCII without blanks, or "-". */
static bool add_word(struct text *t, const char *name)
{
	struct slice s;
	size_t before = t->out->n;

	if (!field(t, name, &s)) {
		return false;
	}
	s = slice_head(s, NAME_MAX_BYTES);
	for (size_t i = 0; i < s.n && t->rc == 0; i++) {
		char c = s.p[i];

		t->rc = buf_add_u8(t->out, c > ' ' && c <= '~' ? (uint8_t)c : '_');
	}
	return t->out->n > before;
}

static void add_words(struct text *t, const char *name, const char *otherwise)
{
	if (!add_word(t, name) && (otherwise == NULL || !add_word(t, otherwise))) {
		add(t, SLICE_LIT("-"));
	}
	add(t, SLICE_LIT(" "));
}

/* Bytes that would end the line, or (quoted) the value. */
static void add_escaped(struct text *t, struct slice s, bool quoted)
{
	while (s.n > 0 && t->rc == 0) {
		size_t n = 0;
		char c;

		while (n < s.n && s.p[n] != '\n' && s.p[n] != '\0' &&
		       !(quoted && (s.p[n] == '"' || s.p[n] == '\\' || s.p[n] == ']'))) {
			n++;
		}
		add(t, slice_head(s, n));
		s = slice_skip(s, n);
		if (s.n == 0) {
			return;
		}
		c = s.p[0];
		s = slice_skip(s, 1);
		if (c == '\n') {
			add(t, SLICE_LIT("#012"));
		} else if (c == '\0') {
			add(t, SLICE_LIT("#000"));
		} else {
			add(t, SLICE_LIT("\\"));
			add(t, slice(&c, 1));
		}
	}
}

static bool add_field(struct text *t, const char *name, bool any)
{
	struct slice value;

	if (!field(t, name, &value) || t->out->n + 2 * JOURNAL_FIELD_MAX > t->max) {
		return false;
	}
	add(t, any ? SLICE_LIT(" ") : SLICE_LIT("[journal@32473 "));
	add(t, slice_str(name));
	add(t, SLICE_LIT("=\""));
	add_escaped(t, slice_head(value, JOURNAL_FIELD_MAX), true);
	add(t, SLICE_LIT("\""));
	return true;
}

/* _UID is always the first, and _TRANSPORT of what the kernel's audit says the next:
 * parsers/trust.c looks for them there. */
static void add_fields(struct text *t, const struct strlist *fields)
{
	bool any = add_field(t, "_UID", false);
	struct slice transport;
	bool audit = field(t, "_TRANSPORT", &transport) &&
		     slice_eq(transport, SLICE_LIT("audit"));

	if (audit) {
		any = add_field(t, "_TRANSPORT", any) || any;
	}
	for (size_t i = 0; i < fields->n; i++) {
		if (strcmp(fields->v[i], "_UID") != 0 &&
		    !(audit && strcmp(fields->v[i], "_TRANSPORT") == 0)) {
			any = add_field(t, fields->v[i], any) || any;
		}
	}
	add(t, any ? SLICE_LIT("]") : SLICE_LIT("-"));
}

static void add_stamp(struct text *t, const struct journal_entry *e)
{
	uint64_t us = number(t, "_SOURCE_REALTIME_TIMESTAMP", INT64_MAX / 1000,
			     (uint64_t)e->realtime_us);
	char stamp[TIME_TEXT];

	if (us > INT64_MAX / 1000) {
		add(t, SLICE_LIT("- "));
		return;
	}
	time_format(stamp, (int64_t)us * 1000);
	add(t, slice_str(stamp));
	add(t, SLICE_LIT(" "));
}

static void add_priority(struct text *t)
{
	struct slice transport;
	bool kernel = field(t, "_TRANSPORT", &transport) &&
		      slice_eq(transport, SLICE_LIT("kernel"));
	uint64_t facility = number(t, "SYSLOG_FACILITY", 23, kernel ? 0 : 3);
	uint64_t severity = number(t, "PRIORITY", 7, 6);

	if (t->rc == 0) {
		t->rc = buf_printf(t->out, "<%u>1 ", (unsigned)(facility * 8 + severity));
	}
}

int journal_text(struct buf *out, const struct journal_calls *calls,
		 struct journal_reader *r, const struct journal_entry *e,
		 const struct strlist *fields, size_t line_max, bool *cut)
{
	struct text t = {out, calls, r, line_max, 0};
	struct slice message;

	*cut = false;
	buf_clear(out);
	add_priority(&t);
	add_stamp(&t, e);
	add_words(&t, "_HOSTNAME", NULL);
	add_words(&t, "SYSLOG_IDENTIFIER", "_COMM");
	add_words(&t, "_PID", "SYSLOG_PID");
	add_words(&t, "MESSAGE_ID", NULL);
	add_fields(&t, fields);
	if (field(&t, "MESSAGE", &message)) {
		add(&t, SLICE_LIT(" "));
		*cut = message.n > line_max;
		add_escaped(&t, slice_head(message, line_max), false);
	}
	if (out->n > line_max) {
		out->n = line_max;
		*cut = true;
	}
	return t.rc;
}
