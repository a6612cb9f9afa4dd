/* A name and a value: password=x, "token": "x", secret => 'x', <pwd>x</pwd>,
 * PASSWORD('x'), user[password]=x, password%3Dx, name="password" value="x". */
#include "redact/verify.h"

enum form {
	FORM_NONE,
	FORM_EQUALS, /* = := => ?= */
	FORM_COLON,
	FORM_LIST,   /* "NAME", "value" */
	FORM_MARKUP, /* <name>value< */
	FORM_CALL,   /* NAME('value'), NAME 'value' */
	FORM_URL,    /* name%3Dvalue */
};

struct pair {
	enum form form;
	bool quoted_name;
	bool json_name; /* in plain double quotes */
	bool spaced;    /* a blank behind the operator */
	size_t value;
};

static bool has(const struct work *w, size_t i, const char *text)
{
	return slice_starts(slice(w->p + i, w->n - i), slice_str(text));
}

/* Digits of token1, and what closes the name: quotes, brackets. */
static size_t skip_closers(const struct work *w, size_t i, struct pair *p)
{
	for (unsigned k = 0; k < 3 && is_class(work_at(w, i), C_DIGIT); k++) {
		i++;
	}
	p->json_name = work_at(w, i) == '"';
	for (unsigned k = 0; k < 8; k++) {
		char c = work_at(w, i);

		if (c == '"' || c == '\'' || c == '\\' || c == '`' || c == ']') {
			p->quoted_name |= c != ']' && c != '\\';
			i++;
		} else if (i + 3 <= w->n && (has(w, i, "%22") || has(w, i, "%27") ||
					     has(w, i, "%5D") || has(w, i, "%5d"))) {
			i += 3;
		} else {
			break;
		}
	}
	return i;
}

static size_t skip_blanks(const struct work *w, size_t i)
{
	for (unsigned k = 0; k < 64 && is_blank(work_at(w, i)); k++) {
		i++;
	}
	return i;
}

/* The opening tag that ends at `end` with '>' begins with '<' before the name. */
static bool is_tag(const struct work *w, size_t at)
{
	while (at > 0 && is_class(w->p[at - 1], C_WORD | C_DOT)) {
		at--;
	}
	return at > 0 && w->p[at - 1] == '<';
}

static size_t operator_at(const struct work *w, size_t i, bool blank, size_t at,
			  struct pair *p)
{
	char c = work_at(w, i), next = work_at(w, i + 1);

	if (in_set(c, "=:?")) {
		/* = := ::= ?= == => =~ : :: */
		size_t end = i;
		bool equals = false;

		while (end < i + 4 && in_set(work_at(w, end), "=:?")) {
			equals |= w->p[end++] == '=';
		}
		end += equals && in_set(work_at(w, end), ">~");
		p->form = equals ? FORM_EQUALS : c == ':' ? FORM_COLON : FORM_NONE;
		return end;
	}
	if (c == '-' && next == '>') {
		p->form = FORM_EQUALS;
		return i + 2;
	}
	if (c == ',' && p->quoted_name) {
		p->form = FORM_LIST;
		return i + 1;
	}
	if (c == '>' && is_tag(w, at)) {
		p->form = FORM_MARKUP;
		return i + 1;
	}
	if (c == '(') {
		p->form = FORM_CALL;
		return i + 1;
	}
	if (c == '%' && next == '3' && in_set(work_at(w, i + 2), "DdAa")) {
		p->form = FORM_URL;
		return i + 3;
	}
	if (blank && p->quoted_name && has(w, i, "value=")) {
		p->form = FORM_EQUALS;
		return i + 6;
	}
	/* auditd: a1="--password" a2="x" */
	if (blank && p->quoted_name && c == 'a' && is_class(next, C_DIGIT)) {
		size_t end = run_end(w, i + 1, C_DIGIT);

		p->form = work_at(w, end) == '=' ? FORM_EQUALS : FORM_NONE;
		return end + 1;
	}
	if (blank && !p->quoted_name && (c == '"' || c == '\'')) {
		p->form = FORM_CALL;
		return i;
	}
	return i;
}

static struct pair pair_read(const struct work *w, size_t at, size_t end)
{
	struct pair p = {FORM_NONE, false, false, false, 0};
	size_t i = skip_closers(w, end, &p), op = skip_blanks(w, i);

	i = operator_at(w, op, op > i, at, &p);
	p.value = skip_blanks(w, i);
	p.spaced = p.value > i;
	return p;
}

/* %26, %22 and the like end a value inside an encoded query. */
static size_t encoded_end(const struct work *w, size_t from, size_t to)
{
	for (size_t i = from; i + 3 <= to; i++) {
		if (w->p[i] == '%' && w->p[i + 1] == '2' &&
		    in_set(w->p[i + 2], "0267")) {
			return i;
		}
	}
	return to;
}

/* A name of letters before a key makes it that key's kind: api_key, apiKey,
 * SECRET-KEY.  "key" alone, or monkey, is weak. */
static bool qualified(const struct work *w, size_t at, bool *word)
{
	static const char *const kinds[] = {
		"api", "access", "secret", "private", "auth", "account", "master",
		"shared", "signing", "encryption", "license", "admin", "service",
		"app", "pre_shared", "preshared", "hmac", "session", "consumer", NULL};
	size_t end = at;
	struct slice before;

	if (end > 0 && in_set(w->p[end - 1], "_- ")) {
		end--;
	}
	before = slice(w->p, end);
	for (const char *const *k = kinds; *k != NULL; k++) {
		size_t n = strlen(*k);

		if (n <= before.n && slice_eq_nocase(slice_skip(before, before.n - n),
						     slice_str(*k))) {
			*word = true;
			return true;
		}
	}
	*word = at == 0 || !is_class(w->p[at - 1], C_ALPHA) ||
		(is_class(w->p[at - 1], C_LOWER) && is_class(w->p[at], C_UPPER));
	/* HEROKU_KEY: a variable of the environment. */
	return at >= 3 && w->p[at - 1] == '_' && is_class(w->p[at], C_UPPER) &&
	       is_class(w->p[at - 2], C_UPPER) && is_class(w->p[at - 3], C_UPPER);
}

/* public_key, pubToken: no secret. */
static bool is_public(const struct work *w, size_t at)
{
	struct slice before;

	if (at > 0 && in_set(w->p[at - 1], "_- ")) {
		at--;
	}
	before = slice(w->p, at);
	return (at >= 6 && slice_eq_nocase(slice_skip(before, at - 6), SLICE_LIT("public"))) ||
	       (at >= 3 && slice_eq_nocase(slice_skip(before, at - 3), SLICE_LIT("pub")));
}

static bool is_path(struct slice v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (!is_class(v.p[i], C_WORD | C_DOT | C_TILDE) && v.p[i] != '/') {
			return false;
		}
	}
	return v.n > 0 && (v.p[0] == '/' || v.p[0] == '~');
}

/* Enough for a key of medium strength: not a word, a small number, a URL, a
 * path, a NAME_OF_SOMETHING, and, where it is dotted, not a host, a package or a
 * version. */
static bool is_medium(struct slice v)
{
	unsigned digits = 0, other = 0, upper = 0, lower = 0, run = 0, longest = 0;
	bool dotted = false;

	for (size_t i = 0; i < v.n; i++) {
		unsigned class = char_class(v.p[i]);

		digits += (class & C_DIGIT) != 0;
		lower += (class & C_LOWER) != 0;
		upper += i > 0 && (class & C_UPPER) != 0;
		other += (class & (C_ALNUM | C_LINE | C_DOT)) == 0;
		dotted |= in_set(v.p[i], "./");
		run = (class & C_ALNUM) != 0 ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	if (v.n < 6 || slice_find(v, SLICE_LIT("://")) != SIZE_MAX || is_path(v) ||
	    (dotted && longest < 12) || (digits + lower + other == 0)) {
		return false;
	}
	return digits >= 2 || (digits + other > 0 && v.n >= 8) || v.n >= 20 ||
	       (upper > 1 && v.n >= 12);
}

static bool is_secret(const struct work *w, const struct key_name *k,
		      enum strength strength, const struct pair *p, struct slice v,
		      bool quoted, size_t behind)
{
	bool more = is_blank(work_at(w, behind)) && behind + 1 < w->n;

	if (value_is_placeholder(w, v) || (strength != STRONG && value_is_crossed_out(v))) {
		return false;
	}
	if (!quoted && p->spaced && more && value_is_function_word(v)) {
		return false;
	}
	if (!quoted && !p->quoted_name && p->form == FORM_COLON && p->spaced &&
	    more && value_is_prose(v)) {
		return false;
	}
	if (k->path && is_path(v)) {
		return false;
	}
	switch (strength) {
	case STRONG:
		return true;
	case MEDIUM:
		return is_medium(v);
	case WEAK:
		return value_is_random(v);
	}
	return true;
}

static enum strength strength_of(const struct work *w, const struct key_name *k,
				 size_t at, bool *word)
{
	*word = at == 0 || !is_class(w->p[at - 1], C_ALNUM) ||
		(is_class(w->p[at - 1], C_LOWER) && is_class(w->p[at], C_UPPER));
	if (k->word && k->strength == WEAK && qualified(w, at, word)) {
		return MEDIUM;
	}
	return k->strength;
}

/* PAM: "pam_unix(chpasswd:chauthtok)"; a program's own tag: "passwd: ...". */
static bool is_service(const struct work *w, size_t at, const struct key_name *k,
		       const struct pair *p)
{
	size_t end = run_end(w, p->value, C_LOWER | C_LINE);

	if (p->form != FORM_COLON || p->quoted_name) {
		return false;
	}
	if (k->own_colon && p->spaced && at > 0 && is_blank(w->p[at - 1])) {
		return true;
	}
	while (at > 0 && is_class(w->p[at - 1], C_WORD)) {
		at--;
	}
	return at > 0 && w->p[at - 1] == '(' && end > p->value && work_at(w, end) == ')';
}

/* The values of "password": ["a", "b"]. */
static void mask_array(struct work *w, uint8_t rule, size_t i)
{
	struct value v;

	for (unsigned k = 0; k < 16; k++) {
		i = skip_blanks(w, i + 1);
		if (!in_set(work_at(w, i), "\"'\\") || !value_take(w, i, &v) ||
		    !v.quoted) {
			return;
		}
		if (!value_is_placeholder(w, slice(w->p + v.from, v.to - v.from))) {
			work_mask(w, rule, v.from, v.to);
		}
		i = v.to;
		while (in_set(work_at(w, i), "\\\"'")) {
			i++;
		}
		i = skip_blanks(w, i);
		if (work_at(w, i) != ',') {
			return;
		}
	}
	/* More than anybody has: in doubt. */
	w->rest = i < w->rest ? i : w->rest;
}

/* vsftpd's anon password "x": what anonymous FTP asks for is no secret (RFC 1635). */
static bool is_anonymous(const struct work *w, size_t at)
{
	return at >= 5 && slice_eq(slice(w->p + at - 5, 5), SLICE_LIT("anon "));
}

void verify_pair(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct key_name *k = l->arg;
	struct pair p = pair_read(w, at, end);
	enum strength strength;
	struct value v;
	bool word;

	strength = strength_of(w, k, at, &word);
	if (p.form == FORM_NONE || (k->word && !word) || !work_spend(w, at, 32) ||
	    (strength != STRONG && is_public(w, at)) || is_service(w, at, k, &p)) {
		return;
	}
	if (p.quoted_name && work_at(w, p.value) == '[') {
		mask_array(w, l->rule, p.value);
		return;
	}
	/* "/etc/nginx/.htpasswd", client: is no list. */
	if (!value_take(w, p.value, &v) ||
	    ((p.form == FORM_CALL || p.form == FORM_LIST) && !v.quoted)) {
		return;
	}
	if (p.form == FORM_CALL &&
	    (strength != STRONG || is_anonymous(w, at))) {
		return;
	}
	if (p.form == FORM_URL && !v.quoted) {
		v.to = encoded_end(w, v.from, v.to);
	}
	if (!v.quoted && in_set(w->p[v.from], "{[(") &&
	    (p.quoted_name || strength != STRONG || v.to - v.from == 1)) {
		/* What is inside has names of its own. */
		return;
	}
	if (is_secret(w, k, strength, &p, slice(w->p + v.from, v.to - v.from), v.quoted,
		      v.to)) {
		work_mask(w, l->rule, v.from, v.to);
		if (p.json_name && p.form == FORM_COLON && !v.quoted &&
		    w->n_spans > 0 && w->spans[w->n_spans - 1].from == v.from) {
			w->spans[w->n_spans - 1].quote = true;
		}
	}
}
