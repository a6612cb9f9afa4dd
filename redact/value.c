#include "redact/verify.h"

unsigned char_class(char c)
{
	if (c >= 'a' && c <= 'z') {
		return c <= 'f' ? C_LOWER | C_HEX_LETTER : C_LOWER;
	}
	if (c >= 'A' && c <= 'Z') {
		return c <= 'F' ? C_UPPER | C_HEX_LETTER : C_UPPER;
	}
	if (c >= '0' && c <= '9') {
		return C_DIGIT;
	}
	switch (c) {
	case '_':
	case '-':
		return C_LINE;
	case '.':
		return C_DOT;
	case '+':
	case '/':
	case '=':
		return C_B64;
	case '~':
		return C_TILDE;
	default:
		return 0;
	}
}

size_t run_end(const struct work *w, size_t i, unsigned classes)
{
	while (i < w->n && is_class(w->p[i], classes)) {
		i++;
	}
	return i;
}

/* ---- judging ---- */

size_t mask_at(struct slice s)
{
	static const struct slice open = {"*redacted-", 10};
	size_t i = open.n;

	if (!slice_starts(s, open)) {
		return 0;
	}
	/* Digits: of a pseudonym. */
	while (i < s.n && (is_class(s.p[i], C_LOWER | C_DIGIT) || s.p[i] == '-')) {
		i++;
	}
	return i > open.n && i < s.n && s.p[i] == '*' ? i + 1 : 0;
}

static bool one_of(struct slice v, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (slice_eq_nocase(v, slice_str(*words))) {
			return true;
		}
	}
	return false;
}

/* ${X}, $(x), $X, {{ x }}, <x>, [X], %X%, %s: a place where a value goes. */
static bool is_reference(struct slice v)
{
	char first = v.p[0], last = v.p[v.n - 1];

	if (first == '`') {
		return true;
	}
	if (first == '$' && v.n > 1) {
		size_t i = 1;

		if (v.p[1] == '{' || v.p[1] == '(') {
			return true;
		}
		while (i < v.n && (is_class(v.p[i], C_UPPER | C_DIGIT) || v.p[i] == '_')) {
			i++;
		}
		return i == v.n && (v.n == 2 || !is_class(v.p[1], C_DIGIT));
	}
	if (first == '{' && last == '}') {
		return v.n >= 4 && v.p[1] == '{';
	}
	if ((first == '<' && last == '>') || (first == '[' && last == ']')) {
		for (size_t i = 1; i + 1 < v.n; i++) {
			if (!is_class(v.p[i], C_ALPHA | C_LINE | C_DOT) &&
			    v.p[i] != ' ') {
				return false;
			}
		}
		return true;
	}
	if (first == '%' && v.n > 1) {
		return v.n == 2 || (v.n > 3 && last == '%') || v.p[1] == '(';
	}
	return false;
}

bool value_is_placeholder(const struct work *w, struct slice v)
{
	static const char *const words[] = {
		"null", "(null)", "nil", "none", "(none)", "true", "false",
		"undefined", "yes", "no", "on", "off", "unset", "empty",
		"required", "optional", "enabled", "disabled", "hidden",
		"redacted", "[redacted]", "<redacted>", "removed", "masked",
		"filtered", "[filtered]", "n/a", "unknown", "?", "-", "!", "!!",
		"changed", "expired", "invalid", "incorrect", "missing",
		"string", "0", "1", NULL};
	size_t i = 0;

	if (v.n == 0 || mask_at(v) == v.n || one_of(v, words)) {
		return true;
	}
	while (i < v.n && in_set(v.p[i], "xX*.-_0")) {
		i++;
	}
	if (i == v.n && v.n > 1) {
		return true;
	}
	if (is_reference(v)) {
		return true;
	}
	for (i = 0; i < w->except->n; i++) {
		if (slice_eq(v, slice_str(w->except->v[i]))) {
			return true;
		}
	}
	return false;
}

bool value_is_crossed_out(struct slice v)
{
	size_t run = 0;

	for (size_t i = 0; i < v.n && run < 8; i++) {
		run = in_set(v.p[i], "xX*") ? run + 1 : 0;
	}
	return run >= 8;
}

bool value_is_random(struct slice v)
{
	unsigned digits = 0, letters = 0, distinct = 0, turns = 0, last = 0;
	bool seen[256] = {false};

	if (v.n < 16 || v.n > 4096) {
		return v.n > 4096;
	}
	for (size_t i = 0; i < v.n; i++) {
		unsigned class = char_class(v.p[i]);

		/* %2B, %2F and %3D: base64 in a URL. */
		if (v.p[i] == '%' && v.n - i > 2 && is_class(v.p[i + 1], C_DIGIT) &&
		    is_class(v.p[i + 2], C_HEX)) {
			i += 2;
			continue;
		}
		if (class == 0 || (class & C_DOT) != 0) {
			return false;
		}
		digits += (class & C_DIGIT) != 0;
		letters += (class & C_ALPHA) != 0;
		distinct += !seen[(uint8_t)v.p[i]];
		seen[(uint8_t)v.p[i]] = true;
		/* A change between upper case, lower case and digits. */
		class &= C_ALNUM;
		turns += class != 0 && last != 0 && class != last;
		last = class != 0 ? class : last;
	}
	return digits >= 2 && letters >= 2 && distinct >= 8 && turns * 6 >= v.n;
}

bool value_is_prose(struct slice v)
{
	size_t i = 0;

	while (v.n > 0 && in_set(v.p[v.n - 1], ",.;:!)")) {
		v.n--;
	}
	while (i < v.n && is_class(v.p[i], i == 0 ? C_ALPHA : C_LOWER)) {
		i++;
	}
	return v.n > 0 && i == v.n;
}

bool value_is_function_word(struct slice v)
{
	static const char *const words[] = {
		"from", "for", "port", "on", "by", "via", "to", "in", "at", "is",
		"was", "were", "are", "not", "user", "with", "and", "or", "ssh",
		"ssh2", "as", "of", "the", "has", "have", "been", "ruser",
		"rhost", "tty", "uid", "euid", "logname", "service", "failed",
		"authentication", "attempt", "login", "check", "while", "[preauth]", NULL};

	return one_of(v, words);
}

/* ---- where a value ends ---- */

/* An end of the value: of what encloses it, or of a list of pairs. */
static bool ends_bare(const struct work *w, size_t i)
{
	char c = w->p[i];
	size_t k = i + 1;

	switch (c) {
	case ' ':
	case '\t':
	case '"':
	case '\'':
	case '`':
	case '\\':
	case '<':
	case '\r':
		return true;
	case '&':
	case ';':
	case '|':
		/* Shell operators, URL and cookie pairs; else part of it. */
		if (work_at(w, k) == c || k >= w->n || is_blank(w->p[k])) {
			return true;
		}
		break;
	case ',':
	case ')':
	case '}':
	case ']':
	case '>':
		if (k >= w->n || in_set(w->p[k], " \t,;)}]>\"'\\")) {
			return true;
		}
		break;
	default:
		return (unsigned char)c < ' ';
	}
	k = run_end(w, k, C_WORD | C_DOT);
	return k > i + 1 && in_set(work_at(w, k), "=:[");
}

/* Where the value that begins at i behind an opening quote with `slashes`
 * backslashes before it ends: at the same again.  SIZE_MAX: never. */
static size_t closing(const struct work *w, size_t i, size_t slashes, char quote)
{
	while (i < w->n) {
		size_t run = i;

		while (work_at(w, run) == '\\') {
			run++;
		}
		if (work_at(w, run) == quote) {
			if (slashes == 0 && (run - i) % 2 == 0) {
				return run;
			}
			if (slashes > 0 && run - i <= slashes) {
				return i;
			}
		}
		i = run + 1;
	}
	return SIZE_MAX;
}

bool value_take(struct work *w, size_t i, struct value *out)
{
	size_t slashes = 0, end;
	char c;

	while (work_at(w, i + slashes) == '\\' && slashes < 8) {
		slashes++;
	}
	c = work_at(w, i + slashes);
	if (c == '"' || c == '\'') {
		size_t from = i + slashes + 1;

		end = closing(w, from, slashes, c);
		if (end != SIZE_MAX) {
			*out = (struct value){from, end, true};
			/* Somebody's name ended in a key, and this is the
			 * closing quote of what held it: 'password=' was ... */
			return work_spend(w, i, end - i) &&
			       !is_blank(work_at(w, from));
		}
		/* Cut off, or made to hide what follows: one word only. */
		if (!work_spend(w, i, w->n - i)) {
			return false;
		}
		i = from;
	}
	end = i + (work_at(w, i) == '`');
	while (end < w->n && !ends_bare(w, end)) {
		end++;
	}
	*out = (struct value){i, end, false};
	return work_spend(w, i, end - i + 1) && end > i;
}
