/* The literal scan against looking for one word after another. */
#include "tests/support/rulekit.h"

#include "detectors/literals.h"
#include "detectors/match.h"

static uint64_t state;

static uint64_t rnd(uint64_t below)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static void on_hit(void *arg, void *owner)
{
	(void)arg;
	*(bool *)owner = true;
}

static void on_finding(void *arg, const struct finding *f)
{
	*(unsigned *)arg += f->state == FINDING_NEW;
}

enum { WORDS = 20, LINE = 200 };

static void the_scan_finds_exactly_the_words_that_are_there(void **unused)
{
	static const char letters[] = "abAB1 \xc3=";
	static struct literals scan;

	(void)unused;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct literal v[WORDS];
		char text[WORDS][12], line[LINE];
		bool found[WORDS] = {false};
		uint32_t n = 1 + (uint32_t)(seed % WORDS);
		size_t length;

		state = seed;
		for (uint32_t i = 0; i < n; i++) {
			size_t w = LITERAL_LEAST + rnd(sizeof text[0] - LITERAL_LEAST);

			for (size_t k = 0; k < w; k++) {
				char c = letters[rnd(sizeof letters - 1)];

				text[i][k] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
			}
			v[i] = (struct literal){.text = slice(text[i], w), .owner = &found[i]};
		}
		literals_build(&scan, v, n);
		length = rnd(LINE);
		for (size_t k = 0; k < length; k++) {
			line[k] = letters[rnd(sizeof letters - 1)];
		}
		literals_scan(&scan, slice(line, length), on_hit, NULL);
		for (uint32_t i = 0; i < n; i++) {
			bool there = match_find_nocase(slice(line, length),
						       v[i].text) != SIZE_MAX;

			if (there != *(bool *)v[i].owner) {
				fail_msg("seed %llu: word %u %s",
					 (unsigned long long)seed, i,
					 there ? "was missed" : "was made up");
			}
		}
	}
}

/* A rule behind the scan fires as it would without. */
static void rules_found_by_their_words_fire(void **unused)
{
	static const struct {
		const char *line;
		unsigned fires;
	} cases[] = {
		{"an EVILSERVICE here", 1}, {"evilservice", 1}, {"evilservic", 0},
		{"two needles: one and other", 1}, {"one needle: other", 0},
		{"glob abcxyz-tail end", 1}, {"glob abcxyz", 0},
		{"evilservice two needles: one and other", 2}, {"", 0}, {"evi", 0},
	};
	struct detect *d = rulekit_detect(
		"title: a\nlogsource: {product: linux}\n"
		"detection: {s: [evilservice, nevertheless], condition: s}\n---\n"
		"title: b\nlogsource: {service: sshd}\n"
		"detection: {s: {'|all': [two, needles, other]}, condition: s}\n---\n"
		"title: c\nlogsource: {product: linux}\n"
		"detection: {s: {message: 'glob*xyz?tail*'}, condition: s}\n",
		NULL, NULL);

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct record r = rulekit_login(SEC(i), OUTCOME_NONE, NULL, NULL);
		unsigned fired = 0;

		r.line = r.header.message = slice_str(cases[i].line);
		detect_record(d, &r, on_finding, &fired);
		assert_int_equal(fired, cases[i].fires);
	}
	detect_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scan_finds_exactly_the_words_that_are_there),
		cmocka_unit_test(rules_found_by_their_words_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
