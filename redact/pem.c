/* Private keys in PEM (RFC 7468), OpenSSH's, SSH2's and PGP's armour.
 *
 * The only secret that crosses lines, so the only one with state.  Inside a
 * block only what can be a key's is masked: a user who calls himself
 * "-----BEGIN PRIVATE KEY-----" must not blind anybody to the lines that follow.
 */
#include "redact/verify.h"

enum { B64 = C_ALNUM | C_B64 };

static bool is_key_label(struct slice s)
{
	return slice_find(s, SLICE_LIT("PRIVATE KEY")) != SIZE_MAX;
}

/* Finds the next "BEGIN ... PRIVATE KEY" or "END ... PRIVATE KEY" between dashes;
 * *after is behind its dashes. */
static size_t marker(struct slice line, const char *word, size_t from, size_t *after)
{
	struct slice what = slice_str(word);

	for (;;) {
		struct slice rest = slice_skip(line, from);
		size_t at = slice_find(rest, what), end;

		if (at == SIZE_MAX) {
			return SIZE_MAX;
		}
		at += from;
		end = at + what.n;
		while (end < line.n && (is_class(line.p[end], C_UPPER | C_DIGIT) ||
					line.p[end] == ' ')) {
			end++;
		}
		if (is_key_label(slice(line.p + at, end - at)) && end < line.n &&
		    line.p[end] == '-') {
			while (end < line.n && line.p[end] == '-') {
				end++;
			}
			*after = end;
			return at;
		}
		from = at + 1;
	}
}

bool pem_opens(struct slice line)
{
	size_t from = 0, after;
	bool open = false;

	while (marker(line, "-BEGIN ", from, &after) != SIZE_MAX ||
	       marker(line, "- BEGIN ", from, &after) != SIZE_MAX) {
		size_t end;

		open = true;
		from = after;
		if (marker(line, "END ", from, &end) != SIZE_MAX) {
			open = false;
			from = end;
		}
	}
	return open;
}

bool pem_closes(struct slice line)
{
	size_t after;

	return marker(line, "-END ", 0, &after) != SIZE_MAX ||
	       marker(line, "- END ", 0, &after) != SIZE_MAX;
}

/* Base64 of a key: long enough, and not one word in one case. */
static bool is_key_run(struct slice s)
{
	unsigned classes = 0;

	for (size_t i = 0; i < s.n; i++) {
		classes |= char_class(s.p[i]);
	}
	return s.n >= 16 && (classes & C_UPPER) != 0 &&
	       (classes & (C_LOWER | C_DIGIT)) != 0;
}

static void mask_runs(struct work *w, size_t from, size_t to)
{
	for (size_t i = from; i < to;) {
		size_t end = run_end(w, i, B64);

		end = end < to ? end : to;
		/* "\nMIIE": the n is the escape's. */
		if (end > i && i > 0 && w->p[i - 1] == '\\' && in_set(w->p[i], "nrt")) {
			i++;
		}
		if (end > i && is_key_run(slice(w->p + i, end - i))) {
			work_mask(w, RULE_PRIVATE_KEY, i, end);
		}
		i = end > i ? end : i + 1;
	}
}

/* Only what stands in an armoured key: base64, blanks, escaped line ends, headers. */
static bool is_body(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_class(s.p[i], B64 | C_LINE | C_DOT) &&
		    !in_set(s.p[i], " \\,:\t\r")) {
			return false;
		}
	}
	return s.n > 0;
}

/* On a line that has the whole block, or its beginning. */
void verify_pem(struct work *w, const struct literal *l, size_t at, size_t end)
{
	struct slice line = slice(w->p, w->n);
	size_t begin, after, last, behind;

	/* The marker around this "PRIVATE KEY". */
	begin = at > 64 ? at - 64 : 0;
	if (!work_spend(w, at, 128 + (w->n - at) / 4)) {
		return;
	}
	while (begin < at && slice_find(slice(w->p + begin, end - begin),
					SLICE_LIT("BEGIN ")) != 0) {
		begin++;
	}
	if (begin == at || marker(line, "BEGIN ", begin, &after) != begin) {
		return;
	}
	last = marker(line, "END ", after, &behind);
	if (last == SIZE_MAX) {
		mask_runs(w, after, w->n);
		return;
	}
	while (last > after && w->p[last - 1] == '-') {
		last--;
	}
	if (is_body(slice(w->p + after, last - after)) && last - after >= 24) {
		work_mask(w, l->rule, after, last);
	} else {
		mask_runs(w, after, last);
	}
}

bool pem_line(struct work *w)
{
	size_t to = w->n, from = 0, word;
	struct slice last;

	while (to > 0 && in_set(w->p[to - 1], " \t\r\"',\\")) {
		to--;
	}
	while (from < to && in_set(w->p[from], " \t>#|\"'+")) {
		from++;
	}
	if (from == to) {
		return true;
	}
	mask_runs(w, from, to);
	word = to;
	while (word > from && is_class(w->p[word - 1], B64)) {
		word--;
	}
	last = slice(w->p + word, to - word);
	if (word == from) {
		/* Nothing but base64: the block's last line is short. */
		work_mask(w, RULE_PRIVATE_KEY, word, to);
		return true;
	}
	if (slice_eq(slice(w->p + from, to - from), SLICE_LIT("*redacted-private-key*"))) {
		return true;
	}
	/* The last line of a key, each line with a header of its own. */
	if (last.n >= 4 && last.p[last.n - 1] == '=' && word >= 2 &&
	    w->p[word - 1] == ' ' && w->p[word - 2] == ':') {
		work_mask(w, RULE_PRIVATE_KEY, word, to);
		return true;
	}
	return is_key_run(last) ||
	       slice_find(slice(w->p, to), SLICE_LIT("Proc-Type: ")) != SIZE_MAX ||
	       slice_find(slice(w->p, to), SLICE_LIT("DEK-Info: ")) != SIZE_MAX;
}
