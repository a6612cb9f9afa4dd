/* Passwords typed as user names.
 *
 * Daemons say of a failed login whom it was for, and each has its own words for a user
 * who does not exist, or for one of whom it does not say.  A form knows where in the
 * line the name is; redact_looks_like_password() judges it word by word, so that an
 * address or what else stands near is never masked with it.
 *
 * The wordings are from the daemons' sources: OpenSSH (auth.c, packet.c), Linux-PAM,
 * sssd, dropbear, util-linux' login, shadow, vsftpd, proftpd, pure-ftpd, Dovecot,
 * Postfix, Exim, nginx, Apache, LuCI, webmin, OpenVPN, strongSwan, MySQL, Samba; and
 * those that parsers/services.c names.
 */
#include "redact/verify.h"

#include "redact/password.h"

enum {
	NEAR = 512,      /* how far from the literal a name is looked for */
	NAME_LONGEST = 64, WORDS_MAX = 64,
	PHRASE_WORDS = 3, PHRASE_WORDS_MAX = 10, PHRASE_LETTERS = 16,
};

static size_t find(const struct work *w, size_t from, size_t to, const char *text)
{
	size_t at = slice_find(slice(w->p + from, to - from), slice_str(text));

	return at == SIZE_MAX ? SIZE_MAX : from + at;
}

static size_t rfind(const struct work *w, size_t from, size_t to, const char *text)
{
	size_t at = slice_rfind(slice(w->p + from, to - from), slice_str(text));

	return at == SIZE_MAX ? SIZE_MAX : from + at;
}

/* ---- where the name ends ---- */

/* What is quoted ends at the quote that no word goes on behind: 'O'Neil' from. */
static size_t quoted_end(const struct work *w, size_t from, char close)
{
	for (size_t i = from; i < w->n && i < from + NEAR; i++) {
		if (w->p[i] == close && !is_class(work_at(w, i + 1), C_ALNUM)) {
			return i;
		}
	}
	return SIZE_MAX;
}

/* Behind a message inside of JSON stands more. */
static size_t text_end(const struct work *w, size_t from, size_t to)
{
	size_t json = find(w, from, to, "\",\"");

	return json == SIZE_MAX ? to : json;
}

/* sshd: NAME from ADDRESS port N, NAME ADDRESS port N, NAME [preauth].  The name is the
 * client's to choose and may hold " from " itself, so the last one counts. */
static size_t sshd_end(const struct work *w, size_t from)
{
	size_t to = rfind(w, from, w->n, " from ");

	if (to != SIZE_MAX) {
		return to;
	}
	to = rfind(w, from, w->n, " port ");
	if (to != SIZE_MAX) {
		while (to > from && !is_blank(w->p[to - 1])) {
			to--;
		}
		return to > from ? to - 1 : from;
	}
	to = rfind(w, from, w->n, " [preauth]");
	return text_end(w, from, to == SIZE_MAX ? w->n : to);
}

/* SIZE_MAX: what must follow the name does not. */
static size_t name_end(const struct work *w, const struct name_form *f, size_t from)
{
	size_t far = w->n - from < NEAR ? w->n : from + NEAR;

	return f->until[0] == '\0' ? text_end(w, from, far) : rfind(w, from, far, f->until);
}

static size_t words_end(const struct work *w, size_t i, const char *ends)
{
	size_t far = w->n - i < NEAR ? w->n : i + NEAR;

	while (i < far && !in_set(w->p[i], ends)) {
		i++;
	}
	return i;
}

static size_t word_end(const struct work *w, size_t i, const char *ends)
{
	while (i < w->n && !is_blank(w->p[i]) && !in_set(w->p[i], ends)) {
		i++;
	}
	return i;
}

/* ---- judging ---- */

/* The same text elsewhere in the line: Samba and others say a name twice. */
static void mask_others(struct work *w, uint8_t rule, size_t from, size_t to)
{
	struct slice name = slice(w->p + from, to - from);
	size_t i = 0;

	if (name.n < 6 || !work_spend(w, from, w->n)) {
		return;
	}
	for (;;) {
		size_t at = slice_find(slice(w->p + i, w->n - i), name);

		if (at == SIZE_MAX) {
			return;
		}
		i += at;
		if (i != from) {
			work_mask(w, rule, i, i + name.n);
		}
		i += name.n;
	}
}

static bool is_excepted(const struct work *w, struct slice s)
{
	for (size_t i = 0; i < w->except->n; i++) {
		if (slice_eq(s, slice_str(w->except->v[i]))) {
			return true;
		}
	}
	return false;
}

static bool judge(struct work *w, uint8_t rule, size_t from, size_t to)
{
	while (from < to && in_set(w->p[from], "'\"`<([")) {
		from++;
	}
	while (to > from && in_set(w->p[to - 1], "'\"`>)],;:.")) {
		to--;
	}
	if (from == to || !redact_looks_like_password(slice(w->p + from, to - from)) ||
	    is_excepted(w, slice(w->p + from, to - from))) {
		return false;
	}
	work_mask(w, rule, from, to);
	mask_others(w, rule, from, to);
	return true;
}

/* correct horse battery staple: words, and none that a log's sentence has. */
static bool is_phrase(struct slice s)
{
	size_t words = 0, letters = 0, i = 0;

	while (i < s.n) {
		size_t end = i;

		while (end < s.n && is_class(s.p[end], C_ALPHA)) {
			end++;
		}
		if (end - i < 3 || (end < s.n && s.p[end] != ' ') ||
		    value_is_function_word(slice(s.p + i, end - i))) {
			return false;
		}
		words++;
		letters += end - i;
		i = end + 1;
	}
	return words >= PHRASE_WORDS && words <= PHRASE_WORDS_MAX && letters >= PHRASE_LETTERS;
}

/* A name that may hold blanks; true: some of it is a password. */
static bool judge_words(struct work *w, uint8_t rule, size_t from, size_t to)
{
	size_t i = from;
	bool any = false;

	if (to <= from || !work_spend(w, from, to - from)) {
		return false;
	}
	if (is_phrase(slice(w->p + from, to - from))) {
		work_mask(w, rule, from, to);
		return true;
	}
	for (unsigned k = 0; k < WORDS_MAX && i < to; k++) {
		size_t end = word_end(w, i, "");

		end = end < to ? end : to;
		any |= judge(w, rule, i, end);
		i = end + 1;
	}
	return any;
}

static size_t skip_quotes(const struct work *w, size_t i)
{
	while (i < w->n && in_set(w->p[i], "\\")) {
		i++;
	}
	return i;
}

/* The name that begins at i: quoted, or one word, or (sshd's) up to what follows. */
static void judge_at(struct work *w, uint8_t rule, const struct name_form *f, size_t i)
{
	static const char open[] = "'\"`[<(", close[] = "'\"']>)";
	size_t quote = skip_quotes(w, i), to;
	const char *kind = in_set(work_at(w, quote), open) ? strchr(open, w->p[quote]) : NULL;

	if (!work_spend(w, i, 64)) {
		return;
	}
	if (kind != NULL) {
		to = quoted_end(w, quote + 1, close[kind - open]);
		if (to != SIZE_MAX) {
			judge_words(w, rule, quote + 1, to);
			return;
		}
		i = quote + 1;
	}
	if (f->blanks) {
		judge_words(w, rule, i, sshd_end(w, i));
		return;
	}
	if (f->until != NULL || f->words) {
		to = f->until != NULL ? name_end(w, f, i) : words_end(w, i, f->ends);
		if (to != SIZE_MAX) {
			judge_words(w, rule, i, to);
		}
		return;
	}
	to = word_end(w, i, f->ends != NULL ? f->ends : "");
	if (work_spend(w, i, to - i)) {
		judge(w, rule, i, to);
	}
}

/* auditd writes in hex what has blanks or quotes in it. */
static void judge_acct(struct work *w, uint8_t rule, size_t i)
{
	char name[256];
	size_t to = run_end(w, i, C_HEX), n = (to - i) / 2;

	if (in_set(work_at(w, i), "\"")) {
		to = quoted_end(w, i + 1, '"');
		if (to != SIZE_MAX) {
			judge_words(w, rule, i + 1, to);
		}
		return;
	}
	if (to == i || (to - i) % 2 != 0 || n > sizeof name || !work_spend(w, i, to - i)) {
		return;
	}
	for (size_t k = 0; k < n; k++) {
		name[k] = (char)(hex_value(w->p[i + 2 * k]) << 4 |
				 hex_value(w->p[i + 2 * k + 1]));
	}
	for (size_t k = 0, end; k < n; k = end + 1) {
		for (end = k; end < n && !is_blank(name[end]);) {
			end++;
		}
		if (redact_looks_like_password(slice(name + k, end - k)) ||
		    (k == 0 && is_phrase(slice(name, n)))) {
			work_mask(w, rule, i, to);
			break;
		}
	}
	explicit_bzero(name, n);
}

/* The user of a line in an access log: the third word. */
static void judge_access(struct work *w, uint8_t rule, size_t at)
{
	size_t open = find(w, 0, at < NEAR ? at : NEAR, " ["), from;

	if (open == SIZE_MAX) {
		return;
	}
	from = rfind(w, 0, open, " - ");
	if (from != SIZE_MAX) {
		judge_words(w, rule, from + 3, open);
	}
}

/* NAME@REALM: whoever logs in chooses the realm from a list, and types the name only; a
 * program may leave it out. */
static void judge_realm(struct work *w, uint8_t rule, const struct name_form *f, size_t i)
{
	size_t to = name_end(w, f, i), at;

	if (to == SIZE_MAX) {
		return;
	}
	at = rfind(w, i, to, "@");
	if (at == SIZE_MAX || !is_class(work_at(w, at + 1), C_ALPHA) ||
	    !judge_words(w, rule, i, at)) {
		judge_words(w, rule, i, to);
	}
}

/* "DISPLAY NAME" <sip:NAME@HOST>, each word of which may be left out. */
static void judge_sip(struct work *w, uint8_t rule, const struct name_form *f, size_t i)
{
	size_t to = name_end(w, f, i), scheme, at;

	if (to == SIZE_MAX) {
		return;
	}
	scheme = rfind(w, i, to, "<sip");
	if (scheme == SIZE_MAX) {
		judge_words(w, rule, i, to);
		return;
	}
	judge_words(w, rule, i, scheme);
	scheme = find(w, scheme, to, ":");
	if (scheme != SIZE_MAX) {
		at = rfind(w, scheme, to, "@");
		judge_words(w, rule, scheme + 1, at == SIZE_MAX ? to : at);
	}
}

/* [NAME/PASSWORD], as FreeRADIUS with auth_badpass and honeypots write it. */
static void judge_both(struct work *w, uint8_t rule, size_t i)
{
	size_t to = quoted_end(w, i, ']'), slash;

	if (to == SIZE_MAX || !work_spend(w, i, to - i)) {
		return;
	}
	slash = find(w, i, to, "/");
	if (slash == SIZE_MAX) {
		judge(w, rule, i, to);
		return;
	}
	judge(w, rule, i, slash);
	if (slash + 1 < to && w->p[slash + 1] != '<') {
		work_mask(w, RULE_PASSWORD, slash + 1, to);
	}
}

void verify_typed(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct name_form *f = l->arg;
	size_t i = end;

	/* A class at the literal's end is the name's first character. */
	while (i > at && l->text[i - at - 1] < ' ') {
		i--;
	}
	if (!work_spend(w, at, 64) ||
	    (f->needs != NULL && find(w, 0, w->n, f->needs) == SIZE_MAX)) {
		return;
	}
	if (f->behind != NULL) {
		size_t far = w->n - end < NEAR ? w->n : end + NEAR;

		i = find(w, end, far, f->behind);
	} else if (f->before != NULL) {
		i = rfind(w, at > NEAR ? at - NEAR : 0, at, f->before);
	}
	if (i == SIZE_MAX || !work_spend(w, at, NEAR)) {
		return;
	}
	i += f->behind != NULL ? strlen(f->behind) : f->before != NULL ? strlen(f->before) : 0;
	switch (f->where) {
	case NAME_HERE:
		judge_at(w, l->rule, f, i);
		break;
	case NAME_QUOTED:
		judge_at(w, l->rule, f, i - 1);
		break;
	case NAME_UP_TO:
		/* What is longer is a sentence that has the word in it. */
		if (at - i <= NAME_LONGEST) {
			judge_words(w, l->rule, i, at);
		}
		break;
	case NAME_CLOSED:
		if (at - i <= NAME_LONGEST && in_set(work_at(w, i), "'`")) {
			judge_words(w, l->rule, i + 1, at);
		}
		break;
	case NAME_REALM:
		judge_realm(w, l->rule, f, i);
		break;
	case NAME_SIP:
		judge_sip(w, l->rule, f, i);
		break;
	case NAME_ACCT:
		judge_acct(w, l->rule, i);
		break;
	case NAME_ACCESS:
		judge_access(w, l->rule, at);
		break;
	case NAME_BOTH:
		judge_both(w, l->rule, i);
		break;
	}
}

/* Inline, as this is run for every failed login. */
static inline bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool has(const char *p, size_t i, size_t n, const char *text)
{
	size_t len = strlen(text);

	return n - i >= len && memcmp(p + i, text, len) == 0;
}

/* The address at i ends the line, but for " port N", " ssh2" and " [preauth]". */
static bool ends_with_address(const char *p, size_t i, size_t n)
{
	while (i < n && p[i] != ' ' && p[i] != '\n') {
		i++;
	}
	if (has(p, i, n, " port ")) {
		i += sizeof " port " - 1;
		while (i < n && is_digit(p[i])) {
			i++;
		}
	}
	i += has(p, i, n, " ssh2") ? sizeof " ssh2" - 1 : 0;
	i += has(p, i, n, " [preauth]") ? sizeof " [preauth]" - 1 : 0;
	return i == n || p[i] == '\n';
}

/* Most names are in lower case, or have digits and are short: no need to look closer. */
bool guard_name(const char *p, size_t at, size_t end, size_t n)
{
	size_t i = end;
	bool digits = false;

	(void)at;
	while (i < n && i - end < NAME_LONGEST && (is_letter(p[i]) || is_digit(p[i]))) {
		digits |= is_digit(p[i]);
		i++;
	}
	if (i - end >= (digits ? 8u : 20u) &&
	    redact_looks_like_password(slice(p + end, i - end))) {
		return true;
	}
	if (i == n || p[i] == '\n') {
		return false;
	}
	if (p[i] != ' ' || i + 1 >= n) {
		return true;
	}
	i++;
	if (has(p, i, n, "from ")) {
		return !ends_with_address(p, i + 5, n);
	}
	return !has(p, i, n, "[preauth]") &&
	       !(is_digit(p[i]) && ends_with_address(p, i, n));
}
