/* scan: taking a line apart from either end.  Inline and small: what a family
 * does with a line is a handful of these.
 *
 * take_*() moves the slice on when it returns true and leaves it alone when it
 * returns false.
 */
#ifndef PARSERS_SCAN_H
#define PARSERS_SCAN_H

#include "common/slice.h"

/* A literal where a constant initializer is needed. */
#define TEXT(text) {"" text, sizeof(text) - 1}

#define TAKE(s, text) scan_take((s), "" text, sizeof(text) - 1)
#define TAKE_END(s, text) scan_take_end((s), "" text, sizeof(text) - 1)
#define HAS(s, text) scan_has((s), "" text, sizeof(text) - 1)
#define ENDS(s, text) slice_ends((s), SLICE_LIT(text))
#define IS(s, text) slice_eq((s), SLICE_LIT(text))

/* The first byte tells most texts apart without a call. */
static inline bool scan_has(struct slice s, const char *text, size_t n)
{
	return s.n >= n && s.p[0] == text[0] && memcmp(s.p, text, n) == 0;
}

static inline bool scan_take(struct slice *s, const char *text, size_t n)
{
	if (!scan_has(*s, text, n)) {
		return false;
	}
	s->p += n;
	s->n -= n;
	return true;
}

static inline bool scan_take_end(struct slice *s, const char *text, size_t n)
{
	if (s->n < n || memcmp(s->p + s->n - n, text, n) != 0) {
		return false;
	}
	s->n -= n;
	return true;
}

/* Takes c if the slice begins with it. */
static inline bool take_char(struct slice *s, char c)
{
	return scan_take(s, &c, 1);
}

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') <= 9;
}

static inline void skip_blanks(struct slice *s)
{
	while (s->n > 0 && s->p[0] == ' ') {
		s->p++;
		s->n--;
	}
}

/* Up to the first c, which is skipped; false: there is none. */
static inline bool take_until(struct slice *s, char c, struct slice *out)
{
	size_t at = slice_chr(*s, c);

	if (at == SIZE_MAX) {
		return false;
	}
	*out = slice(s->p, at);
	s->n -= at + 1;
	s->p += at + 1;
	return true;
}

/* A word: up to the first blank (skipped) or the end.  False: nothing there. */
static inline bool take_word(struct slice *s, struct slice *out)
{
	if (!take_until(s, ' ', out)) {
		*out = *s;
		*s = slice(s->p + s->n, 0);
	}
	return out->n > 0;
}

/* At least one digit. */
static inline bool take_digits(struct slice *s, struct slice *out)
{
	size_t n = slice_digits(*s);

	if (n == 0) {
		return false;
	}
	*out = slice(s->p, n);
	s->p += n;
	s->n -= n;
	return true;
}

/* The last word: what stands behind the last c, which is skipped too.  False:
 * there is no c, or nothing behind it. */
static inline bool take_last(struct slice *s, char c, struct slice *out)
{
	size_t at = slice_rchr(*s, c);

	if (at == SIZE_MAX || at + 1 == s->n) {
		return false;
	}
	*out = slice(s->p + at + 1, s->n - at - 1);
	s->n = at;
	return true;
}

/* The digits at the end, at least one. */
static inline bool take_last_digits(struct slice *s, struct slice *out)
{
	size_t n = slice_last_digits(*s);

	if (n == 0) {
		return false;
	}
	s->n -= n;
	*out = slice(s->p + s->n, n);
	return true;
}

/* Cuts s at the first (last) text: what stands before it goes to out, s is what
 * stands behind. */
static inline bool take_before(struct slice *s, struct slice text,
			       struct slice *out)
{
	size_t at = slice_find(*s, text);

	if (at == SIZE_MAX) {
		return false;
	}
	*out = slice_head(*s, at);
	*s = slice_skip(*s, at + text.n);
	return true;
}

static inline bool take_before_last(struct slice *s, struct slice text,
				    struct slice *out)
{
	size_t at = slice_rfind(*s, text);

	if (at == SIZE_MAX) {
		return false;
	}
	*out = slice_head(*s, at);
	*s = slice_skip(*s, at + text.n);
	return true;
}

/* The value of " key=" in a list of pairs, up to the next blank.  key with its
 * "="; it must stand at the start or behind a blank, and the first one counts. */
struct slice scan_pair(struct slice s, struct slice key);

#endif
