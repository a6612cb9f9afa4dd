#define PCRE2_CODE_UNIT_WIDTH 8
#include "detectors/match.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/timefmt.h"
#include "detectors/field.h"
#include "detectors/refer.h"

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

	memset(c, 0, sizeof *c);
	c->match_data = pcre2_match_data_create(1, NULL);
	c->match_context = mc;
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
	c->match_data = c->match_context = NULL;
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

/* What is not a wildcard at an end becomes a plain comparison. */
static int set_text(struct match *m, struct arena *arena, const struct value_text *x,
		    bool cased)
{
	bool head = x->n > 0 && x->t[0] == TOKEN_MANY;
	bool tail = x->n > 1 && x->t[x->n - 1] == TOKEN_MANY;

	for (size_t i = 0; !cased && i < x->n; i++) {
		x->t[i] = x->t[i] < 256 ? fold((uint8_t)x->t[i]) : x->t[i];
	}
	m->cased = cased;
	if (!literal(x->t + head, x->n - head - tail)) {
		m->op = MATCH_GLOB;
		m->glob = x->t;
		m->n_glob = (uint32_t)x->n;
		return 0;
	}
	m->op = head ? (tail || x->n == 1 ? MATCH_CONTAINS : MATCH_SUFFIX)
		     : (tail ? MATCH_PREFIX : MATCH_EXACT);
	return set_literal(m, arena, x->t + head, x->n - head - tail);
}

static int compile_texts(const struct match *like, struct arena *arena, struct slice value,
			 const struct match_how *how, match_add add, void *arg,
			 char why[static MATCH_WHY])
{
	struct value_text *texts;
	int n = value_texts(arena, value, how->steps, how->n_steps, &texts, why);
	int rc = n < 0 ? n : 0;

	for (int i = 0; rc >= 0 && i < n; i++) {
		struct match m = *like;

		rc = set_text(&m, arena, &texts[i], how->cased);
		rc = rc == 0 ? add(arg, &m) : rc;
	}
	free(texts);
	return rc < 0 ? rc : 0;
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

static bool parse_number(struct slice s, int64_t *out, uint32_t *billionths)
{
	bool minus = s.n > 0 && s.p[0] == '-';
	struct slice whole = slice_skip(s, minus), rest = SLICE_NONE;
	size_t dot = slice_chr(whole, '.');
	uint64_t v, f = 0;

	if (dot != SIZE_MAX) {
		rest = slice_skip(whole, dot + 1);
		whole = slice_head(whole, dot);
		if (rest.n == 0 || rest.n > 9 || !slice_to_u64(rest, 999999999, &f)) {
			return false;
		}
		for (size_t i = rest.n; i < 9; i++) {
			f *= 10;
		}
	}
	if (!slice_to_u64(whole, INT64_MAX - 1, &v)) {
		return false;
	}
	*out = minus ? -(int64_t)v - (f > 0) : (int64_t)v;
	*billionths = (uint32_t)(minus && f > 0 ? 1000000000 - f : f);
	return true;
}

static int compile_number(struct match *m, struct slice value, const struct match_how *how,
			  char why[static MATCH_WHY])
{
	static const struct {
		int64_t min, max;
	} ranges[] = {
		[PART_NONE] = {INT64_MIN, INT64_MAX}, [PART_MINUTE] = {0, 59},
		[PART_HOUR] = {0, 23}, [PART_DAY] = {1, 31}, [PART_WEEK] = {1, 53},
		[PART_MONTH] = {1, 12}, [PART_YEAR] = {1, 9999},
	};
	int64_t min = ranges[how->part].min, max = ranges[how->part].max;

	m->op = how->number == 0 ? MATCH_EQ : how->number;
	m->part = how->part;
	if (!parse_number(value, &m->u.number, &m->billionths)) {
		snprintf(why, MATCH_WHY, "a number must stand here, such as 5 or -0.25");
		return ERR_MALFORMED;
	}
	if (m->u.number < min || m->u.number > max ||
	    (how->part != PART_NONE && m->billionths != 0)) {
		snprintf(why, MATCH_WHY, "this part of a date is a whole number from %lld to %lld",
			 (long long)min, (long long)max);
		return ERR_MALFORMED;
	}
	return 0;
}

static int compile_reference(struct match *m, struct slice value,
			     const struct match_how *how, char why[static MATCH_WHY])
{
	static const uint8_t ops[] = {[STEP_CONTAINS] = MATCH_CONTAINS,
				      [STEP_STARTSWITH] = MATCH_PREFIX,
				      [STEP_ENDSWITH] = MATCH_SUFFIX};
	int field = rule_field_find(value);

	m->op = MATCH_FIELDREF;
	m->cased = how->cased;
	m->how = how->n_steps == 0 ? MATCH_EXACT : ops[how->steps[0]];
	if (field < 0) {
		const char *like = rule_field_suggest(value);

		snprintf(why, MATCH_WHY, "fieldref names a field that is not known%s%s%s",
			 like == NULL ? "" : "; did you mean \"", like == NULL ? "" : like,
			 like == NULL ? "" : "\"?");
		return ERR_MALFORMED;
	}
	m->other = (uint8_t)field;
	return 0;
}

static int compile_net(struct match *m, struct slice value, char why[static MATCH_WHY])
{
	m->op = MATCH_CIDR;
	if (ip_net_parse(value, &m->u.net)) {
		return 0;
	}
	snprintf(why, MATCH_WHY, "not a network: write it as 10.0.0.0/8 or 2001:db8::/32");
	return ERR_MALFORMED;
}

int match_compile(unsigned field, struct arena *arena, struct slice value,
		  const struct match_how *how, match_add add, void *arg,
		  char why[static MATCH_WHY])
{
	struct match m = {.field = (uint8_t)field};
	int rc;

	if (value.n > MATCH_VALUE_MAX) {
		snprintf(why, MATCH_WHY, "a value is longer than %d bytes",
			 MATCH_VALUE_MAX);
		return ERR_MALFORMED;
	}
	if (how->re) {
		rc = compile_re(&m, value, how, why);
	} else if (how->cidr) {
		rc = compile_net(&m, value, why);
	} else if (how->fieldref) {
		rc = compile_reference(&m, value, how, why);
	} else if (how->number != 0 || how->part != PART_NONE) {
		rc = compile_number(&m, value, how, why);
	} else {
		return compile_texts(&m, arena, value, how, add, arg, why);
	}
	if (rc == 0) {
		rc = add(arg, &m);
	}
	return rc < 0 ? rc : 0;
}

void match_fini(struct match *m)
{
	if (m->op == MATCH_RE && !m->lent) {
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

		if (want == TOKEN_MANY) {
			back_t = ++t;
			back_i = i;
		} else if (want == TOKEN_ONE) {
			i += char_length(s, i);
			t++;
		} else if (want == TOKEN_DASH && value_dash(s.p + i, s.n - i) > 0) {
			i += value_dash(s.p + i, s.n - i);
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
	while (t < m->n_glob && m->glob[t] == TOKEN_MANY) {
		t++;
	}
	return t == m->n_glob;
}

static bool expression(const struct match *m, struct match_ctx *c,
		       struct slice s)
{
	PCRE2_SPTR p = (PCRE2_SPTR)(s.n == 0 ? "" : s.p);
	int rc = pcre2_jit_match(m->u.re, p, s.n, 0, 0, c->match_data, c->match_context);

	if (rc == PCRE2_ERROR_JIT_BADOPTION) {
		/* It was not compiled so far. */
		rc = pcre2_match(m->u.re, p, s.n, 0, 0, c->match_data, c->match_context);
	}
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
		c->re_limits++;
	}
	/* 0: matched, and the pair was too small for the groups. */
	return rc >= 0;
}

/* ---- dates ---- */

struct date {
	int year, month, day, hour, minute;
};

static struct date date_of(int64_t s)
{
	int64_t days = s / 86400 - (s % 86400 < 0), rest = s - days * 86400;
	struct date d = {.hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60)};

	time_civil(days, &d.year, &d.month, &d.day);
	return d;
}

/* n digits at s[at ...]; -1: none. */
static int digits(struct slice s, size_t at, size_t n)
{
	int v = 0;

	for (size_t i = at; i < at + n; i++) {
		if (i >= s.n || s.p[i] < '0' || s.p[i] > '9') {
			return -1;
		}
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* "2026-11-22T15:37:46+01:00", "2026-11-22 15:37", "2026-11-22": the time as it is
 * written, in whatever zone; or seconds of Unix time. */
static bool date_parse(struct slice s, struct date *d)
{
	uint64_t unix_s;

	if (slice_to_u64(s, UINT64_C(253402300799), &unix_s) && s.n > 4) {
		*d = date_of((int64_t)unix_s);
		return true;
	}
	*d = (struct date){digits(s, 0, 4), digits(s, 5, 2), digits(s, 8, 2), 0, 0};
	if (s.n < 10 || s.p[4] != '-' || s.p[7] != '-' || d->year < 1 || d->month < 1 ||
	    d->month > 12 || d->day < 1 || d->day > 31) {
		return false;
	}
	if (s.n == 10) {
		return true;
	}
	d->hour = digits(s, 11, 2);
	d->minute = digits(s, 14, 2);
	return (s.p[10] == ' ' || s.p[10] == 'T') && d->hour >= 0 && d->hour < 24 &&
	       d->minute >= 0 && d->minute < 60 && s.p[13] == ':';
}

/* The week of ISO 8601: that of the year in which its Thursday lies. */
static int week_of(const struct date *d)
{
	int64_t day = time_days(d->year, d->month, d->day);
	int64_t thursday = day - ((day + 3) % 7 + 7) % 7 + 3; /* day 0 was a Thursday */
	int year, month, dom;

	time_civil(thursday, &year, &month, &dom);
	return (int)((thursday - time_days(year, 1, 1)) / 7) + 1;
}

static int part_of(const struct date *d, unsigned part)
{
	switch (part) {
	case PART_MINUTE:
		return d->minute;
	case PART_HOUR:
		return d->hour;
	case PART_DAY:
		return d->day;
	case PART_WEEK:
		return week_of(d);
	case PART_MONTH:
		return d->month;
	default:
		return d->year;
	}
}

/* ---- one record ---- */

static bool number_of(const struct match *m, struct slice s, int64_t *v, uint32_t *billionths)
{
	struct date d;

	*billionths = 0;
	if (m->part == PART_NONE) {
		return parse_number(s, v, billionths);
	}
	if (!date_parse(s, &d)) {
		return false;
	}
	*v = part_of(&d, m->part);
	return true;
}

static bool compare(const struct match *m, struct slice s)
{
	uint32_t billionths;
	int64_t v;
	int sign;

	if (!number_of(m, s, &v, &billionths)) {
		return false;
	}
	sign = v != m->u.number ? (v < m->u.number ? -1 : 1)
	       : billionths == m->billionths ? 0 : billionths < m->billionths ? -1 : 1;
	switch (m->op) {
	case MATCH_EQ:
		return sign == 0;
	case MATCH_LT:
		return sign < 0;
	case MATCH_LTE:
		return sign <= 0;
	case MATCH_GT:
		return sign > 0;
	default:
		return sign >= 0;
	}
}

/* text is in lower case unless cased. */
static inline bool text_is(unsigned op, struct slice s, struct slice text, bool cased)
{
	if (s.n < text.n) {
		return false;
	}
	switch (op) {
	case MATCH_EXACT:
		return s.n == text.n && same(s, text, cased);
	case MATCH_PREFIX:
		return same(s, text, cased);
	case MATCH_SUFFIX:
		return same(slice_skip(s, s.n - text.n), text, cased);
	default:
		return find(s, text, cased) != SIZE_MAX;
	}
}

/* The field's value, decoded where it must be; which: of two that are compared. */
static bool field_text(struct match_ctx *c, const struct record *r, unsigned field,
		       unsigned which, struct slice *out)
{
	int n;

	if (field == RULE_FIELD_HOUR) {
		return match_hour(c, r, out);
	}
	if (field < RULE_FIELD_TIME) {
		return rule_field_get(r, field, out);
	}
	if (field >= RULE_FIELD_AUDIT) {
		return audit_get(rule_message(r), field - RULE_FIELD_AUDIT, c->scratch[which],
				 out);
	}
	if (rule_field_is_place(field)) {
		return rule_field_place(c->refer, r, field, out);
	}
	if (field != RULE_FIELD_TIME || record_time_ns(r) == TIME_NONE) {
		return false;
	}
	n = time_format(c->scratch[which], record_time_ns(r));
	*out = slice(c->scratch[which], n > 0 ? (size_t)n : 0);
	return n > 0;
}

static bool refers(const struct match *m, struct match_ctx *c, const struct record *r,
		   struct slice s)
{
	struct slice other;
	char *to = c->scratch[1];

	if (!field_text(c, r, m->other, 1, &other) || other.n > s.n ||
	    other.n > AUDIT_SCRATCH) {
		return false;
	}
	for (size_t i = 0; !m->cased && i < other.n; i++) {
		to[i] = (char)fold((uint8_t)other.p[i]);
	}
	return text_is(m->how, s, m->cased ? other : slice(to, other.n), m->cased);
}

static bool match_value(const struct match *m, struct match_ctx *c, const struct record *r,
			struct slice s)
{
	struct ip ip;

	switch (m->op) {
	case MATCH_EXACT:
	case MATCH_PREFIX:
	case MATCH_SUFFIX:
	case MATCH_CONTAINS:
		return text_is(m->op, s, m->text, m->cased);
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
		return refers(m, c, r, s);
	case MATCH_LIST:
		return refer_list_has(m->u.list, s);
	default:
		return compare(m, s);
	}
}

static __attribute__((noinline)) bool match_any(const struct match *m, struct match_ctx *c,
						const struct record *r)
{
	struct slice s;

	if (!field_text(c, r, m->field, 0, &s)) {
		return m->op == MATCH_NULL ||
		       (m->op == MATCH_EXISTS && m->u.number == 0);
	}
	return match_value(m, c, r, s);
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

void match_begin(struct match_ctx *c, const struct record *r)
{
	struct slice s = slice_head(event_get(&r->event, FIELD_URL_PATH), MATCH_PATH);
	size_t n = 0;

	c->path = SLICE_NONE;
	if (s.n == 0 || memchr(s.p, '%', s.n) == NULL) {
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && s.n - i > 2 ? hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex(s.p[i + 2]) : -1;
		int byte = high * 16 + low;

		if (low >= 0 && byte >= ' ' && byte < 0x7f) {
			c->path_room[n++] = (char)byte;
			i += 2;
		} else {
			c->path_room[n++] = s.p[i];
		}
	}
	if (n < s.n) {
		c->path = slice(c->path_room, n);
	}
}

bool match_record(const struct match *m, struct match_ctx *c, const struct record *r)
{
	/* Most want a text in a field of the event, or in the message. */
	if (m->op <= MATCH_CONTAINS &&
	    (m->field == RULE_FIELD_MESSAGE ||
	     (m->field < FIELD_NR && event_has(&r->event, (enum event_field)m->field)))) {
		struct slice s = m->field == RULE_FIELD_MESSAGE ? rule_message(r)
								: r->event.f[m->field];

		if (s.n >= m->text.n && text_is(m->op, s, m->text, m->cased)) {
			return true;
		}
	} else if (match_any(m, c, r)) {
		return true;
	}
	return m->field == FIELD_URL_PATH && c->path.n > 0 && match_value(m, c, r, c->path);
}
