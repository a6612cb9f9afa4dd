/* Passwords on command lines, as sudo, cron, auditd and shells log them. */
#include "redact/verify.h"

static size_t skip_blanks(const struct work *w, size_t i)
{
	while (is_blank(work_at(w, i))) {
		i++;
	}
	return i;
}

/* From behind an option to its value: over the closing quote and the next
 * argument's name in auditd's a1="-p" a2="x". */
static size_t next_word(const struct work *w, size_t i)
{
	size_t k;

	while (in_set(work_at(w, i), "\"'\\")) {
		i++;
	}
	if (!is_blank(work_at(w, i))) {
		return SIZE_MAX;
	}
	i = skip_blanks(w, i);
	k = i + 1;
	if (work_at(w, i) == 'a' && is_class(work_at(w, k), C_DIGIT)) {
		k = run_end(w, k, C_DIGIT);
		if (work_at(w, k) == '=') {
			return k + 1;
		}
	}
	return i;
}

static void mask_value(struct work *w, uint8_t rule, size_t i, bool attached)
{
	struct value v;
	struct slice s;
	bool more;

	if (!value_take(w, i, &v)) {
		return;
	}
	s = slice(w->p + v.from, v.to - v.from);
	more = is_blank(work_at(w, v.to));
	if (value_is_placeholder(w, s) ||
	    (!attached && !v.quoted &&
	     (s.p[0] == '-' || (more && value_is_function_word(s))))) {
		return;
	}
	work_mask(w, rule, v.from, v.to);
}

/* user:password; the user alone, when the password is empty: it is a token. */
static void mask_half(struct work *w, uint8_t rule, size_t i, char mark)
{
	struct value v, second;
	size_t at;

	if (!value_take(w, i, &v)) {
		return;
	}
	at = slice_find(slice(w->p + v.from, v.to - v.from), slice(&mark, 1));
	if (at == SIZE_MAX) {
		/* "user":"password" */
		if (v.quoted && work_at(w, v.to + 1) == mark) {
			mask_value(w, rule, v.to + 2, true);
		}
		return;
	}
	at += v.from;
	if (at + 1 < v.to) {
		if (!value_is_placeholder(w, slice(w->p + at + 1, v.to - at - 1))) {
			work_mask(w, rule, at + 1, v.to);
		}
	} else if (!v.quoted && in_set(work_at(w, v.to), "\"'") &&
		   value_take(w, v.to, &second) && second.quoted) {
		work_mask(w, rule, second.from, second.to);
	} else if (at > v.from &&
		   !value_is_placeholder(w, slice(w->p + v.from, at - v.from))) {
		work_mask(w, rule, v.from, at);
	}
}

/* The word at i is an option of the form's; `i` is behind its dash. */
static void option_value(struct work *w, uint8_t rule, const char *options, size_t i)
{
	for (const char *o = options; *o != '\0'; o += 2) {
		size_t k = i;

		/* curl -sSu x:y: other letters may come before. */
		while (o[1] == ':' && work_at(w, k) != o[0] &&
		       is_class(work_at(w, k), C_ALPHA)) {
			k++;
		}
		if (work_at(w, k) != o[0]) {
			continue;
		}
		k++;
		if (k >= w->n || is_blank(w->p[k]) ||
		    (in_set(w->p[k], "\"'") &&
		     (k + 1 >= w->n || is_blank(work_at(w, k + 1))))) {
			k = o[1] == '+' ? SIZE_MAX : next_word(w, k);
			if (k != SIZE_MAX && in_set(o[1], ":%,")) {
				mask_half(w, rule, k, o[1]);
			} else if (k != SIZE_MAX) {
				mask_value(w, rule, k, false);
			}
		} else if (in_set(o[1], ":%,")) {
			mask_half(w, rule, k, o[1]);
		} else {
			mask_value(w, rule, k, true);
		}
		return;
	}
}

static size_t word_end(const struct work *w, size_t i)
{
	char quote = 0;

	for (; i < w->n; i++) {
		char c = w->p[i];

		if (quote != 0) {
			quote = c == quote ? 0 : quote;
		} else if (c == '"' || c == '\'') {
			/* Only where it is closed again: it may be the end of
			 * what the whole command is quoted in. */
			if (memchr(w->p + i + 1, c, w->n - i - 1) == NULL) {
				return i;
			}
			quote = c;
		} else if (is_blank(c) || c == '|' || c == ';' || c == '\n') {
			return i;
		}
	}
	return i;
}

static bool option_word(const struct work *w, size_t i, size_t to, const char *word)
{
	return slice_eq(slice(w->p + i, to - i), slice_str(word));
}

/* mysql -pX, sshpass -p X, curl -u a:b: walks the words of one command. */
void verify_command(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct command_form *f = l->arg;
	size_t i = end;
	unsigned positional = 0;

	if (at > 0 && is_class(w->p[at - 1], C_ALNUM)) {
		return;
	}
	/* The rest of the command's name: mysqldump, ldapsearch.exe. */
	i = run_end(w, i, C_WORD | C_DOT);
	for (unsigned words = 0; words < 200; words++) {
		size_t to;

		while (is_blank(work_at(w, i)) || in_set(work_at(w, i), "\"'\\")) {
			i++;
		}
		if (i >= w->n || in_set(w->p[i], "|;\r")) {
			return;
		}
		if (work_at(w, i) == 'a' && is_class(work_at(w, i + 1), C_DIGIT)) {
			i = next_word(w, i - 1) == SIZE_MAX ? i : next_word(w, i - 1);
			i += in_set(work_at(w, i), "\"'");
		}
		to = word_end(w, i);
		if (!work_spend(w, at, to - i + 16)) {
			return;
		}
		if (work_at(w, i) == '-' && work_at(w, i + 1) != '-') {
			option_value(w, l->rule, f->options, i + 1);
		} else if (f->options[0] == 'u' && f->options[1] == ':' &&
			   (option_word(w, i, to, "--user") ||
			    option_word(w, i, to, "--proxy-user"))) {
			size_t k = next_word(w, to);

			if (k != SIZE_MAX) {
				mask_half(w, l->rule, k, ':');
			}
		} else if (work_at(w, i) != '-') {
			positional++;
			if ((f->positional != 0 && positional == f->positional)) {
				mask_value(w, l->rule, i, true);
			}
			if (f->keyword != NULL && option_word(w, i, to, f->keyword)) {
				size_t k = next_word(w, to);

				if (k != SIZE_MAX) {
					mask_value(w, l->rule, k, false);
				}
			}
		}
		i = to > i ? to : i + 1;
	}
	/* A command of more words than anybody types: in doubt. */
	w->rest = i < w->rest ? i : w->rest;
}

/* --password X, -passwd X, --api-token X, whatever the command. */
void verify_option(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t from = at;

	/* Back to where the word begins: it must be with a dash. */
	while (from > 0 && at - from < 32 && is_class(w->p[from - 1], C_WORD)) {
		from--;
	}
	if (!work_spend(w, at, at - from + 16) || work_at(w, from) != '-' ||
	    (from > 0 && !in_set(w->p[from - 1], " \t\"'"))) {
		return;
	}
	mask_value(w, l->rule, skip_blanks(w, end), false);
}
