#include "parsers/members.h"

#include "parsers/scan.h"

enum { DEPTH_MAX = 32 };

/* ---- JSON: RFC 8259 ---- */

static void skip_space(struct slice *s)
{
	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t')) {
		*s = slice_skip(*s, 1);
	}
}

/* Behind the first quote. */
static bool take_string(struct slice *s, struct slice *out)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '\\') {
			i++;
		} else if (s->p[i] == '"') {
			*out = slice_head(*s, i);
			*s = slice_skip(*s, i + 1);
			return true;
		}
	}
	return false;
}

/* Behind the first bracket: to the one that closes it. */
static bool skip_nested(struct slice *s)
{
	struct slice word;
	unsigned depth = 1;

	while (s->n > 0) {
		char b = s->p[0];

		*s = slice_skip(*s, 1);
		if (b == '"') {
			if (!take_string(s, &word)) {
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

static bool take_value(struct slice *s, struct slice *out)
{
	size_t n = 0;

	if (TAKE(s, "\"")) {
		return take_string(s, out);
	}
	if (TAKE(s, "{") || TAKE(s, "[")) {
		*out = *s;
		return skip_nested(s);
	}
	while (n < s->n && s->p[n] != ',' && s->p[n] != '}' && s->p[n] != ']' && s->p[n] != ' ') {
		n++;
	}
	*out = slice_head(*s, n);
	*s = slice_skip(*s, n);
	return n > 0;
}

/* The member of an object (s: behind its bracket). */
static bool json_get(struct slice s, struct slice name, struct slice *value)
{
	struct slice key;

	for (;;) {
		skip_space(&s);
		if (!TAKE(&s, "\"") || !take_string(&s, &key)) {
			return false;
		}
		skip_space(&s);
		if (!TAKE(&s, ":")) {
			return false;
		}
		skip_space(&s);
		if (!take_value(&s, value)) {
			return false;
		}
		if (slice_eq(key, name)) {
			return true;
		}
		skip_space(&s);
		if (!TAKE(&s, ",")) {
			return false;
		}
	}
}

/* ---- logfmt: go-logfmt's and logrus' TextFormatter ---- */

static bool word_get(struct slice s, struct slice name, struct slice *value)
{
	struct slice key;

	for (;;) {
		size_t n = 0;

		skip_space(&s);
		while (n < s.n && s.p[n] != '=' && s.p[n] != ' ' && s.p[n] != '"') {
			n++;
		}
		if (n == 0 || n == s.n || s.p[n] != '=') {
			return false;
		}
		key = slice_head(s, n);
		s = slice_skip(s, n + 1);
		if (TAKE(&s, "\"")) {
			if (!take_string(&s, value)) {
				return false;
			}
		} else {
			n = slice_chr(s, ' ');
			*value = slice_head(s, n < s.n ? n : s.n);
			s = slice_skip(s, value->n);
		}
		if (slice_eq(key, name)) {
			return true;
		}
	}
}

/* ---- both ---- */

/* "miniflux  | time=..": what docker compose writes in front, a name without blanks. */
static void skip_container(struct slice *line)
{
	struct slice rest = *line, name;

	if (!take_word(&rest, &name) || name.n == 0 || name.n > 64) {
		return;
	}
	skip_blanks(&rest);
	if (TAKE(&rest, "| ")) {
		*line = rest;
	}
}

bool members_of(struct slice line, struct members *m)
{
	size_t n = 0;

	m->json = HAS(line, "{");
	m->text = m->json ? slice_skip(line, 1) : line;
	if (m->json) {
		return true;
	}
	skip_container(&m->text);
	n = slice_chr(slice_head(m->text, 32), '=');
	return n < m->text.n && slice_chr(slice_head(m->text, n), ' ') == SIZE_MAX;
}

static bool get(const struct members *m, const char *path, struct slice *value)
{
	struct slice rest = slice_str(path), name, at = m->text;

	while (take_until(&rest, '/', &name)) {
		if (!m->json || !json_get(at, name, &at)) {
			return false;
		}
	}
	return m->json ? json_get(at, rest, value) : word_get(at, rest, value);
}

bool members_get(const struct members *m, const char *path, struct slice *value)
{
	return get(m, path, value) &&
	       ((value->p > m->text.p && (value->p[-1] == '{' || value->p[-1] == '[')) ||
		slice_chr(*value, '\\') == SIZE_MAX);
}

bool members_head(const struct members *m, const char *path, struct slice *value)
{
	if (!get(m, path, value)) {
		return false;
	}
	*value = slice_head(*value, slice_chr(*value, '\\'));
	return true;
}

bool members_is(const struct members *m, const char *path, const char *text)
{
	struct slice want = slice_str(text), value;

	if (!members_get(m, path, &value)) {
		return false;
	}
	return TAKE_END(&want, "\n") ? slice_eq(value, want) : slice_starts(value, want);
}
