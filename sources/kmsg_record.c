#include "sources/kmsg_record.h"

#include "common/err.h"
#include "common/timefmt.h"

enum {
	PRIORITY_MAX = 0x3ff, /* what the kernel keeps of one that is written to it */
	SYSLOG_MAX = 191,     /* what a header may say (RFC 5424) */
	USER = 1 << 3,
	TAG_MAX = 48,
};

/* Cuts a number and the character behind it. */
static bool take_number(struct slice *s, uint64_t max, char end, uint64_t *out)
{
	size_t n = 0;

	while (n < s->n && s->p[n] != end) {
		n++;
	}
	if (n == s->n || !slice_to_u64(slice_head(*s, n), max, out)) {
		return false;
	}
	*s = slice_skip(*s, n + 1);
	return true;
}

static struct slice without_newline(struct slice s)
{
	while (s.n > 0 && s.p[s.n - 1] == '\n') {
		s.n--;
	}
	return s;
}

int kmsg_decode(struct kmsg_record *out, struct slice bytes)
{
	struct slice s = bytes;
	uint64_t priority;
	size_t semicolon, newline;

	if (!take_number(&s, PRIORITY_MAX, ',', &priority) ||
	    /* The number behind it must not be 2^64. */
	    !take_number(&s, UINT64_MAX - 1, ',', &out->sequence) ||
	    !take_number(&s, UINT64_MAX / 1000, ',', &out->time_us)) {
		return ERR_MALFORMED;
	}
	semicolon = slice_find(s, SLICE_LIT(";"));
	if (semicolon == SIZE_MAX || semicolon == 0) {
		return ERR_MALFORMED;
	}
	out->priority = (uint32_t)priority;
	out->part = s.p[0] == 'c' || s.p[0] == '+';
	s = without_newline(slice_skip(s, semicolon + 1));
	newline = slice_find(s, SLICE_LIT("\n"));
	out->message = slice_head(s, newline);
	out->fields = newline == SIZE_MAX ? SLICE_NONE : slice_skip(s, newline + 1);
	return 0;
}

/* ---- as a line ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The byte that an escape at the start of s stands for, or -1. */
static int escaped(struct slice s)
{
	if (s.n < 4 || s.p[0] != '\\' || s.p[1] != 'x' || hex(s.p[2]) < 0 ||
	    hex(s.p[3]) < 0) {
		return -1;
	}
	return hex(s.p[2]) << 4 | hex(s.p[3]);
}

static int add_unescaped(struct buf *out, struct slice s)
{
	int rc = 0;

	while (s.n > 0 && rc == 0) {
		int byte = escaped(s);
		/* A newline would be the end of this line and the start of one that
		 * whoever named a device may have made up. */
		bool undo = byte >= ' ' && byte != 0x7f;

		if (undo) {
			rc = buf_add_u8(out, (uint8_t)byte);
		} else if (*s.p == '\n') {
			rc = buf_add_u8(out, ' ');
		} else {
			rc = buf_add_u8(out, (uint8_t)*s.p);
		}
		s = slice_skip(s, undo ? 4 : 1);
	}
	return rc;
}

/* Each on a line of its own, behind a blank. */
static int add_fields(struct buf *out, struct slice s)
{
	int rc = 0;

	while (s.n > 0 && rc == 0) {
		size_t n = slice_find(s, SLICE_LIT("\n"));
		struct slice line = slice_trim(slice_head(s, n));

		rc = line.n > 0 ? buf_add_u8(out, ' ') : 0;
		rc = rc != 0 ? rc : add_unescaped(out, line);
		s = n == SIZE_MAX ? SLICE_NONE : slice_skip(s, n + 1);
	}
	return rc;
}

static bool tag_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '/';
}

/* "name: " or "name[1]: ", and not the kernel's. */
static bool has_tag(struct slice s)
{
	size_t n = 0;

	while (n < s.n && n < TAG_MAX && tag_char(s.p[n])) {
		n++;
	}
	if (n == 0 || slice_eq(slice_head(s, n), SLICE_LIT("kernel"))) {
		return false;
	}
	if (n < s.n && s.p[n] == '[') {
		size_t digits = ++n;

		while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') {
			n++;
		}
		if (n == digits || n == s.n || s.p[n++] != ']') {
			return false;
		}
	}
	return n + 1 < s.n && s.p[n] == ':' && s.p[n + 1] == ' ';
}

int kmsg_text(const struct kmsg_record *r, int64_t time_ns, struct slice host,
	      struct buf *out)
{
	char stamp[TIME_TEXT];
	const char *tag = r->priority >> 3 == 0 ? "kernel: "
			  : has_tag(r->message) ? ""
						: "kmsg: ";
	unsigned priority = r->priority <= SYSLOG_MAX ? r->priority
						      : USER | (r->priority & 7);
	int rc;

	buf_clear(out);
	time_format(stamp, time_ns / 1000 * 1000);
	rc = buf_printf(out, "<%u>%s %.*s %s", priority, stamp, SLICE_ARG(host), tag);
	rc = rc != 0 ? rc : add_unescaped(out, r->message);
	return rc != 0 ? rc : add_fields(out, r->fields);
}
