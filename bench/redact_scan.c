/* How long the secrets' scan takes: chunks of 256 KiB of the given file, each
 * engine in turn, and redaction as the agent does it.
 *
 *	redact_scan FILE [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/sys_uv.h"
#include "redact/redact.h"
#include "redact/scan.h"
#include "redact/verify.h"

/* Processor time, since the machine is shared. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Places at which the scan stops, in all of p[0, n), chunk by chunk. */
static size_t scan_all(const struct scan *s, const char *p, size_t n)
{
	size_t stops = 0;

	for (size_t at = 0; at < n; at += LIMIT_CHUNK) {
		size_t m = n - at < LIMIT_CHUNK ? n - at : LIMIT_CHUNK;

		for (size_t i = scan_next(s, p + at, 0, m); i < m;
		     i = scan_next(s, p + at, i + 1, m)) {
			stops++;
		}
	}
	return stops;
}

static size_t count_lines(const char *p, size_t n)
{
	size_t lines = 0;

	for (const char *q = p; (q = memchr(q, '\n', n - (size_t)(q - p))) != NULL; q++) {
		lines++;
	}
	return lines;
}

static const struct scan_plan *plan_of(const char *text)
{
	for (const struct scan_plan *p = rule_plan; p->text != NULL; p++) {
		if (strcmp(p->text, text) == 0) {
			return p;
		}
	}
	return NULL;
}

static void engines(const char *p, size_t n, size_t lines, unsigned rounds)
{
	static const char *const names[] = {"best",  "scalar", "ssse3",
					    "avx2", "vbmi",   "neon"};
	struct scan_literal l[512];
	struct scan *s;
	size_t k = 0;

	for (; rule_literals[k].text != NULL; k++) {
		l[k] = (struct scan_literal){rule_literals[k].text, rule_literals[k].fold,
					      rule_guard(&rule_literals[k]),
					      plan_of(rule_literals[k].text)};
	}
	if (scan_new(&s, l, k) != 0) {
		exit(2);
	}
	for (unsigned e = SCAN_BEST; e <= SCAN_NEON; e++) {
		double best = 1e18;
		size_t stops = 0;

		if (scan_use(s, (enum scan_engine)e) != 0) {
			continue;
		}
		for (unsigned i = 0; i < rounds; i++) {
			double t = now();

			stops = scan_all(s, p, n);
			t = now() - t;
			best = t < best ? t : best;
		}
		printf("scan %-7s %6.1f ns a line, %.2f GB/s, stops at %zu places\n",
		       names[e], best / (double)lines, (double)n / best, stops);
	}
	scan_free(s);
}

/* One pass as the agent's pipeline makes it. */
static size_t pass(const struct redact *r, struct redact_state *state,
		   struct buf *scratch, const char *p, size_t n)
{
	struct redact_chunk c = redact_chunk(r, p, n);
	size_t masked = 0, at = 0;

	while (at < n) {
		const char *end = memchr(p + at, '\n', n - at);
		struct slice line = slice(p + at, end == NULL ? n - at
							      : (size_t)(end - p) - at);
		struct slice out;

		masked += redact_chunk_line(&c, state, line, scratch, &out);
		at += line.n + 1;
	}
	return masked;
}

int main(int argc, char **argv)
{
	struct redact_options options = {.enabled = true};
	struct redact_state state = {0};
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 5;
	size_t n = 0, lines, masked = 0;
	struct buf scratch;
	struct redact *r;
	double best = 1e18;
	char *p = NULL;

	if (argc < 2 || sys_read_file(sys_plain(), argv[1], 1u << 30, &p, &n) != 0 ||
	    redact_new(&r, &options) != 0) {
		fprintf(stderr, "usage: redact_scan FILE [ROUNDS]\n");
		return 2;
	}
	buf_init(&scratch, 4 * REDACT_LINE_MAX);
	lines = count_lines(p, n);
	engines(p, n, lines, rounds);
	for (unsigned i = 0; i < rounds; i++) {
		double t = now();

		masked = 0;
		for (size_t at = 0; at < n; at += LIMIT_CHUNK) {
			masked += pass(r, &state, &scratch, p + at,
				       n - at < LIMIT_CHUNK ? n - at : LIMIT_CHUNK);
		}
		t = now() - t;
		best = t < best ? t : best;
	}
	printf("lines and redaction %6.1f ns a line, %zu of %zu lines masked\n",
	       best / (double)lines, masked, lines);
	redact_free(r);
	buf_fini(&scratch);
	free(p);
	return 0;
}
