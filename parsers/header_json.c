/* Headers of logs that are JSON, an object a line.
 *
 * Source: RFC 8259; systemd 252 src/shared/logs-show.c (output_json: `journalctl -o json`)
 * and systemd.journal-fields(7); Docker's json-file driver ("log", "stream", "time");
 * rsyslog's and syslog-ng's default names of properties; Elastic's, Fluent's and GELF's.
 *
 * Only the members of the object itself are looked at; of two with the same name the first
 * counts, as the writer's own come before what an application adds.  A message that is a
 * line of syslog itself (a container's) is read as one.
 */
#include "common/timefmt.h"
#include "parsers/header.h"
#include "parsers/scan.h"

enum { DEPTH_MAX = 32 };

enum member {
	MEMBER_TIME_US,
	MEMBER_TIME,
	MEMBER_HOST,
	MEMBER_PROGRAM,
	MEMBER_COMM,
	MEMBER_TAG,
	MEMBER_PID,
	MEMBER_SEVERITY,
	MEMBER_FACILITY,
	MEMBER_MESSAGE,
	MEMBER_NR
};

static const struct {
	struct slice name;
	enum member member;
} names[] = {
	{TEXT("__REALTIME_TIMESTAMP"), MEMBER_TIME_US},
	{TEXT("@timestamp"), MEMBER_TIME},
	{TEXT("timestamp"), MEMBER_TIME},
	{TEXT("time"), MEMBER_TIME},
	{TEXT("ts"), MEMBER_TIME},
	{TEXT("timereported"), MEMBER_TIME},
	{TEXT("date"), MEMBER_TIME},
	{TEXT("_HOSTNAME"), MEMBER_HOST},
	{TEXT("hostname"), MEMBER_HOST},
	{TEXT("host"), MEMBER_HOST},
	{TEXT("HOST"), MEMBER_HOST},
	{TEXT("host.name"), MEMBER_HOST},
	{TEXT("SYSLOG_IDENTIFIER"), MEMBER_PROGRAM},
	{TEXT("ident"), MEMBER_PROGRAM},
	{TEXT("program"), MEMBER_PROGRAM},
	{TEXT("PROGRAM"), MEMBER_PROGRAM},
	{TEXT("programname"), MEMBER_PROGRAM},
	{TEXT("process.name"), MEMBER_PROGRAM},
	{TEXT("appname"), MEMBER_PROGRAM},
	{TEXT("app-name"), MEMBER_PROGRAM},
	{TEXT("app_name"), MEMBER_PROGRAM},
	{TEXT("_COMM"), MEMBER_COMM},
	{TEXT("syslogtag"), MEMBER_TAG},
	{TEXT("syslog-tag"), MEMBER_TAG},
	{TEXT("tag"), MEMBER_TAG},
	{TEXT("_PID"), MEMBER_PID},
	{TEXT("SYSLOG_PID"), MEMBER_PID},
	{TEXT("pid"), MEMBER_PID},
	{TEXT("PID"), MEMBER_PID},
	{TEXT("procid"), MEMBER_PID},
	{TEXT("process.pid"), MEMBER_PID},
	{TEXT("PRIORITY"), MEMBER_SEVERITY},
	{TEXT("SYSLOG_FACILITY"), MEMBER_FACILITY},
	{TEXT("MESSAGE"), MEMBER_MESSAGE},
	{TEXT("message"), MEMBER_MESSAGE},
	{TEXT("msg"), MEMBER_MESSAGE},
	{TEXT("log"), MEMBER_MESSAGE},
	{TEXT("short_message"), MEMBER_MESSAGE},
};

/* A value: the text between the quotes of a string, or a number; an array of numbers,
 * which journald makes of what is not UTF-8, with its brackets. */
struct value {
	struct slice text;
	bool escaped, array;
};

static void skip_space(struct slice *s)
{
	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\n' ||
			    s->p[0] == '\r')) {
		s->p++;
		s->n--;
	}
}

/* A string, behind its first quote. */
static bool take_string(struct slice *s, struct value *v)
{
	v->escaped = v->array = false;
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '\\') {
			v->escaped = true;
			i++;
		} else if (s->p[i] == '"') {
			v->text = slice(s->p, i);
			*s = slice_skip(*s, i + 1);
			return true;
		}
	}
	return false;
}

/* An array or an object, behind its first bracket: to the one that closes it. */
static bool skip_nested(struct slice *s)
{
	struct value v;
	unsigned depth = 1;

	while (s->n > 0) {
		char b = s->p[0];

		*s = slice_skip(*s, 1);
		if (b == '"') {
			if (!take_string(s, &v)) {
				return false;
			}
		} else if (b == '[' || b == '{') {
			if (++depth > DEPTH_MAX) {
				return false;
			}
		} else if ((b == ']' || b == '}') && --depth == 0) {
			return true;
		}
	}
	return false;
}

static bool take_value(struct slice *s, struct value *v)
{
	struct slice from = *s;
	size_t n = 0;

	if (TAKE(s, "\"")) {
		return take_string(s, v);
	}
	v->escaped = false;
	v->array = HAS(*s, "[");
	if (TAKE(s, "[") || TAKE(s, "{")) {
		if (!skip_nested(s)) {
			return false;
		}
		v->text = v->array ? slice(from.p, from.n - s->n) : SLICE_NONE;
		return true;
	}
	while (n < s->n && s->p[n] != ',' && s->p[n] != '}' && s->p[n] != ' ') {
		n++;
	}
	v->text = slice_head(*s, n);
	*s = slice_skip(*s, n);
	if (IS(v->text, "null")) {
		v->text = SLICE_NONE;
	}
	return n > 0;
}

static void keep_member(struct value members[static MEMBER_NR], struct slice name,
			const struct value *v)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (slice_eq(names[i].name, name)) {
			struct value *to = &members[names[i].member];

			if (to->text.p == NULL) {
				*to = *v;
			}
			return;
		}
	}
}

/* "{"name":value,...}" and nothing behind it. */
static bool read_object(struct slice s, struct value members[static MEMBER_NR])
{
	struct value name, v;

	if (!TAKE(&s, "{")) {
		return false;
	}
	for (;;) {
		skip_space(&s);
		if (!TAKE(&s, "\"") || !take_string(&s, &name)) {
			return false;
		}
		skip_space(&s);
		if (!TAKE(&s, ":")) {
			return false;
		}
		skip_space(&s);
		if (!take_value(&s, &v)) {
			return false;
		}
		keep_member(members, name.text, &v);
		skip_space(&s);
		if (TAKE(&s, "}")) {
			skip_space(&s);
			return s.n == 0;
		}
		if (!TAKE(&s, ",")) {
			return false;
		}
	}
}

/* ---- texts ---- */

static int hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char b = (unsigned char)p[i], low = b | 0x20;

		if (is_digit(p[i])) {
			v = v * 16 + (b - '0');
		} else if (low >= 'a' && low <= 'f') {
			v = v * 16 + (low - 'a' + 10);
		} else {
			return -1;
		}
	}
	return v;
}

/* The code point behind "\u", and of a pair of surrogates the one they make. */
static int take_code(struct slice *s)
{
	int high, low;

	if (s->n < 4 || (high = hex4(s->p)) < 0) {
		return -1;
	}
	*s = slice_skip(*s, 4);
	if (high < 0xd800 || high > 0xdfff) {
		return high;
	}
	if (high >= 0xdc00 || s->n < 6 || !HAS(*s, "\\u") ||
	    (low = hex4(s->p + 2)) < 0xdc00 || low > 0xdfff) {
		return 0xfffd;
	}
	*s = slice_skip(*s, 6);
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(char *to, int code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static const char *unescaped(char b)
{
	switch (b) {
	case 'b':
		return "\b";
	case 'f':
		return "\f";
	case 'n':
		return "\n";
	case 'r':
		return "\r";
	case 't':
		return "\t";
	default:
		return b == '"' || b == '\\' || b == '/' ? "" : NULL;
	}
}

/* Without its escapes, in the reader's buffer; false: there is no room, or it is no JSON. */
static bool unescape(struct header_reader *r, struct slice s, struct slice *out)
{
	size_t n = 0;

	while (s.n > 0) {
		const char *plain;
		char b = s.p[0];
		int code;

		if (n + 4 > sizeof r->text) {
			return false;
		}
		s = slice_skip(s, 1);
		if (b != '\\') {
			r->text[n++] = b;
			continue;
		}
		if (TAKE(&s, "u")) {
			code = take_code(&s);
			if (code < 0) {
				return false;
			}
			n += put_utf8(r->text + n, code == 0 ? '?' : code);
			continue;
		}
		plain = s.n > 0 ? unescaped(s.p[0]) : NULL;
		if (plain == NULL) {
			return false;
		}
		r->text[n++] = *plain != '\0' ? *plain : s.p[0];
		s = slice_skip(s, 1);
	}
	*out = slice(r->text, n);
	return true;
}

/* "[70,97,...]": bytes. */
static bool from_array(struct header_reader *r, struct slice s, struct slice *out)
{
	size_t n = 0;

	TAKE(&s, "[");
	while (!TAKE(&s, "]")) {
		struct slice digits;
		uint64_t v;

		skip_space(&s);
		if (!take_digits(&s, &digits) || !slice_to_u64(digits, 255, &v) ||
		    n == sizeof r->text) {
			return false;
		}
		r->text[n++] = (char)(unsigned char)v;
		skip_space(&s);
		TAKE(&s, ",");
	}
	*out = slice(r->text, n);
	return true;
}

/* A message that can't be put into the buffer stays as it is in the line. */
static struct slice message_of(struct header_reader *r, const struct value *v)
{
	struct slice text = v->text;

	if (v->array) {
		from_array(r, text, &text);
	} else if (v->escaped) {
		unescape(r, text, &text);
	}
	TAKE_END(&text, "\n");
	TAKE_END(&text, "\r");
	return text;
}

/* ---- the header ---- */

/* Since 1970: the largest unit of seconds, milli-, micro- and nanoseconds in which it is a
 * time at all. */
static int64_t epoch(struct slice s)
{
	struct slice digits;
	uint64_t v;
	int64_t ns;

	if (stamp_epoch(&s, &ns)) {
		return ns;
	}
	if (!take_digits(&s, &digits) || !slice_to_u64(digits, INT64_MAX, &v)) {
		return TIME_NONE;
	}
	for (uint64_t unit = NS_PER_S; unit > 1; unit /= 1000) {
		if (v <= INT64_MAX / unit) {
			return (int64_t)(v * unit);
		}
	}
	return (int64_t)v;
}

static int64_t time_of(struct header_reader *r, const struct value members[static MEMBER_NR],
		       int64_t observed_ns)
{
	struct slice s = members[MEMBER_TIME_US].text;
	uint64_t us;
	int64_t ns;

	if (s.n > 0 && slice_to_u64(s, INT64_MAX / 1000, &us)) {
		return (int64_t)us * 1000;
	}
	s = members[MEMBER_TIME].text;
	if (s.n > 0 && stamp_iso(r, &s, observed_ns, &ns)) {
		return ns;
	}
	return s.n > 0 ? epoch(members[MEMBER_TIME].text) : TIME_NONE;
}

static struct slice plain(const struct value *v)
{
	return v->escaped || v->array ? SLICE_NONE : v->text;
}

/* "sshd[7]:" */
static void set_tag(struct header *h, struct slice tag)
{
	struct slice name, pid;

	TAKE_END(&tag, ":");
	if (TAKE_END(&tag, "]") && take_last(&tag, '[', &pid) &&
	    slice_digits(pid) == pid.n) {
		h->pid = pid;
	}
	name = tag;
	if (slice_chr(name, ' ') == SIZE_MAX) {
		h->program = name;
	}
}

static int priority_of(const struct value members[static MEMBER_NR])
{
	uint64_t facility, severity;

	return slice_to_u64(members[MEMBER_FACILITY].text, 23, &facility) &&
			       slice_to_u64(members[MEMBER_SEVERITY].text, 7, &severity)
		       ? (int)(facility * 8 + severity)
		       : -1;
}

static bool read_header(struct header_reader *r, struct slice line, int64_t observed_ns,
			struct header *h)
{
	struct value members[MEMBER_NR] = {0};
	struct slice base;

	if (!read_object(line, members) || members[MEMBER_MESSAGE].text.p == NULL) {
		return false;
	}
	h->format = HEADER_OTHER;
	h->time_ns = time_of(r, members, observed_ns);
	h->priority = priority_of(members);
	h->host = plain(&members[MEMBER_HOST]);
	h->program = plain(&members[MEMBER_PROGRAM]);
	if (h->program.n == 0) {
		h->program = plain(&members[MEMBER_COMM]);
	}
	h->pid = plain(&members[MEMBER_PID]);
	if (slice_digits(h->pid) != h->pid.n) {
		h->pid = SLICE_NONE;
	}
	if (h->program.n == 0) {
		set_tag(h, plain(&members[MEMBER_TAG]));
	}
	base = h->program;
	if (base.n > 0 && base.p[0] == '/' && take_last(&base, '/', &h->program)) {
		base = h->program;
	}
	h->message = message_of(r, &members[MEMBER_MESSAGE]);
	return true;
}

bool header_json(struct header_reader *r, struct slice line, int64_t observed_ns,
		 struct header *h, struct header_more *more)
{
	struct header outer;

	if (!HAS(line, "{") || !read_header(r, line, observed_ns, h)) {
		return false;
	}
	if (h->program.n > 0 || HAS(h->message, "{")) {
		return true;
	}
	outer = *h;
	header_read(r, outer.message, observed_ns, h, more);
	if (h->format == HEADER_NONE) {
		*h = outer;
		return true;
	}
	h->time_ns = outer.time_ns != TIME_NONE ? outer.time_ns : h->time_ns;
	h->host = h->host.n > 0 ? h->host : outer.host;
	h->pid = h->pid.n > 0 ? h->pid : outer.pid;
	return true;
}
