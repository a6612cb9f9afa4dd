#include "parsers/header.h"

#include <endian.h>

#include "parsers/family.h"

enum {
	TAG_MAX = 64, /* RFC 3164 allows 32; systemd's units are longer */
	PRIORITY_MAX = 191,
};

static const struct slice facilities[] = {
	{"kern", 4}, {"user", 4}, {"mail", 4}, {"daemon", 6}, {"auth", 4},
	{"syslog", 6}, {"lpr", 3}, {"news", 4}, {"uucp", 4}, {"cron", 4},
	{"authpriv", 8}, {"ftp", 3}, {"ntp", 3}, {"security", 8},
	{"console", 7}, {"clock", 5}, {"local0", 6}, {"local1", 6},
	{"local2", 6}, {"local3", 6}, {"local4", 6}, {"local5", 6},
	{"local6", 6}, {"local7", 6},
};

static const struct slice severities[] = {
	{"emerg", 5}, {"alert", 5}, {"crit", 4}, {"err", 3}, {"warn", 4},
	{"notice", 6}, {"info", 4}, {"debug", 5},
};

static int find_name(const struct slice *names, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq(names[i], s)) {
			return (int)i;
		}
	}
	return -1;
}

/* "authpriv.info" as a priority, or -1. */
static int facility_severity(struct slice word)
{
	struct slice facility;
	int f, s;

	if (word.n > 16 || !take_until(&word, '.', &facility)) {
		return -1;
	}
	f = find_name(facilities, sizeof facilities / sizeof *facilities,
		      facility);
	if (IS(word, "warning")) {
		s = 4;
	} else if (IS(word, "error")) {
		s = 3;
	} else if (IS(word, "panic")) {
		s = 0;
	} else {
		s = find_name(severities,
			      sizeof severities / sizeof *severities, word);
	}
	return f < 0 || s < 0 ? -1 : f * 8 + s;
}

/* "<38>" */
static bool take_priority(struct slice *s, int *priority)
{
	struct slice t = *s, digits;
	uint64_t v;

	if (!TAKE(&t, "<") || !take_digits(&t, &digits) || digits.n > 3 ||
	    !TAKE(&t, ">") || !slice_to_u64(digits, PRIORITY_MAX, &v)) {
		return false;
	}
	*priority = (int)v;
	*s = t;
	return true;
}

enum tag_form { TAG_NONE, TAG_BARE /* "prog[1] ", no colon */, TAG_FULL };

static bool tag_char(char c)
{
	return (unsigned char)c > ' ' && c != ':' && c != '[' && c != ']' &&
	       c != '(' && c != '<' && c != '"' && c != '=';
}

/* "name[pid]: ", "name: ", "name(pam_unix)[pid]: ", "name[pid] ", "[name] ".
 * On TAG_NONE nothing is changed. */
static enum tag_form take_tag(struct slice *s, struct header *h,
			 struct header_more *more)
{
	struct slice t = *s, name, module = SLICE_NONE, pid = SLICE_NONE;
	bool metalog = TAKE(&t, "[");
	size_t n = 0;

	/* "(cron)[1]:" is a process that has not taken its own name yet. */
	if (!metalog && t.n > 0 && t.p[0] == '(') {
		n = 1;
	}
	while (n < t.n && n < TAG_MAX && tag_char(t.p[n])) {
		n++;
	}
	if (n == 0) {
		return TAG_NONE;
	}
	name = slice(t.p, n);
	t = slice_skip(t, n);
	if (metalog) {
		if (!TAKE(&t, "]")) {
			return TAG_NONE;
		}
		pid = slice(name.p, 0);
	} else {
		if (TAKE(&t, "(")) {
			if (!take_until(&t, ')', &module) || module.n > 32 ||
			    (module.n > 0 &&
			     memchr(module.p, ' ', module.n) != NULL)) {
				return TAG_NONE;
			}
		}
		if (TAKE(&t, "[")) {
			if (!take_digits(&t, &pid) || !TAKE(&t, "]")) {
				return TAG_NONE;
			}
		}
	}
	if (TAKE(&t, ":")) {
		if (t.n > 0 && t.p[0] != ' ' && pid.p == NULL) {
			return TAG_NONE; /* An IPv6 address, a time. */
		}
	} else if (pid.p == NULL || (t.n > 0 && t.p[0] != ' ')) {
		return TAG_NONE;
	}
	h->program = header_base_name(name);
	h->pid = pid;
	more->module = module;
	TAKE(&t, " ");
	h->message = t;
	n = (size_t)(t.p - s->p);
	*s = t;
	return n >= 2 && (t.p[-1] == ':' || t.p[-2] == ':') ? TAG_FULL
							     : TAG_BARE;
}

/* "[ID 800047 auth.info] " in front of Solaris' messages. */
static void skip_solaris(struct slice *m)
{
	struct slice t = *m, digits, word;

	if (TAKE(&t, "[ID ") && take_digits(&t, &digits) && TAKE(&t, " ") &&
	    take_until(&t, ']', &word) && facility_severity(word) >= 0) {
		TAKE(&t, " ");
		*m = t;
	}
}

static inline void skip_msgid(struct slice *m)
{
	if (m->n > 0 && m->p[0] == '[') {
		skip_solaris(m);
	}
}

/* "name[192.0.2.1]" is a host that a relay names with its address. */
static struct slice host_name(struct slice word)
{
	struct slice name;

	if (word.n > 2 && word.p[word.n - 1] == ']' &&
	    take_until(&word, '[', &name) && name.n > 0) {
		return name;
	}
	return word;
}

/* tag_char() as a table: x is one. */
static const char plain_bytes[256 + 1] =
	"................................"
	".x.xxxxx.xxxxxxxxxxxxxxxxx.x..xx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxx.x.xx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

#if defined(__SSE2__)
static inline __m128i is_either(__m128i v, char a, char b)
{
	return _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(a)),
			    _mm_cmpeq_epi8(v, _mm_set1_epi8(b)));
}

/* Bit i: p[i] is not plain. */
static inline unsigned odd16(const char *p)
{
	__m128i v = _mm_loadu_si128((const void *)p), blank = _mm_set1_epi8(' ');
	__m128i odd = _mm_cmpeq_epi8(_mm_min_epu8(v, blank), v);

	odd = _mm_or_si128(odd, is_either(v, ':', '='));
	odd = _mm_or_si128(_mm_or_si128(odd, is_either(v, '[', ']')),
			   _mm_or_si128(is_either(v, '(', '<'), is_either(v, '"', '"')));
	return (unsigned)_mm_movemask_epi8(odd);
}
#endif

/* How many plain bytes s begins with, TAG_MAX at most. */
static size_t plain_run(struct slice s)
{
	size_t n = 0, max = s.n < TAG_MAX ? s.n : TAG_MAX;

#if defined(__SSE2__)
	for (; max - n >= 16; n += 16) {
		unsigned odd = odd16(s.p + n);

		if (odd != 0) {
			return n + (unsigned)__builtin_ctz(odd);
		}
	}
#endif
	while (n < max && plain_bytes[(unsigned char)s.p[n]] == 'x') {
		n++;
	}
	return n;
}

/* The first bytes of the word p stands at, up to a bracket or colon that is among
 * them, in eight bytes; *more: there is none. */
static inline uint64_t name_word(const char *p, bool *more)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t word, bracket, colon, end;

	memcpy(&word, p, sizeof word);
	word = le64toh(word);
	bracket = word ^ ones * '[';
	colon = word ^ ones * ':';
	end = ((bracket - ones) & ~bracket & high) |
	      ((colon - ones) & ~colon & high);
	*more = end == 0;
	return end == 0 ? word : word & ((end & -end) - 1);
}

/* The two places where a line with this tag is remembered; NULL: it is too short. */
static inline struct tag *tag_set(struct header_reader *r, struct slice s, size_t host_n)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
	const char *name = s.p + host_n + 1;
	uint64_t host, word;
	bool more;

	if (host_n == 0 || s.n < host_n + 1 + 2 * sizeof word) {
		return NULL;
	}
	/* The host's length and last letter, for streams of several hosts. */
	host = host_n * 37 + (unsigned char)s.p[host_n - 1];
	word = name_word(name, &more);
	if (more) {
		/* "systemd-logind" and "systemd-resolved" */
		word = word * golden ^ name_word(name + sizeof word, &more);
	}
	return r->tags[(word ^ host << 24) * golden >> 59];
}
_Static_assert(TAG_SETS == 1 << (64 - 59), "tag_set() gives so many");

static inline bool begins_with(struct slice s, const struct tag *tag)
{
	return tag->n > 0 &&
	       slice_eq_short(slice_head(s, tag->n), slice(tag->text, tag->n));
}

static inline bool take_pid(struct slice *t, struct slice *pid)
{
	return take_digits(t, pid) && t->n >= 3 && t->p[0] == ']' &&
	       t->p[1] == ':' && t->p[2] == ' ';
}

/* A line that begins as one before it did.  On false nothing is changed. */
static bool read_again(struct header_reader *r, struct slice s,
		       struct header *h, struct header_more *more)
{
	struct slice t = slice_head(s, TAG_MAX), host, pid = SLICE_NONE;
	struct tag *tag;

	if ((s.n <= r->host_n || s.p[r->host_n] != ' ') &&
	    take_until(&t, ' ', &host)) {
		r->host_n = host.n;
	}
	tag = tag_set(r, s, r->host_n);
	if (tag == NULL || (!begins_with(s, tag) && !begins_with(s, ++tag))) {
		return false;
	}
	t = slice_skip(s, tag->n);
	if (tag->has_pid) {
		if (!take_pid(&t, &pid)) {
			return false;
		}
		t = slice_skip(t, 3);
	}
	more->tag = tag;
	h->host = slice(s.p, tag->host_n);
	h->program = slice(s.p + tag->program, tag->program_n);
	h->pid = pid;
	h->message = t;
	skip_msgid(&h->message);
	return true;
}

static void remember_tag(struct header_reader *r, struct slice s, size_t n,
			 const struct header *h, struct header_more *more)
{
	struct tag *tag = tag_set(r, s, h->host.n);

	r->host_n = h->host.n;
	if (tag == NULL || n > sizeof tag->text) {
		return;
	}
	tag[1] = tag[0];
	*tag = (struct tag){.n = (uint8_t)n,
			    .host_n = (uint8_t)h->host.n,
			    .program = (uint8_t)(h->program.p - s.p),
			    .program_n = (uint8_t)h->program.n,
			    .has_pid = h->pid.n > 0};
	memcpy(tag->text, s.p, n);
	more->tag = tag;
}

/* "host program[123]: message" or "host program: message", as nearly all lines
 * have it: what read_rest() would find, in one pass.  On false nothing is
 * changed. */
static bool read_usual(struct header_reader *r, struct slice s,
		       struct header *h, struct header_more *more)
{
	size_t host = plain_run(s), name;
	struct slice t = slice_skip(s, host + 1), tag, pid = SLICE_NONE;

	if (host == 0 || host == TAG_MAX || t.n == 0 || s.p[host] != ' ') {
		return false;
	}
	skip_blanks(&t);
	name = plain_run(t);
	if (name == 0 || name == TAG_MAX) {
		return false;
	}
	tag = slice(t.p, name);
	t = slice_skip(t, name);
	if (take_char(&t, '[')) {
		if (!take_pid(&t, &pid)) {
			return false;
		}
		t = slice_skip(t, 3);
	} else if (!TAKE(&t, ": ")) {
		return false;
	}
	h->host = slice(s.p, host);
	h->program = header_base_name(tag);
	h->pid = pid;
	h->message = t;
	remember_tag(r, s, (size_t)((pid.n > 0 ? pid.p : t.p) - s.p), h, more);
	skip_msgid(&h->message);
	return true;
}

/* What follows a stamp: "[host] [facility.level] tag: message". */
static void read_rest(struct slice s, struct header *h,
		      struct header_more *more)
{
	struct slice whole, word;
	enum tag_form first;
	int priority;

	skip_blanks(&s);
	whole = s;
	first = take_tag(&s, h, more);
	if (first == TAG_FULL) {
		if (facility_severity(h->program) >= 0) {
			h->priority = facility_severity(h->program);
			h->program = SLICE_NONE;
		}
		skip_msgid(&h->message);
		return;
	}
	if (first == TAG_BARE) {
		struct header second = *h;

		/* "sshd[1] text" and "host[1] sshd[1]: text" differ only in
		 * what comes next. */
		if (whole.p[0] == '[' ||
		    take_tag(&s, &second, more) != TAG_FULL) {
			skip_msgid(&h->message);
			return;
		}
		h->host = h->program;
		h->program = second.program;
		h->pid = second.pid;
		h->message = second.message;
		skip_msgid(&h->message);
		return;
	}
	s = whole;
	if (!take_word(&s, &word)) {
		h->message = whole;
		return;
	}
	h->host = host_name(word);
	skip_blanks(&s);
	h->message = s;
	whole = s;
	if (take_word(&s, &word) && (priority = facility_severity(word)) >= 0) {
		h->priority = priority;
		h->message = s;
	} else {
		s = whole;
	}
	if (take_tag(&s, h, more) != TAG_NONE) {
		skip_msgid(&h->message);
	}
}

/* OpenWrt: the level stands between stamp and tag, there is no host. */
static void read_logread(struct slice s, struct header *h,
			 struct header_more *more)
{
	struct slice t = s, word, digits;
	int priority;

	skip_blanks(&t);
	/* logread -t: "[1700000000.123] " */
	if (TAKE(&t, "[") && take_digits(&t, &digits) && TAKE(&t, ".") &&
	    take_digits(&t, &digits) && TAKE(&t, "]")) {
		skip_blanks(&t);
	} else {
		t = s;
		skip_blanks(&t);
	}
	h->format = HEADER_OTHER;
	h->message = t;
	s = t;
	if (take_word(&t, &word) && (priority = facility_severity(word)) >= 0) {
		h->format = HEADER_LOGREAD;
		h->priority = priority;
		h->message = t;
		if (take_tag(&t, h, more) == TAG_NONE) {
			h->message = t;
		}
	} else if (!HAS(s, "[pid ")) {
		/* Mmm dd stamps with a day's name and year from other syslogs. */
		h->format = HEADER_RFC3164;
		read_rest(s, h, more);
	}
}

enum {
	CLF_STAMP = 26,     /* "22/Nov/2026:15:37:46 +0100" */
	CLF_CLIENT = 2048,  /* what stands in front of it: a user's name may be long */
};

/* An access log: "192.0.2.1 - user [22/Nov/2026:15:37:46 +0100] "GET ...".  Servers
 * escape the quotes in a user's name, and nothing else of it. */
static bool read_access(struct slice line, struct header *h)
{
	size_t at = slice_find(slice_head(line, CLF_CLIENT), SLICE_LIT("] \""));
	struct slice s;
	int64_t ns;

	if (at == SIZE_MAX || at < CLF_STAMP + 1 || line.p[at - CLF_STAMP - 1] != '[') {
		return false;
	}
	s = slice(line.p + at - CLF_STAMP, CLF_STAMP);
	if (!stamp_clf(&s, &ns) || s.n != 0) {
		return false;
	}
	h->format = HEADER_OTHER;
	h->time_ns = ns;
	h->message = line;
	return true;
}

/* Stamps that stand elsewhere than in front of a syslog line. */
static bool read_other(struct header_reader *r, struct slice line,
		       int64_t observed_ns, struct header *h,
		       struct header_more *more)
{
	struct slice s = line;
	size_t at;
	int64_t ns;

	if (TAKE(&s, "[") && stamp_asctime(r, &s, observed_ns, &ns) &&
	    TAKE(&s, "]")) {
		more->web = true; /* Apache's error log */
		TAKE(&s, " ");
		h->message = s;
	} else if (HAS(line, "type=") || HAS(line, "node=")) {
		at = slice_find(slice_head(line, 512),
				SLICE_LIT(" msg=audit("));
		s = slice_skip(line, at == SIZE_MAX ? line.n : at + 11);
		if (!stamp_epoch(&s, &ns)) {
			return false;
		}
		h->message = line;
	} else if (read_access(line, h)) {
		more->web = true;
		return true;
	} else {
		return false;
	}
	h->format = HEADER_OTHER;
	h->time_ns = ns;
	return true;
}

void header_read(struct header_reader *r, struct slice line,
		 int64_t observed_ns, struct header *h,
		 struct header_more *more)
{
	struct slice s = line, stamp;
	int64_t ns;

	*h = (struct header){HEADER_NONE, TIME_NONE, -1, SLICE_NONE, SLICE_NONE,
			     SLICE_NONE, line, SLICE_NONE, SLICE_NONE};
	*more = (struct header_more){SLICE_NONE, false, NULL};
	if (take_priority(&s, &h->priority)) {
		h->message = s;
		if (header_5424(r, s, observed_ns, h)) {
			return;
		}
	}
	stamp = s;
	if (stamp_bsd_again(&r->bsd, &s, observed_ns, &ns)) {
		h->format = HEADER_RFC3164;
	} else if (stamp_iso_again(&r->iso, &s, &ns)) {
		h->format = HEADER_ISO;
	} else if (s.n > 0 && !is_digit(s.p[0]) &&
		   stamp_bsd(r, &s, observed_ns, &ns)) {
		h->format = HEADER_RFC3164;
		TAKE(&s, ":");
	} else if (stamp_iso(r, &s, observed_ns, &ns)) {
		h->format = HEADER_ISO;
	} else if (stamp_asctime(r, &s, observed_ns, &ns)) {
		h->time_ns = ns;
		read_logread(s, h, more);
		return;
	} else {
		more->body = s;
		if (read_other(r, s, observed_ns, h, more) ||
		    header_json(r, s, observed_ns, h, more)) {
			return;
		}
		if (h->priority >= 0 && take_tag(&s, h, more) != TAG_NONE) {
			/* What programs write to /dev/log without a stamp. */
			h->format = HEADER_RFC3164;
		}
		return;
	}
	h->time_ns = ns;
	if (h->format == HEADER_ISO && stamp.p[4] == '/') {
		h->format = HEADER_OTHER; /* nginx's error log */
		more->web = true;
		skip_blanks(&s);
		h->message = s;
		more->body = s;
		return;
	}
	skip_blanks(&s);
	if (!read_again(r, s, h, more) && !read_usual(r, s, h, more)) {
		more->body = s;
		read_rest(s, h, more);
		if (h->program.n == 0 && h->format == HEADER_ISO) {
			package_header(stamp, s, h, more);
		}
	}
}
