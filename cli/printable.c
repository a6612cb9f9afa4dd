#include "cli/printable.h"

#include <stdlib.h>

/* A character at the start of s: its length in bytes and code, or 1 and -1 for a byte that
 * begins none (RFC 3629). */
static size_t decode(struct slice s, int32_t *code)
{
	static const struct {
		unsigned char mask, lead;
		size_t n;
		int32_t least;
	} forms[] = {{0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
	unsigned char c = (unsigned char)s.p[0];

	*code = c < 0x80 ? c : -1;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		int32_t v = c & ~forms[i].mask;
		size_t n = 1;

		if ((c & forms[i].mask) != forms[i].lead || s.n < forms[i].n) {
			continue;
		}
		for (; n < forms[i].n && ((unsigned char)s.p[n] & 0xc0) == 0x80; n++) {
			v = v << 6 | ((unsigned char)s.p[n] & 0x3f);
		}
		if (n == forms[i].n && v >= forms[i].least && v <= 0x10ffff &&
		    (v < 0xd800 || v > 0xdfff)) {
			*code = v;
			return n;
		}
	}
	return 1;
}

static bool stays(int32_t code, bool ascii)
{
	return (code >= 0x20 && code < 0x7f) ||
	       (!ascii && code > 0xa0 && code < 0x250 && code != 0xad /* soft hyphen */);
}

int printable_add(struct buf *out, struct slice text, bool ascii)
{
	int rc = 0;

	while (text.n > 0 && rc == 0) {
		int32_t code;
		size_t n = decode(text, &code);

		if (stays(code, ascii)) {
			rc = buf_add(out, text.p, n);
		} else if (code < 0x80) {
			rc = buf_printf(out, "\\x%02x", (unsigned char)text.p[0]);
		} else {
			rc = buf_printf(out, "\\u{%x}", (unsigned)code);
		}
		text = slice_skip(text, n);
	}
	return rc;
}

static bool begins(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t printable_width(struct slice printable)
{
	size_t width = 0;

	for (size_t i = 0; i < printable.n; i++) {
		width += begins(printable.p[i]);
	}
	return width;
}

/* Where the character behind the first n begins. */
static size_t behind(struct slice s, size_t n)
{
	size_t at = 0;

	for (; at < s.n && (n > 0 || !begins(s.p[at])); at++) {
		n -= begins(s.p[at]);
	}
	return at;
}

int printable_shorten(struct buf *out, struct slice printable, size_t width, bool ascii)
{
	struct slice mark = ascii ? SLICE_LIT("..") : SLICE_LIT("\xe2\x80\xa6");
	size_t mark_width = ascii ? 2 : 1, whole = printable_width(printable), head, tail;
	int rc;

	if (whole <= width) {
		return buf_add_slice(out, printable);
	}
	if (width <= mark_width) {
		return buf_add_slice(out, slice_head(SLICE_LIT(".."), width));
	}
	tail = (width - mark_width) / 2;
	head = width - mark_width - tail;
	rc = buf_add_slice(out, slice_head(printable, behind(printable, head)));
	rc = rc != 0 ? rc : buf_add_slice(out, mark);
	return rc != 0 ? rc
		       : buf_add_slice(out, slice_skip(printable, behind(printable, whole - tail)));
}

bool printable_is_utf8(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *value = getenv(variables[i]);

		if (value != NULL && value[0] != '\0') {
			return strcasestr(value, "utf-8") != NULL ||
			       strcasestr(value, "utf8") != NULL;
		}
	}
	return false;
}
