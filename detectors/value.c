#include "detectors/value.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"

/* Longer than this, a value is not written in all the ways that windash allows. */
enum { SPELLED_MAX = 256 };

struct making {
	struct arena *arena;
	struct value_text *texts; /* on the heap */
	size_t n, room;
	char *why;
};

static int wrong(struct making *m, const char *text)
{
	snprintf(m->why, VALUE_WHY, "%s", text);
	return ERR_MALFORMED;
}

/* Sigma's escaping ("Escape Character"): a backslash takes the meaning from a wildcard or
 * a backslash behind it and is itself anywhere else. */
static size_t tokenize(uint16_t *out, struct slice v)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = (uint8_t)v.p[i];

		if (c == '\\' && i + 1 < v.n &&
		    (v.p[i + 1] == '*' || v.p[i + 1] == '?' || v.p[i + 1] == '\\')) {
			out[n++] = (uint8_t)v.p[++i];
		} else if (c == '*') {
			if (n == 0 || out[n - 1] != TOKEN_MANY) {
				out[n++] = TOKEN_MANY;
			}
		} else {
			out[n++] = c == '?' ? TOKEN_ONE : c;
		}
	}
	return n;
}

static uint16_t *room(struct making *m, size_t n)
{
	return arena_take(m->arena, (n + 1) * sizeof(uint16_t));
}

/* Room for `more` texts behind the others. */
static int grow(struct making *m, size_t more)
{
	size_t n = m->room == 0 ? 4 : m->room * 2;
	struct value_text *p;

	if (m->n + more <= m->room) {
		return 0;
	}
	if (m->n + more > VALUE_TEXTS) {
		return wrong(m, "the modifiers make too many values of this one (windash in "
			     "front of an encoding takes four dashes at most)");
	}
	p = realloc(m->texts, n * sizeof *p);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	m->texts = p;
	m->room = n;
	return 0;
}

/* ---- wildcards at the ends, dashes ---- */

static int surround(struct making *m, struct value_text *x, bool head, bool tail)
{
	uint16_t *t = room(m, x->n + 2);
	size_t n = 0;

	if (t == NULL) {
		return UV_ENOMEM;
	}
	if (head && (x->n == 0 || x->t[0] != TOKEN_MANY)) {
		t[n++] = TOKEN_MANY;
	}
	memcpy(t + n, x->t, x->n * sizeof *t);
	n += x->n;
	if (tail && (n == 0 || t[n - 1] != TOKEN_MANY)) {
		t[n++] = TOKEN_MANY;
	}
	*x = (struct value_text){t, n};
	return 0;
}

static int windash(struct value_text *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n;) {
		char three[3] = {0};
		size_t dash;

		for (size_t k = 0; k < 3 && i + k < x->n && x->t[i + k] < 256; k++) {
			three[k] = (char)x->t[i + k];
		}
		dash = value_dash(three, 3);
		x->t[n++] = dash > 0 ? TOKEN_DASH : x->t[i];
		i += dash > 0 ? dash : 1;
	}
	x->n = n;
	return 0;
}

/* x with this dash at `at`. */
static int spell(struct making *m, struct value_text *out, const struct value_text *x,
		 size_t at, const char *dash)
{
	uint16_t *t = room(m, x->n + 2);
	size_t n = at;

	if (t == NULL) {
		return UV_ENOMEM;
	}
	memcpy(t, x->t, at * sizeof *t);
	for (const char *c = dash; *c != '\0'; c++) {
		t[n++] = (uint8_t)*c;
	}
	memcpy(t + n, x->t + at + 1, (x->n - at - 1) * sizeof *t);
	*out = (struct value_text){t, n + x->n - at - 1};
	return 0;
}

/* One text for each way of writing its dashes: what is encoded knows no alternatives. */
static int spell_dashes(struct making *m)
{
	static const char *const dashes[] = {"-", "/", "\xe2\x80\x93", "\xe2\x80\x94",
					     "\xe2\x80\x95"};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n;) {
		struct value_text x = m->texts[i];
		size_t at = 0;

		while (at < x.n && x.t[at] != TOKEN_DASH) {
			at++;
		}
		if (at == x.n) {
			i++;
			continue;
		}
		rc = x.n > SPELLED_MAX ? wrong(m, "too long for windash in front of an encoding")
				       : grow(m, 4);
		for (unsigned k = 0; rc == 0 && k < 5; k++) {
			rc = spell(m, &m->texts[k == 0 ? i : m->n++], &x, at, dashes[k]);
		}
	}
	return rc;
}

/* ---- encodings ---- */

/* The code point at t[*i], UTF-8; -1 when it is none. */
static int32_t code_point(const uint16_t *t, size_t n, size_t *i)
{
	static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint16_t c = t[(*i)++];
	unsigned more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2
							 : c < 0xf5 ? 3 : 9;
	int32_t v = more == 0 ? c : more > 3 ? 0 : c & (0x3f >> more);

	if (more > 3) {
		return -1;
	}
	for (unsigned k = 0; k < more; k++) {
		if (*i == n || (t[*i] & ~0x3f) != 0x80) {
			return -1;
		}
		v = v << 6 | (t[(*i)++] & 0x3f);
	}
	return v < least[more] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff ? -1 : v;
}

static size_t put_unit(uint16_t *t, size_t n, int32_t unit, bool big)
{
	t[n + big] = (uint16_t)(unit & 0xff);
	t[n + !big] = (uint16_t)(unit >> 8 & 0xff);
	return n + 2;
}

static int utf16(struct making *m, struct value_text *x, enum value_step step)
{
	uint16_t *t = room(m, x->n * 2 + 2);
	bool big = step == STEP_UTF16BE;
	size_t n = 0, i = 0;

	if (t == NULL) {
		return UV_ENOMEM;
	}
	if (x->n > 0 && x->t[0] == TOKEN_MANY) {
		t[n++] = x->t[i++];
	}
	if (step == STEP_UTF16) {
		n = put_unit(t, n, 0xfeff, false);
	}
	while (i < x->n) {
		int32_t c;

		if (x->t[i] > 255) {
			/* "?" stands for one character: for a unit of two bytes. */
			if (x->t[i] == TOKEN_ONE) {
				t[n++] = TOKEN_ONE;
			}
			t[n++] = x->t[i++];
			continue;
		}
		c = code_point(x->t, x->n, &i);
		if (c < 0) {
			return wrong(m, "the value is not UTF-8, so that it can't be written "
				     "as UTF-16");
		}
		if (c >= 0x10000) {
			n = put_unit(t, n, 0xd800 + ((c - 0x10000) >> 10), big);
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		n = put_unit(t, n, c, big);
	}
	*x = (struct value_text){t, n};
	return 0;
}

static bool has_wildcard(const struct value_text *x)
{
	for (size_t i = 0; i < x->n; i++) {
		if (x->t[i] > 255) {
			return true;
		}
	}
	return false;
}

/* RFC 4648, with padding.  blanks: how many stand in front. */
static size_t base64(uint16_t *out, const struct value_text *x, size_t blanks)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	size_t total = x->n + blanks, n = 0;

	for (size_t i = 0; i < total; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++) {
			size_t at = i + k;

			v = v << 8 | (at < blanks ? ' ' : at < total ? x->t[at - blanks] : 0);
		}
		for (size_t k = 0; k < 4; k++) {
			out[n++] = (uint8_t)(i + k > total
						     ? '='
						     : digits[v >> (18 - 6 * k) & 63]);
		}
	}
	return n;
}

static int encode(struct making *m, struct value_text *x)
{
	uint16_t *t = room(m, x->n * 2 + 4);

	if (t == NULL) {
		return UV_ENOMEM;
	}
	*x = (struct value_text){t, base64(t, x, 0)};
	return 0;
}

/* Wherever the value stands in what is encoded, at one of three places in a group of three
 * bytes, the digits that come from it alone are the same. */
static int encode_anywhere(struct making *m, size_t at)
{
	static const uint8_t head[] = {0, 2, 3}, tail[] = {0, 3, 2};
	struct value_text x = m->texts[at];
	int rc;

	if (x.n < 2) {
		return wrong(m, "a value for base64offset has at least two bytes");
	}
	rc = grow(m, 2);
	if (rc != 0) {
		return rc;
	}
	for (size_t blanks = 0; blanks < 3; blanks++) {
		uint16_t *t = room(m, x.n * 2 + 8);
		size_t n;

		if (t == NULL) {
			return UV_ENOMEM;
		}
		n = base64(t, &x, blanks);
		m->texts[blanks == 0 ? at : m->n++] =
			(struct value_text){t + head[blanks],
					    n - head[blanks] - tail[(x.n + blanks) % 3]};
	}
	return 0;
}

/* ---- the steps ---- */

static int step_one(struct making *m, size_t at, enum value_step step)
{
	struct value_text *x = &m->texts[at];

	switch (step) {
	case STEP_CONTAINS:
		return surround(m, x, true, true);
	case STEP_STARTSWITH:
		return surround(m, x, false, true);
	case STEP_ENDSWITH:
		return surround(m, x, true, false);
	case STEP_WINDASH:
		return windash(x);
	case STEP_UTF16LE:
	case STEP_UTF16BE:
	case STEP_UTF16:
		return utf16(m, x, step);
	default:
		if (has_wildcard(x)) {
			return wrong(m, "what is encoded in Base64 has no wildcards: write \\* "
				     "for an asterisk, and contains behind base64offset");
		}
		return step == STEP_BASE64 ? encode(m, x) : encode_anywhere(m, at);
	}
}

static int step_all(struct making *m, enum value_step step)
{
	int rc = step > STEP_WINDASH ? spell_dashes(m) : 0;
	size_t n = m->n; /* what is added is done already */

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = step_one(m, i, step);
	}
	return rc;
}

int value_texts(struct arena *a, struct slice value, const uint8_t *steps, size_t n_steps,
		struct value_text **out, char why[static VALUE_WHY])
{
	struct making m = {.arena = a, .why = why};
	int rc = grow(&m, 1);

	*out = m.texts;
	if (rc != 0) {
		return rc;
	}
	m.texts[m.n++].t = room(&m, value.n);
	if (m.texts[0].t == NULL) {
		return UV_ENOMEM;
	}
	m.texts[0].n = tokenize(m.texts[0].t, value);
	for (size_t i = 0; rc == 0 && i < n_steps; i++) {
		rc = step_all(&m, (enum value_step)steps[i]);
	}
	*out = m.texts;
	return rc == 0 ? (int)m.n : rc;
}
