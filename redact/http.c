/* Credentials in HTTP headers and URLs. */
#include "redact/verify.h"

static size_t skip(const struct work *w, size_t i, const char *set, unsigned most)
{
	while (most-- > 0 && in_set(work_at(w, i), set)) {
		i++;
	}
	return i;
}

/* A word of a header's value: up to a blank, a quote or an escaped line end. */
static size_t word_end(const struct work *w, size_t i)
{
	while (i < w->n && !in_set(w->p[i], " \t\"'`\\,;<>|\r") &&
	       (unsigned char)w->p[i] >= ' ') {
		i++;
	}
	return i;
}

/* More than "from" or "failed": a credential, not a sentence. */
static bool is_credential(const struct work *w, struct slice v)
{
	if (v.n < 4 || value_is_placeholder(w, v) || in_set(v.p[0], "<{[$*")) {
		return false;
	}
	for (size_t i = 0; i < v.n; i++) {
		if (!is_class(v.p[i], C_LOWER)) {
			return !(value_is_prose(v) && v.n < 16);
		}
	}
	return v.n >= 16;
}

static void mask_word(struct work *w, uint8_t rule, size_t from)
{
	size_t to = word_end(w, from);

	/* A bracket that the credential did not open closes the sentence around
	 * it, and whoever reads the line needs it. */
	if (to > from && w->p[to - 1] == ')' &&
	    memchr(w->p + from, '(', to - from) == NULL) {
		to--;
	}
	if (work_spend(w, from, to - from + 1) &&
	    is_credential(w, slice(w->p + from, to - from))) {
		work_mask(w, rule, from, to);
	}
}

/* The parameters of Digest, OAuth and AWS4-HMAC-SHA256 that prove something. */
static bool is_proof(struct slice name)
{
	static const char *const names[] = {
		"response", "nonce", "cnonce", "signature", "credential", "mac",
		"oauth_token", "oauth_signature", "oauth_consumer_key",
		"oauth_nonce", "token", "hash", "sig", NULL};

	for (const char *const *k = names; *k != NULL; k++) {
		if (slice_eq_nocase(name, slice_str(*k))) {
			return true;
		}
	}
	return false;
}

/* name=value, name="value", ...; true when there was one at least. */
static bool mask_parameters(struct work *w, uint8_t rule, size_t i)
{
	bool any = false;

	for (unsigned k = 0; k < 32; k++) {
		size_t name, end;
		struct value v;

		name = skip(w, i, " \t,", 8);
		end = run_end(w, name, C_WORD);
		if (end == name || work_at(w, end) != '=') {
			return any;
		}
		if (!value_take(w, end + 1, &v)) {
			return any;
		}
		if (!v.quoted) {
			v.to = word_end(w, v.from);
			if (v.to - v.from < 3 && work_at(w, v.to) == '\0') {
				return any;
			}
		}
		/* "x==" is base64, not a parameter. */
		if (v.to == v.from || w->p[v.from] == '=') {
			return any;
		}
		if (is_proof(slice(w->p + name, end - name)) &&
		    !value_is_placeholder(w, slice(w->p + v.from, v.to - v.from))) {
			work_mask(w, rule, v.from, v.to);
		}
		any = true;
		i = v.to;
		while (in_set(work_at(w, i), "\\\"")) {
			i++;
		}
		if (work_at(w, i) != ',') {
			return any;
		}
	}
	w->rest = i < w->rest ? i : w->rest;
	return true;
}

/* Authorization: scheme credentials.  Also "Authorization": "...",
 * Authorization=..., Authorization%3A+Basic+... is left to verify_scheme(). */
void verify_authorization(struct work *w, const struct literal *l, size_t at,
			  size_t end)
{
	size_t i = skip(w, end, "\"'\\", 6), word, to;
	struct slice scheme;

	i = skip(w, i, " \t", 8);
	if (!in_set(work_at(w, i), "=:") || !work_spend(w, at, 16)) {
		return;
	}
	i = skip(w, i, "=:>", 2);
	i = skip(w, i, " \t\"'\\", 16);
	word = i;
	to = word_end(w, word);
	scheme = slice(w->p + word, to - word);
	if (to < w->n && w->p[to] == ' ' && scheme.n > 1) {
		size_t next = skip(w, to, " \t", 8);

		/* "Basic Zm9v", and what has another scheme's name. */
		if (run_end(w, word, C_ALNUM | C_LINE) == to && scheme.n <= 24 &&
		    !value_is_random(scheme)) {
			if (!mask_parameters(w, l->rule, next)) {
				mask_word(w, l->rule, next);
			}
			return;
		}
	}
	if (!value_is_prose(scheme) || scheme.n >= 16) {
		mask_word(w, l->rule, word);
	}
}

/* Standard base64 of text with a colon in it, as Basic has it. */
static bool is_basic(struct slice v)
{
	unsigned bits = 0, have = 0;
	bool colon = false;

	if (v.n < 4 || v.n > 1024) {
		return false;
	}
	for (size_t i = 0; i < v.n && v.p[i] != '='; i++) {
		unsigned class = char_class(v.p[i]), six;

		if ((class & C_UPPER) != 0) {
			six = (unsigned)(v.p[i] - 'A');
		} else if ((class & C_LOWER) != 0) {
			six = (unsigned)(v.p[i] - 'a') + 26;
		} else if ((class & C_DIGIT) != 0) {
			six = (unsigned)(v.p[i] - '0') + 52;
		} else if (v.p[i] == '+' || v.p[i] == '-') {
			six = 62;
		} else if (v.p[i] == '/' || v.p[i] == '_') {
			six = 63;
		} else {
			return false;
		}
		bits = bits << 6 | six;
		have += 6;
		if (have >= 8) {
			unsigned byte = bits >> (have - 8) & 255;

			have -= 8;
			if (byte < ' ' || byte == 127) {
				return false;
			}
			colon |= byte == ':';
		}
	}
	return colon;
}

/* "basic " and "bearer " without the header's name before them. */
void verify_scheme(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t from = end, to;
	struct slice v;

	if (at > 0 && is_class(w->p[at - 1], C_ALNUM)) {
		return;
	}
	from = skip(w, from, " +", 4);
	to = run_end(w, from, C_WORD | C_B64 | C_DOT | C_TILDE);
	v = slice(w->p + from, to - from);
	if (!work_spend(w, at, to - at + 1)) {
		return;
	}
	if (in_set(l->text[1], "a") ? is_basic(v)
				    : v.n >= 16 && !value_is_prose(v) &&
					      !value_is_placeholder(w, v)) {
		work_mask(w, l->rule, from, to);
	}
}

/* Cookie: a=b; c=d.  Set-Cookie: a=b; Path=/ ...  Values only. */
void verify_cookie(struct work *w, const struct literal *l, size_t at, size_t end)
{
	bool set = at >= 4 && slice_eq_nocase(slice(w->p + at - 4, 4), SLICE_LIT("set-"));
	size_t i = skip(w, end, "\"'\\", 6);

	i = skip(w, i, " \t", 4);
	if (!in_set(work_at(w, i), ":=") || !work_spend(w, at, 16)) {
		return;
	}
	i = skip(w, i + 1, " \t\"'\\[", 16);
	for (unsigned k = 0; k < 64; k++) {
		size_t name = i, value, to;

		while (is_class(work_at(w, i), C_WORD | C_DOT) ||
		       in_set(work_at(w, i), "!#$%&*+^|~")) {
			i++;
		}
		if (i == name || work_at(w, i) != '=') {
			return;
		}
		value = i + 1;
		to = word_end(w, value);
		if (!work_spend(w, at, to - name)) {
			return;
		}
		if (!value_is_placeholder(w, slice(w->p + value, to - value))) {
			work_mask(w, l->rule, value, to);
		}
		if (set || work_at(w, to) != ';') {
			return;
		}
		i = skip(w, to + 1, " \t", 2);
	}
	/* More cookies than a browser sends: in doubt. */
	w->rest = i < w->rest ? i : w->rest;
}

/* End of what may be user:password@host: the last @ before the path counts, since
 * people leave an @ in a password as it is; and where what follows the colon is no
 * port, a / ? or # may be the password's own.  One pass; SIZE_MAX: it would read more
 * than the work's budget, which is then spent. */
static size_t authority_end(struct work *w, size_t at, size_t from)
{
	size_t i = from, most = w->n - from < w->budget ? w->n : from + w->budget;
	bool colon = false, port = true, sign = false;

	for (; i < most && !in_set(w->p[i], " \t\"'`<>\\") && (unsigned char)w->p[i] > ' ';
	     i++) {
		if (in_set(w->p[i], "/?#") && (!colon || port || sign)) {
			break;
		}
		if (colon) {
			port = port && is_class(w->p[i], C_DIGIT);
		}
		colon = colon || w->p[i] == ':';
		sign = sign || w->p[i] == '@';
	}
	return work_spend(w, at, i - from + 1) ? i : SIZE_MAX;
}

/* There is an @ where a password or a token would end: the same as verify_url() will see,
 * for a lot of URLs that have none.  Nobody pays for what it reads: so not far. */
bool guard_url(const char *p, size_t at, size_t end, size_t n)
{
	enum { FAR = 256 };
	bool colon = false;

	(void)at;
	for (size_t i = end; i < n && (unsigned char)p[i] > ' '; i++) {
		if (i - end > FAR) {
			return true;
		}
		switch (p[i]) {
		case '@':
			return true;
		case ':':
			colon = true;
			break;
		case '/':
		case '?':
		case '#':
			if (!colon) {
				return false;
			}
			break;
		case '"':
		case '\'':
		case '`':
		case '<':
		case '>':
		case '\\':
			return false;
		default:
			break;
		}
	}
	return false;
}

/* scheme://user:password@host */
void verify_url(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t stop, colon, sign;
	struct slice user;

	if (at == 0 || !is_class(w->p[at - 1], C_ALNUM)) {
		return;
	}
	stop = authority_end(w, at, end);
	if (stop == SIZE_MAX) {
		return;
	}
	user = slice(w->p + end, stop - end);
	sign = slice_rfind(user, SLICE_LIT("@"));
	colon = slice_find(user, SLICE_LIT(":"));
	if (sign == SIZE_MAX) {
		return;
	}
	if (colon < sign) {
		if (!value_is_placeholder(w, slice(user.p + colon + 1, sign - colon - 1))) {
			work_mask(w, l->rule, end + colon + 1, end + sign);
		}
	} else if (value_is_random(slice_head(user, sign))) {
		/* A token alone: https://token@host. */
		work_mask(w, l->rule, end, end + sign);
	}
}
