#define PCRE2_CODE_UNIT_WIDTH 8
#include "detectors/match.h"

#include <pcre2.h>
#include <stdio.h>

#include "common/err.h"
#include "detectors/field.h"

/* Tokens of a glob beside the bytes themselves. */
enum { GLOB_ONE = 256, GLOB_MANY = 257 };

/* An expression may try this often, this deep and with this much memory (KiB)
 * on one line before it counts as not matching. */
enum { RE_MATCHES = 200000, RE_DEPTH = 2000, RE_HEAP_KIB = 512 };

static inline uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

int match_ctx_init(struct match_ctx *c)
{
	pcre2_match_context *mc = pcre2_match_context_create(NULL);

	*c = (struct match_ctx){pcre2_match_data_create(1, NULL), mc, 0};
	if (c->match_data == NULL || mc == NULL) {
		match_ctx_fini(c);
		return UV_ENOMEM;
	}
	pcre2_set_match_limit(mc, RE_MATCHES);
	pcre2_set_depth_limit(mc, RE_DEPTH);
	pcre2_set_heap_limit(mc, RE_HEAP_KIB);
	return 0;
}

void match_ctx_fini(struct match_ctx *c)
{
	pcre2_match_data_free(c->match_data);
	pcre2_match_context_free(c->match_context);
	*c = (struct match_ctx){NULL, NULL, 0};
}

/* Sigma's escaping (2.1, "Escape Character"): a backslash takes the meaning from
 * a wildcard or a backslash behind it and is itself anywhere else. */
static size_t tokenize(uint16_t *out, struct slice v, bool cased)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = (uint8_t)v.p[i];

		if (c == '\\' && i + 1 < v.n &&
		    (v.p[i + 1] == '*' || v.p[i + 1] == '?' ||
		     v.p[i + 1] == '\\')) {
			out[n++] = (uint8_t)v.p[++i];
		} else if (c == '*') {
			if (n == 0 || out[n - 1] != GLOB_MANY) {
				out[n++] = GLOB_MANY;
			}
		} else if (c == '?') {
			out[n++] = GLOB_ONE;
		} else {
			out[n++] = cased ? c : fold(c);
		}
	}
	return n;
}

static bool literal(const uint16_t *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (t[i] > 255) {
			return false;
		}
	}
	return true;
}

static int set_literal(struct match *m, struct arena *arena,
		       const uint16_t *t, size_t n)
{
	char *p = arena_take(arena, n + 1);

	if (p == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		p[i] = (char)t[i];
	}
	m->text = slice(p, n);
	return 0;
}

static int compile_text(struct match *m, struct arena *arena,
			struct slice value, const struct match_how *how)
{
	uint16_t *t = arena_take(arena, (value.n + 2) * sizeof *t);
	bool head = how->contains || how->endswith;
	bool tail = how->contains || how->startswith;
	size_t n;

	if (t == NULL) {
		return UV_ENOMEM;
	}
	n = tokenize(t + 1, value, how->cased);
	if (head && (n == 0 || t[1] != GLOB_MANY)) {
		t[0] = GLOB_MANY;
		n++;
	} else {
		t++;
	}
	if (tail && t[n - 1] != GLOB_MANY) {
		t[n++] = GLOB_MANY;
	}
	m->cased = how->cased;
	head = n > 0 && t[0] == GLOB_MANY;
	tail = n > 1 && t[n - 1] == GLOB_MANY;
	if (!literal(t + head, n - head - tail)) {
		m->op = MATCH_GLOB;
		m->glob = t;
		m->n_glob = (uint32_t)n;
		return 0;
	}
	m->op = head ? (tail || n == 1 ? MATCH_CONTAINS : MATCH_SUFFIX)
		     : (tail ? MATCH_PREFIX : MATCH_EXACT);
	return set_literal(m, arena, t + head, n - head - tail);
}

static int compile_re(struct match *m, struct slice value,
		      const struct match_how *how, char why[static MATCH_WHY])
{
	uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
	unsigned char text[100];
	PCRE2_SIZE at;
	int code;

	options |= how->re_i ? PCRE2_CASELESS : 0;
	options |= how->re_m ? PCRE2_MULTILINE : 0;
	options |= how->re_s ? PCRE2_DOTALL : 0;
	m->op = MATCH_RE;
	m->u.re = pcre2_compile((PCRE2_SPTR)value.p, value.n, options, &code,
				&at, NULL);
	if (m->u.re == NULL) {
		pcre2_get_error_message(code, text, sizeof text);
		snprintf(why, MATCH_WHY, "the expression is not valid at its "
			 "byte %zu: %s", (size_t)at + 1, (char *)text);
		return ERR_MALFORMED;
	}
	/* Where the sandbox allows no executable memory this fails and the
	 * interpreter does the work. */
	(void)pcre2_jit_compile(m->u.re, PCRE2_JIT_COMPLETE);
	return 0;
}

int match_compile(struct match *m, struct arena *arena, struct slice value,
		  const struct match_how *how, char why[static MATCH_WHY])
{
	int field;

	if (value.n > MATCH_VALUE_MAX) {
		snprintf(why, MATCH_WHY, "a value is longer than %d bytes",
			 MATCH_VALUE_MAX);
		return ERR_MALFORMED;
	}
	if (how->re) {
		return compile_re(m, value, how, why);
	}
	if (how->cidr) {
		m->op = MATCH_CIDR;
		if (ip_net_parse(value, &m->u.net)) {
			return 0;
		}
		snprintf(why, MATCH_WHY, "not a network: write it as 10.0.0.0/8 "
			 "or 2001:db8::/32");
		return ERR_MALFORMED;
	}
	if (how->fieldref) {
		m->op = MATCH_FIELDREF;
		m->cased = how->cased;
		field = rule_field_find(value);
		if (field >= 0) {
			m->other = (uint8_t)field;
			return 0;
		}
		snprintf(why, MATCH_WHY, "fieldref names a field that is not known");
		return ERR_MALFORMED;
	}
	return compile_text(m, arena, value, how);
}

void match_fini(struct match *m)
{
	if (m->op == MATCH_RE) {
		pcre2_code_free(m->u.re);
		m->u.re = NULL;
	}
}

static bool same(struct slice s, struct slice text, bool cased)
{
	if (cased || text.n == 0) {
		return text.n == 0 || memcmp(s.p, text.p, text.n) == 0;
	}
	/* Most texts are in lower case anyway. */
	if (s.p[0] == text.p[0] && memcmp(s.p, text.p, text.n) == 0) {
		return true;
	}
	for (size_t i = 0; i < text.n; i++) {
		if (fold((uint8_t)s.p[i]) != (uint8_t)text.p[i]) {
			return false;
		}
	}
	return true;
}

static const char *find_byte(const char *p, const char *end, uint8_t c)
{
	return p >= end ? NULL : memchr(p, c, (size_t)(end - p));
}

/* Looks for the first byte in both cases with memchr(), which is vectorised, and
 * compares what stands behind. */
size_t match_find_nocase(struct slice s, struct slice needle)
{
	const char *end, *low, *up;
	uint8_t first, other;

	if (needle.n == 0) {
		return 0;
	}
	if (needle.n > s.n) {
		return SIZE_MAX;
	}
	end = s.p + (s.n - needle.n) + 1;
	first = (uint8_t)needle.p[0];
	other = first >= 'a' && first <= 'z' ? (uint8_t)(first - 32) : first;
	low = find_byte(s.p, end, first);
	up = other == first ? NULL : find_byte(s.p, end, other);
	while (low != NULL || up != NULL) {
		bool take_low = up == NULL || (low != NULL && low < up);
		const char *at = take_low ? low : up;

		if (same(slice(at + 1, needle.n - 1), slice_skip(needle, 1),
			 false)) {
			return (size_t)(at - s.p);
		}
		if (take_low) {
			low = find_byte(at + 1, end, first);
		} else {
			up = find_byte(at + 1, end, other);
		}
	}
	return SIZE_MAX;
}

static size_t find(struct slice s, struct slice needle, bool cased)
{
	return cased ? slice_find(s, needle) : match_find_nocase(s, needle);
}

/* One character, not one byte: "?" takes the UTF-8 sequence that begins here. */
static size_t char_length(struct slice s, size_t at)
{
	size_t n = 1;

	if ((uint8_t)s.p[at] >= 0xc0) {
		while (n < 4 && at + n < s.n &&
		       ((uint8_t)s.p[at + n] & 0xc0) == 0x80) {
			n++;
		}
	}
	return n;
}

/* The usual iterative glob: on a mismatch, go back to the last "*" and let it
 * take one byte more. */
static bool glob(const struct match *m, struct slice s)
{
	size_t i = 0, t = 0, back_i = 0, back_t = SIZE_MAX;

	while (i < s.n) {
		uint16_t want = t < m->n_glob ? m->glob[t] : UINT16_MAX;
		uint8_t c = m->cased ? (uint8_t)s.p[i] : fold((uint8_t)s.p[i]);

		if (want == GLOB_MANY) {
			back_t = ++t;
			back_i = i;
		} else if (want == GLOB_ONE) {
			i += char_length(s, i);
			t++;
		} else if (want == c) {
			i++;
			t++;
		} else if (back_t != SIZE_MAX) {
			i = ++back_i;
			t = back_t;
		} else {
			return false;
		}
	}
	while (t < m->n_glob && m->glob[t] == GLOB_MANY) {
		t++;
	}
	return t == m->n_glob;
}

static bool expression(const struct match *m, struct match_ctx *c,
		       struct slice s)
{
	int rc = pcre2_match(m->u.re, (PCRE2_SPTR)(s.n == 0 ? "" : s.p), s.n, 0,
			     0, c->match_data, c->match_context);

	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
		c->re_limits++;
	}
	/* 0: matched, and the pair was too small for the groups. */
	return rc >= 0;
}

static bool parse_number(struct slice s, int64_t *out)
{
	bool minus = s.n > 0 && s.p[0] == '-';
	uint64_t v;

	if (!slice_to_u64(slice_skip(s, minus), INT64_MAX, &v)) {
		return false;
	}
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

static bool compare(const struct match *m, struct slice s)
{
	int64_t v;

	if (!parse_number(s, &v)) {
		return false;
	}
	switch (m->op) {
	case MATCH_LT:
		return v < m->u.number;
	case MATCH_LTE:
		return v <= m->u.number;
	case MATCH_GT:
		return v > m->u.number;
	default:
		return v >= m->u.number;
	}
}

static bool text_matches(const struct match *m, struct slice s)
{
	if (s.n < m->text.n) {
		return false;
	}
	switch (m->op) {
	case MATCH_EXACT:
		return s.n == m->text.n && same(s, m->text, m->cased);
	case MATCH_PREFIX:
		return same(s, m->text, m->cased);
	case MATCH_SUFFIX:
		return same(slice_skip(s, s.n - m->text.n), m->text, m->cased);
	default:
		return find(s, m->text, m->cased) != SIZE_MAX;
	}
}

static bool refers(const struct match *m, const struct record *r,
		   struct slice s)
{
	struct slice other;

	if (!rule_field_get(r, m->other, &other)) {
		return false;
	}
	return m->cased ? slice_eq(s, other) : slice_eq_nocase(s, other);
}

bool match_record(const struct match *m, struct match_ctx *c,
		  const struct record *r)
{
	struct slice s;
	struct ip ip;

	if (!rule_field_get(r, m->field, &s)) {
		return m->op == MATCH_NULL ||
		       (m->op == MATCH_EXISTS && m->u.number == 0);
	}
	switch (m->op) {
	case MATCH_EXACT:
	case MATCH_PREFIX:
	case MATCH_SUFFIX:
	case MATCH_CONTAINS:
		return text_matches(m, s);
	case MATCH_GLOB:
		return glob(m, s);
	case MATCH_RE:
		return expression(m, c, s);
	case MATCH_CIDR:
		return ip_parse(s, &ip) && ip_in_net(&ip, &m->u.net);
	case MATCH_EXISTS:
		return m->u.number != 0;
	case MATCH_NULL:
		return false;
	case MATCH_FIELDREF:
		return refers(m, r, s);
	default:
		return compare(m, s);
	}
}
