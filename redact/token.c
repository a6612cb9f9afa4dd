/* Secrets that are known by how they begin. */
#include "redact/verify.h"

/* Not inside a longer word: task_live_ is no sk_live_.  A digit before a long
 * literal is taken as the end of something else. */
static bool begins_word(const struct work *w, const struct literal *l, size_t at)
{
	return at == 0 || !is_class(w->p[at - 1], C_ALNUM) ||
	       (is_class(w->p[at - 1], C_DIGIT) && strlen(l->text) >= 6) ||
	       /* \n, \t and %2F before it are escapes. */
	       (at >= 2 && w->p[at - 2] == '\\' && in_set(w->p[at - 1], "nrt")) ||
	       (at >= 3 && w->p[at - 3] == '%' && is_class(w->p[at - 2], C_HEX) &&
		is_class(w->p[at - 1], C_HEX));
}

/* xxxx, 0000, ****: an example, a mask of somebody else's. */
static bool is_blanked(struct slice v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (!in_set(v.p[i], "xX*.-_0")) {
			return value_is_crossed_out(v);
		}
	}
	return true;
}

/* The run of the form's classes behind the literal's fixed part. */
static size_t token_end(const struct work *w, const struct token_form *f, size_t fixed)
{
	size_t to = run_end(w, fixed, f->classes);

	/* The end of a sentence, a dash; but a key of known length may end so. */
	while (to > fixed && in_set(w->p[to - 1], ".-") &&
	       (f->max == 0 || to - fixed > f->max)) {
		to--;
	}
	return to;
}

/* The last bytes of some literals are classes: they belong to the run. */
static size_t fixed_end(const struct literal *l, size_t end)
{
	for (size_t i = strlen(l->text); i > 0 && l->text[i - 1] < ' '; i--) {
		end--;
	}
	return end;
}

/* ghp_, github_pat_, AKIA: run of known length behind a known beginning. */
void verify_token(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct token_form *f = l->arg;
	size_t fixed = fixed_end(l, end), to;

	if (!begins_word(w, l, at)) {
		return;
	}
	to = token_end(w, f, fixed);
	if (!work_spend(w, at, to - at) || to - fixed < f->min ||
	    (f->max != 0 && to - fixed > f->max) ||
	    is_blanked(slice(w->p + fixed, to - fixed))) {
		return;
	}
	if ((f->classes & C_LINE) == 0 && work_at(w, to) == '_') {
		/* hf_name_of_a_function */
		return;
	}
	work_mask(w, l->rule, at, to);
}

/* SG.22 characters.43 characters, wherever it stands: nothing else looks so. */
void verify_sendgrid(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t dot = run_end(w, end - 1, C_WORD), to;

	if (!work_spend(w, at, 80) || dot - at < 20 || dot - at > 28 ||
	    work_at(w, dot) != '.') {
		return;
	}
	to = run_end(w, dot + 1, C_WORD);
	if (work_spend(w, at, to - dot) && to - dot > 36) {
		work_mask(w, l->rule, at, to);
	}
}

/* Prefixes of which the rest must look drawn at random: sk-. */
void verify_random(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct token_form *f = l->arg;
	size_t fixed = fixed_end(l, end), to = token_end(w, f, fixed);
	struct slice body = slice(w->p + fixed, to - fixed);

	if (begins_word(w, l, at) && work_spend(w, at, to - at) && body.n >= f->min &&
	    (f->max == 0 || body.n <= f->max) && value_is_random(body) &&
	    !value_is_crossed_out(body)) {
		work_mask(w, l->rule, at, to);
	}
}

/* eyJ...eyJ...[.signature]; ZXlK: the same in base64 once more. */
void verify_jwt(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t head, payload, to;

	if (!begins_word(w, l, at) && (at == 0 || w->p[at - 1] != '_')) {
		return;
	}
	head = run_end(w, end, C_WORD | C_B64);
	if (!work_spend(w, at, head - at)) {
		return;
	}
	if (l->text[0] == 'Z') {
		if (head - at >= 60) {
			work_mask(w, l->rule, at, head);
		}
		return;
	}
	if (head - at < 16 || work_at(w, head) != '.') {
		return;
	}
	payload = run_end(w, head + 1, C_WORD | C_B64);
	to = payload;
	if (work_at(w, payload) == '.') {
		to = run_end(w, payload + 1, C_WORD | C_B64 | C_DOT);
	}
	if (work_spend(w, at, to - head) && to - head >= 12) {
		work_mask(w, l->rule, at, to);
	}
}

/* $id$[rounds=N$]salt$hash, $2b$cost$salt-and-hash; crypt(5). */
void verify_hash(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t to = end - 1, fields = 0, last = to;

	while (to < w->n && (is_class(w->p[to], C_ALNUM | C_DOT) ||
			     in_set(w->p[to], "$/=,"))) {
		if (w->p[to] == '$') {
			fields++;
			last = to + 1;
		}
		to++;
	}
	if (work_spend(w, at, to - at) && fields >= 1 && to - last >= 22) {
		work_mask(w, l->rule, at, to);
	}
}

/* Azure AD: three letters or digits, a digit, Q~, 31 to 34 more. */
void verify_azure(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const unsigned body = C_WORD | C_DOT | C_TILDE;
	size_t from = at, to = run_end(w, end, body);

	while (from > 0 && at - from < 4 && is_class(w->p[from - 1], body)) {
		from--;
	}
	if (!work_spend(w, at, to - from) || at - from < 3 || to - end < 30 ||
	    to - end > 37 || value_is_crossed_out(slice(w->p + end, to - end))) {
		return;
	}
	for (size_t i = end; i < to; i++) {
		if (is_class(w->p[i], C_ALNUM)) {
			work_mask(w, l->rule, from, to);
			return;
		}
	}
}

/* digits:AAxxxx, in /bot123:AA.../ as well. */
void verify_telegram(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t colon = at + 1, from = colon, to;

	while (from > 0 && colon - from < 16 && is_class(w->p[from - 1], C_DIGIT)) {
		from--;
	}
	/* In a URL it stands behind "bot". */
	if (from > 0 && is_class(w->p[from - 1], C_ALPHA) &&
	    (from < 3 || !slice_eq(slice(w->p + from - 3, 3), SLICE_LIT("bot")))) {
		return;
	}
	to = run_end(w, colon + 1, C_WORD);
	if (work_spend(w, at, to - from) && colon - from >= 5 && to - colon - 1 >= 34 &&
	    to - colon - 1 <= 36) {
		work_mask(w, l->rule, from, to);
	}
	(void)end;
}

/* A URL whose path is the secret. */
void verify_webhook(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct token_form *f = l->arg;
	size_t to = end;

	while (to < w->n && (is_class(w->p[to], C_WORD | C_B64 | C_DOT) ||
			     in_set(w->p[to], "@%"))) {
		to++;
	}
	while (to > end && in_set(w->p[to - 1], ".-")) {
		to--;
	}
	if (work_spend(w, at, to - end) && to - end >= f->min) {
		work_mask(w, l->rule, end, to);
	}
}
