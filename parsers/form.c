#include "parsers/form.h"

#include "parsers/scan.h"

/* Lines that are made to fit nearly, in many ways, are given up. */
enum { STEPS_MAX = 30000 };

static bool fits(struct slice form, struct slice m, struct form_found *f);

/* The field is m's first n bytes, and the rest of the form fits what is behind them. */
static bool rest_fits(struct slice form, struct slice m, size_t n, struct form_found *f)
{
	return fits(slice_skip(form, 2), slice_skip(m, n), f);
}

/* No field follows this one: then its length is told by m's, and otherwise at least 0. */
static size_t shortest(struct slice form, struct slice m)
{
	size_t tail = form.n - 2;

	return memchr(form.p + 2, '%', tail) == NULL && m.n > tail ? m.n - tail : 0;
}

/* The user: all that the rest leaves. */
static bool user_fits(struct slice form, struct slice m, struct form_found *f)
{
	for (size_t n = m.n + 1, least = shortest(form, m); n-- > least;) {
		if (rest_fits(form, m, n, f)) {
			f->user = slice_head(m, n);
			return true;
		}
	}
	return false;
}

/* What a text of this kind can't hold. */
static struct slice barred(char kind)
{
	switch (kind) {
	case 'h':
		return SLICE_LIT("]:");
	case 'l':
		return SLICE_LIT(":  ");
	case 'q':
		return SLICE_LIT("'");
	default:
		return SLICE_NONE;
	}
}

static bool text_fits(struct slice form, struct slice m, struct form_found *f)
{
	struct slice bar = barred(form.p[1]);
	size_t at = bar.n == 0 ? SIZE_MAX : slice_find(m, bar);
	size_t most = at == SIZE_MAX ? m.n : at + bar.n - 1;

	for (size_t n = shortest(form, m); n <= most; n++) {
		if (rest_fits(form, m, n, f)) {
			return true;
		}
	}
	return false;
}

/* The first word of a stamp and the blanks behind it: one that begins with a digit, or is in
 * brackets.  0: none. */
static size_t stamp_word(struct slice s)
{
	size_t n = 0, close;

	if (s.n > 0 && is_digit(s.p[0])) {
		n = slice_chr(s, ' ');
	} else {
		while (n < s.n && s.p[n] >= 'A' && s.p[n] <= 'Z') {
			n++;
		}
		if (n == s.n || (s.p[n] != '[' && s.p[n] != '<')) {
			return 0;
		}
		while (n < s.n && (s.p[n] == '[' || s.p[n] == '<')) {
			close = slice_chr(slice_skip(s, n), s.p[n] == '[' ? ']' : '>');
			if (close == SIZE_MAX) {
				return 0;
			}
			n += close + 1;
		}
		n += n < s.n && s.p[n] == ':';
	}
	if (n >= s.n || s.p[n] != ' ') {
		return 0;
	}
	while (n < s.n && s.p[n] == ' ') {
		n++;
	}
	return n;
}

static bool stamp_fits(struct slice form, struct slice m, struct form_found *f)
{
	size_t n = 0, word;

	while ((word = stamp_word(slice_skip(m, n))) > 0) {
		n += word;
	}
	return rest_fits(form, m, n, f);
}

/* "[HOST ][ADDRESS][ (may be forged)]" at m's beginning. */
static bool relay_fits(struct slice form, struct slice m, struct form_found *f)
{
	struct slice rest = m, host, address;

	if (!HAS(rest, "[") && (!take_word(&rest, &host) || !HAS(rest, "["))) {
		return false;
	}
	if (!TAKE(&rest, "[") || !take_until(&rest, ']', &address)) {
		return false;
	}
	TAKE(&rest, " (may be forged)");
	TAKE(&address, "IPv6:"); /* sendmail */
	if (!rest_fits(form, m, (size_t)(rest.p - m.p), f)) {
		return false;
	}
	f->address = address;
	return true;
}

/* A word as long as can be: up to a blank, a quote or a bracket. */
static bool word_fits(struct slice form, struct slice m, struct form_found *f)
{
	char kind = form.p[1];
	size_t n = 0;

	while (n < m.n && m.p[n] != ' ' && m.p[n] != ']' && m.p[n] != '\'' && m.p[n] != '"' &&
	       ((kind != 'p' && kind != 'n') || is_digit(m.p[n]))) {
		n++;
	}
	/* "192.0.2.1:4711", "plain: ..": as much of it as the rest leaves. */
	do {
		if (!rest_fits(form, m, n, f)) {
			continue;
		}
		if (kind == 'a') {
			f->address = slice_head(m, n);
		} else if (kind == 'p') {
			f->port = slice_head(m, n);
		} else if (kind == 'i') {
			f->id = slice_head(m, n);
		}
		return kind == 'w' || n > 0;
	} while (n-- > 0);
	return false;
}

static bool fits(struct slice form, struct slice m, struct form_found *f)
{
	const char *field = form.n == 0 ? NULL : memchr(form.p, '%', form.n);
	size_t n = field == NULL ? form.n : (size_t)(field - form.p);

	if (++f->steps > STEPS_MAX || m.n < n || memcmp(m.p, form.p, n) != 0) {
		return false;
	}
	form = slice_skip(form, n);
	m = slice_skip(m, n);
	if (form.n == 0) {
		return m.n == 0;
	}
	switch (form.p[1]) {
	case 'u':
		return user_fits(form, m, f);
	case 's':
		return stamp_fits(form, m, f);
	case 't':
	case 'h':
	case 'l':
	case 'q':
		return text_fits(form, m, f);
	case 'r':
		return relay_fits(form, m, f);
	default:
		return word_fits(form, m, f);
	}
}

bool form_fits(struct slice form, struct slice m, struct form_found *f)
{
	*f = (struct form_found){.steps = f->steps};
	return fits(form, m, f);
}
