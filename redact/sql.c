/* What SQL and sentences say of a password without a name and an equals sign. */
#include "redact/password.h"
#include "redact/verify.h"

enum { COLUMNS_MAX = 64, ROWS_MAX = 64, TEXT_MAX = 4096 };

static size_t skip_blanks(const struct work *w, size_t i)
{
	while (is_blank(work_at(w, i))) {
		i++;
	}
	return i;
}

static void mask_quoted(struct work *w, uint8_t rule, size_t i)
{
	struct value v;

	if (in_set(work_at(w, i), "'\"\\") && value_take(w, i, &v) && v.quoted &&
	    !value_is_placeholder(w, slice(w->p + v.from, v.to - v.from))) {
		work_mask(w, rule, v.from, v.to);
	}
}

/* "the password is hunter2!": in a sentence only what can be nothing else. */
void verify_stated(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t i = skip_blanks(w, end);
	struct value v;
	struct slice s;

	if (!work_spend(w, at, 16) || !value_take(w, i, &v)) {
		return;
	}
	while (!v.quoted && v.to > v.from && in_set(w->p[v.to - 1], ".,;:")) {
		v.to--;
	}
	s = slice(w->p + v.from, v.to - v.from);
	if (value_is_placeholder(w, s) ||
	    !(v.quoted || redact_looks_like_password(s) || value_is_random(s))) {
		return;
	}
	if (v.quoted && value_is_prose(s) && s.n < 8) {
		return;
	}
	work_mask(w, l->rule, v.from, v.to);
}

/* IDENTIFIED WITH mysql_native_password [BY|AS] 'x' */
void verify_identified(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t i = end;

	if (!work_spend(w, at, 64)) {
		return;
	}
	while (is_class(work_at(w, i), C_WORD) || in_set(work_at(w, i), "'\"`")) {
		i++;
	}
	i = skip_blanks(w, i);
	if (is_class(work_at(w, i), C_ALPHA) && is_class(work_at(w, i + 1), C_ALPHA) &&
	    is_blank(work_at(w, i + 2))) {
		mask_quoted(w, l->rule, skip_blanks(w, i + 2));
	}
}

/* ---- INSERT INTO t (a, password) VALUES ('x', 'y'), ('z', 'w') ---- */

static bool is_secret_column(struct slice name)
{
	static const char *const parts[] = {"pass", "pwd", "secret", "token", "hash", "psk",
					    "api_key", "apikey", "private_key", NULL};
	char lower[64];

	if (name.n == 0 || name.n > sizeof lower) {
		return false;
	}
	for (size_t i = 0; i < name.n; i++) {
		lower[i] = is_class(name.p[i], C_UPPER) ? (char)(name.p[i] | 0x20) : name.p[i];
	}
	for (const char *const *p = parts; *p != NULL; p++) {
		if (slice_find(slice(lower, name.n), slice_str(*p)) != SIZE_MAX) {
			return true;
		}
	}
	return false;
}

/* The end of a list's item that begins at i: at the comma or bracket behind it. */
static size_t item_end(const struct work *w, size_t i)
{
	unsigned open = 0;

	for (; i < w->n; i++) {
		char c = w->p[i];

		if (c == '\'' || c == '"') {
			const char *close = memchr(w->p + i + 1, c, w->n - i - 1);

			if (close == NULL) {
				return SIZE_MAX;
			}
			i = (size_t)(close - w->p);
		} else if (c == '(') {
			open++;
		} else if (open > 0 && c == ')') {
			open--;
		} else if (open == 0 && (c == ',' || c == ')')) {
			return i;
		}
	}
	return SIZE_MAX;
}

/* The columns between the brackets at i, bit k for a secret one; *end is behind. */
static uint64_t read_columns(const struct work *w, size_t i, size_t *end)
{
	uint64_t secret = 0;

	for (unsigned k = 0; k < COLUMNS_MAX && i < w->n && w->p[i] != ')'; k++) {
		size_t from = skip_blanks(w, i + 1), to = from;

		while (to < w->n && !in_set(w->p[to], ",)")) {
			to++;
		}
		if (is_secret_column(slice(w->p + from, to - from))) {
			secret |= UINT64_C(1) << k;
		}
		i = to;
	}
	*end = i + 1;
	return secret;
}

/* Masks in the row whose bracket is at i; behind it, or SIZE_MAX. */
static size_t mask_row(struct work *w, uint8_t rule, size_t i, uint64_t secret)
{
	for (unsigned k = 0; k < COLUMNS_MAX; k++) {
		size_t from = skip_blanks(w, i + 1), to = item_end(w, from);

		if (to == SIZE_MAX) {
			return SIZE_MAX;
		}
		if ((secret >> k & 1) != 0) {
			/* crypt('x', gen_salt('bf')): what is called with it. */
			while (from < to && !in_set(w->p[from], "'\"")) {
				from++;
			}
			mask_quoted(w, rule, from);
		}
		if (w->p[to] == ')') {
			return to + 1;
		}
		i = to;
	}
	return SIZE_MAX;
}

void verify_insert(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t i = end;
	uint64_t secret;

	if (!work_spend(w, at, w->n - end)) {
		return;
	}
	while (i < w->n && i < end + 256 && !in_set(w->p[i], "(;")) {
		i++;
	}
	if (work_at(w, i) != '(') {
		return;
	}
	secret = read_columns(w, i, &i);
	i = i < w->n ? skip_blanks(w, i) : w->n;
	if (secret == 0 || w->n - i < 6 ||
	    !slice_eq_nocase(slice(w->p + i, 6), SLICE_LIT("VALUES"))) {
		return;
	}
	i = skip_blanks(w, i + 6);
	for (unsigned rows = 0; rows < ROWS_MAX && work_at(w, i) == '('; rows++) {
		i = mask_row(w, l->rule, i, secret);
		if (i == SIZE_MAX) {
			return;
		}
		i = skip_blanks(w, i);
		i = work_at(w, i) == ',' ? skip_blanks(w, i + 1) : i;
	}
	if (work_at(w, i) == '(') {
		/* More rows than are read one by one: in doubt. */
		w->rest = i < w->rest ? i : w->rest;
	}
}
