#include "parsers/share_example.h"

#include "common/ip.h"
#include "parsers/scan.h"
#include "parsers/slots.h"

enum {
	WORDS = 64,
	VOTES = 4,   /* a form that has become more frequent takes over as soon */
	ENOUGH = 2,  /* lines to compare with before any word is shown */
	WORD_MAX = 24,
};

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool next_word(struct slice *s, struct slice *word)
{
	skip_blanks(s);
	return take_word(s, word);
}

static unsigned words(struct slice s)
{
	struct slice word;
	unsigned n = 0;

	while (next_word(&s, &word)) {
		n++;
	}
	return n;
}

/* Equal but for their numbers. */
static bool same_but_numbers(struct slice a, struct slice b)
{
	size_t i = 0, k = 0;

	while (i < a.n && k < b.n) {
		if (is_digit(a.p[i]) && is_digit(b.p[k])) {
			while (i < a.n && is_digit(a.p[i])) {
				i++;
			}
			while (k < b.n && is_digit(b.p[k])) {
				k++;
			}
		} else if (a.p[i++] != b.p[k++]) {
			return false;
		}
	}
	return i == a.n && k == b.n;
}

static void take_over(struct share_example *x, struct slice line)
{
	size_t n = line.n < sizeof x->text ? line.n : sizeof x->text;

	/* A word that is cut off is none. */
	while (n < line.n && n > 0 && line.p[n] != ' ') {
		n--;
	}
	*x = (struct share_example){.n = (uint8_t)n, .votes = 1};
	memcpy(x->text, line.p, n);
}

void share_example_add(struct share_example *x, struct slice line)
{
	struct slice have = slice(x->text, x->n), mine, other;
	uint64_t bit = 1;

	line = slice_head(line, sizeof x->text);
	if (x->n == 0 || words(have) != words(line)) {
		if (x->n > 0 && --x->votes > 0) {
			return;
		}
		take_over(x, line);
		return;
	}
	if (x->votes < VOTES) {
		x->votes++;
	}
	if (x->seen < ENOUGH) {
		x->seen++;
	}
	while (next_word(&have, &mine) && next_word(&line, &other) && bit != 0) {
		if (!same_but_numbers(mine, other)) {
			x->differs |= bit;
		}
		bit <<= 1;
	}
}

/* Letters with punctuation around them, or digits with some between; "sshd[12]:". */
static bool plain(struct slice word)
{
	bool letters = false, digits = false, bracket = false;

	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if (letter(c)) {
			/* "x7y" is no word; "T" and "Z" stand in stamps. */
			if (digits && !bracket && c != 'T' && c != 'Z') {
				return false;
			}
			letters = letters || (c != 'T' && c != 'Z');
		} else if (is_digit(c)) {
			if (letters && !bracket) {
				return false;
			}
			digits = true;
		} else if (slice_chr(SLICE_LIT("[]()<>{}:;,.'\"/+-=|"), c) == SIZE_MAX) {
			return false;
		} else {
			bracket = bracket || c == '[' || c == '(' || c == '{' || c == '<';
		}
	}
	return word.n <= WORD_MAX;
}

/* Room for the word and what follows was checked. */
static size_t put_word(char *out, struct slice word)
{
	size_t n = 0;

	for (size_t i = 0; i < word.n; i++) {
		if (!is_digit(word.p[i])) {
			out[n++] = word.p[i];
		} else if (i == 0 || !is_digit(word.p[i - 1])) {
			out[n++] = '0';
		}
	}
	return n;
}

void share_example_write(const struct share_example *x, char out[static SHARE_EXAMPLE])
{
	struct slice have = slice(x->text, x->n), word;
	uint64_t bit = 1;
	size_t n = 0;

	while (next_word(&have, &word) && n + word.n + 2 < SHARE_EXAMPLE) {
		bool shown = bit != 0 && (x->differs & bit) == 0 && x->seen >= ENOUGH &&
			     plain(word);

		if (n > 0) {
			out[n++] = ' ';
		}
		if (shown) {
			n += put_word(out + n, word);
		} else {
			out[n++] = '*';
		}
		bit <<= 1;
	}
	out[n] = '\0';
}

uint32_t share_example_begins(struct slice line)
{
	uint64_t hash = 0;
	struct slice word;

	for (int i = 0; i < 2 && next_word(&line, &word); i++) {
		char text[SHARE_NAME];

		word = slice_head(word, sizeof text);
		hash = slot_key(hash, slice(text, put_word(text, word)));
	}
	return (uint32_t)(hash >> 32) | 1;
}

bool share_example_address(struct slice line)
{
	struct slice word;
	struct ip ip;

	while (next_word(&line, &word)) {
		while (word.n > 0 &&
		       slice_chr(SLICE_LIT(",;:.)]\"'"), word.p[word.n - 1]) != SIZE_MAX) {
			word.n--;
		}
		if (word.n >= 7 && (ip_is_quad(word) || (slice_chr(word, ':') != SIZE_MAX &&
							 ip_parse(word, &ip)))) {
			return true;
		}
	}
	return false;
}
