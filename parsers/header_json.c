/* Headers of logs that are JSON, an object a line.
 *
 * Source: RFC 8259; systemd 252 src/shared/logs-show.c (output_json: `journalctl -o json`)
 * and systemd.journal-fields(7); Docker's json-file driver ("log", "stream", "time");
 * rsyslog's and syslog-ng's default names of properties; Elastic's, Fluent's and GELF's.
 *
 * Only the members of the object itself are looked at; of two with the same name the first
 * counts, as the writer's own come before what an application adds.  A message that is a
 * line of syslog itself (a container's) is read as one.
 *
 * Nothing is decoded.  Secrets are masked in the line as it stands, before it comes here: a
 * "\u0040" or an array of bytes that was made text afterwards would show what no rule of
 * redaction could see, in fields and in alerts.  So where a member that is taken holds an
 * escape, or is an array, the line has no header of JSON; only the newline that a
 * container's engine leaves at a message's end is cut off.  A message without a backslash
 * holds no quote either, and can't be an object itself: nothing nests.
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

/* A value: the text between the quotes of a string, or a number; an array (journald makes one
 * of what is not UTF-8) with its brackets. */
struct value {
	struct slice text;
	bool array;
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
	v->array = false;
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '\\') {
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

static bool stands_plain(const struct value *v)
{
	return !v->array && slice_chr(v->text, '\\') == SIZE_MAX;
}

/* All that is taken stands in the line as it is meant; see above. */
static bool all_plain(struct value members[static MEMBER_NR])
{
	/* Docker's log ends with its newline. */
	TAKE_END(&members[MEMBER_MESSAGE].text, "\\n");
	for (int i = 0; i < MEMBER_NR; i++) {
		if (!stands_plain(&members[i])) {
			return false;
		}
	}
	return true;
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

	if (!read_object(line, members) || members[MEMBER_MESSAGE].text.p == NULL ||
	    !all_plain(members)) {
		return false;
	}
	h->format = HEADER_OTHER;
	h->time_ns = time_of(r, members, observed_ns);
	h->priority = priority_of(members);
	h->host = members[MEMBER_HOST].text;
	h->program = members[MEMBER_PROGRAM].text;
	if (h->program.n == 0) {
		h->program = members[MEMBER_COMM].text;
	}
	h->pid = members[MEMBER_PID].text;
	if (slice_digits(h->pid) != h->pid.n) {
		h->pid = SLICE_NONE;
	}
	if (h->program.n == 0) {
		set_tag(h, members[MEMBER_TAG].text);
	}
	base = h->program;
	if (base.n > 0 && base.p[0] == '/' && take_last(&base, '/', &h->program)) {
		base = h->program;
	}
	h->message = members[MEMBER_MESSAGE].text;
	return true;
}

bool header_json(struct header_reader *r, struct slice line, int64_t observed_ns,
		 struct header *h, struct header_more *more)
{
	struct header outer;

	if (!HAS(line, "{") || !read_header(r, line, observed_ns, h)) {
		return false;
	}
	if (h->program.n > 0) {
		more->object = line;
		return true;
	}
	outer = *h;
	header_read(r, outer.message, observed_ns, h, more);
	more->object = line;
	if (h->format == HEADER_NONE) {
		*h = outer;
		return true;
	}
	h->time_ns = outer.time_ns != TIME_NONE ? outer.time_ns : h->time_ns;
	h->host = h->host.n > 0 ? h->host : outer.host;
	h->pid = h->pid.n > 0 ? h->pid : outer.pid;
	return true;
}
