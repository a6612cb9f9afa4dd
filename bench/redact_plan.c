/* Chooses windows and buckets for the secrets' scan by simulated annealing over real
 * logs, and writes redact/plan.c.  Only speed depends on the result.
 *
 *	redact_plan [-n] SECONDS FILE... > redact/plan.c
 *
 * -n: only those that redact/plan.c lacks get places.
 */
#include "../redact/scan.c"
#include "../redact/scan_deal.c"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "redact/verify.h"

enum { SAMPLE = 32 * 1024, FILES = 8, PLACES = SAMPLE * FILES / 64, PATTERNS = 600 };

static struct {
	uint64_t lo[SCAN_MIN][16][PLACES], hi[SCAN_MIN][16][PLACES];
	uint64_t byte[SCAN_MIN][128][PLACES]; /* for the engines that look bytes up whole */
} big;
static size_t places, lines;
static struct pattern patterns[PATTERNS];
static size_t n_patterns, n_literals;
static uint64_t random_state = 1;

static uint64_t rnd(void)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void load(const char *path)
{
	static unsigned char text[SAMPLE + SCAN_MIN];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	n = fread(text, 1, SAMPLE, f);
	fclose(f);
	for (size_t k = 0; k + SCAN_MIN < n && places < PLACES * 64; k++, places++) {
		lines += text[k] == '\n';
		for (unsigned i = 0; i < SCAN_MIN; i++) {
			unsigned c = text[k + i];

			big.lo[i][c & 15][places / 64] |= UINT64_C(1) << places % 64;
			big.hi[i][c >> 4][places / 64] |= UINT64_C(1) << places % 64;
			if (c < 128) {
				big.byte[i][c][places / 64] |= UINT64_C(1) << places % 64;
			}
		}
	}
}

static double cost_of(const struct nibbles *m)
{
	static uint64_t pass[PLACES], any[PLACES];
	size_t words = (places + 63) / 64;
	double hits = 0, wide = 0.2;

	memset(pass, 0xff, words * 8);
	for (unsigned i = 0; i < 2 * SCAN_MIN; i++) {
		uint16_t which = i < SCAN_MIN ? m->lo[i] : m->hi[i - SCAN_MIN];

		memset(any, 0, words * 8);
		for (unsigned v = 0; v < 16; v++) {
			const uint64_t *set = i < SCAN_MIN ? big.lo[i][v] : big.hi[i - SCAN_MIN][v];

			for (size_t k = 0; k < words && (which >> v & 1) != 0; k++) {
				any[k] |= set[k];
			}
		}
		for (size_t k = 0; k < words; k++) {
			pass[k] &= any[k];
		}
		wide *= __builtin_popcount(which) / (i < SCAN_MIN ? 16.0 : 6.0);
	}
	for (size_t k = 0; k < words; k++) {
		hits += __builtin_popcountll(pass[k]);
	}
	return hits / (double)lines + wide;
}

/* Of each pattern's each window: made once, asked for a million times. */
static struct nibbles windows[PATTERNS][SCAN_MAX];
struct whole {
	uint64_t set[SCAN_MIN][2]; /* bit c: byte c may stand there */
};
static struct whole wholes[PATTERNS][SCAN_MAX];

static struct whole whole_of(const struct pattern *p)
{
	struct whole w = {{{0}}};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		for (unsigned c = 0; c < 128; c++) {
			if (scan_accepts(p->text[p->window + i], p->fold, (char)c)) {
				w.set[i][c / 64] |= UINT64_C(1) << c % 64;
			}
		}
	}
	return w;
}

/* Places a line that get through whole bytes. */
static double whole_cost(const struct whole *w)
{
	static uint64_t pass[PLACES], any[PLACES];
	size_t words = (places + 63) / 64;
	double hits = 0;

	memset(pass, 0xff, words * 8);
	for (unsigned i = 0; i < SCAN_MIN; i++) {
		memset(any, 0, words * 8);
		for (unsigned c = 0; c < 128; c++) {
			const uint64_t *set = big.byte[i][c];

			if ((w->set[i][c / 64] >> c % 64 & 1) == 0) {
				continue;
			}
			for (size_t k = 0; k < words; k++) {
				any[k] |= set[k];
			}
		}
		for (size_t k = 0; k < words; k++) {
			pass[k] &= any[k];
		}
	}
	for (size_t k = 0; k < words; k++) {
		hits += __builtin_popcountll(pass[k]);
	}
	return hits / (double)lines;
}

static double bucket_cost(uint8_t b)
{
	struct nibbles m = {{0}, {0}};
	struct whole w = {{{0}}};
	bool any = false;

	for (size_t i = 0; i < n_patterns; i++) {
		if (patterns[i].bucket == b) {
			const struct whole *own = &wholes[i][patterns[i].window];

			nibbles_join(&m, &windows[i][patterns[i].window]);
			for (unsigned k = 0; k < 2 * SCAN_MIN; k++) {
				w.set[k / 2][k % 2] |= own->set[k / 2][k % 2];
			}
			any = true;
		}
	}
	/* What gets through whole bytes gets through halves, too, and costs more. */
	return any ? cost_of(&m) + whole_cost(&w) : 0;
}

/* The windows that ordinary text seldom holds by themselves: a whole word of a
 * log lets few others through with it, but costs a comparison each time. */
static uint8_t allowed[PATTERNS][SCAN_MAX];
static uint8_t n_allowed[PATTERNS];

static void allow(void)
{
	for (size_t i = 0; i < n_patterns; i++) {
		struct pattern p = patterns[i];
		double own[SCAN_MAX], best = 1e9;

		for (p.window = 0; p.window + SCAN_MIN <= p.n; p.window++) {
			windows[i][p.window] = nibbles_of(&p);
			wholes[i][p.window] = whole_of(&p);
			own[p.window] = cost_of(&windows[i][p.window]);
			best = own[p.window] < best ? own[p.window] : best;
		}
		for (uint8_t w = 0; w + SCAN_MIN <= p.n; w++) {
			if (own[w] <= best + 0.001) {
				allowed[i][n_allowed[i]++] = w;
			}
		}
		if (!patterns[i].planned) {
			patterns[i].window = allowed[i][0];
		}
	}
}

static void anneal(int seconds, bool only_new)
{
	double cost[SCAN_BUCKETS], total = 0;
	time_t end = time(NULL) + seconds, start = time(NULL);

	for (uint8_t b = 0; b < SCAN_BUCKETS; b++) {
		total += cost[b] = bucket_cost(b);
	}
	fprintf(stderr, "from %.3f\n", total);
	while (time(NULL) < end) {
		size_t i = rnd() % n_patterns;
		struct pattern *p = &patterns[i], old = *p;
		double heat = 0.01 * (double)(end - time(NULL)) / (double)(end - start + 1);
		double a, b, more;

		if (only_new && p->planned) {
			continue;
		}
		p->bucket = (uint8_t)(rnd() % SCAN_BUCKETS);
		if (rnd() % 2 == 0) {
			p->window = allowed[i][rnd() % n_allowed[i]];
		}
		if (p->bucket == old.bucket && p->window == old.window) {
			continue;
		}
		b = bucket_cost(p->bucket);
		a = p->bucket == old.bucket ? 0 : bucket_cost(old.bucket);
		more = a + b - cost[p->bucket] - (p->bucket == old.bucket ? 0 : cost[old.bucket]);
		if (more <= 0 || (double)(rnd() % 1000000) / 1e6 < exp(-more / heat)) {
			if (p->bucket != old.bucket) {
				cost[old.bucket] = a;
			}
			cost[p->bucket] = b;
			total += more;
		} else {
			*p = old;
		}
	}
	fprintf(stderr, "to %.3f places a line\n", total);
}

static void print(void)
{
	puts("/* Made by bench/redact_plan.c: where each literal's window is and which "
	     "bucket it is\n"
	     " * in, twice for those that end in a separator.  Only speed depends on it. */\n"
	     "#include \"redact/verify.h\"\n\nconst struct scan_plan rule_plan[] = {");
	for (size_t i = 0, k = 0; k < n_literals; k++) {
		const struct pattern *a = &patterns[i++], *b = a;

		if (i < n_patterns && patterns[i].literal == k) {
			b = &patterns[i++];
		}
		printf("\t{\"");
		for (const char *s = rule_literals[k].text; *s != '\0'; s++) {
			if (*s < ' ') {
				printf("\\%03o", (unsigned)*s);
			} else {
				printf("%s%c", *s == '"' ? "\\" : "", *s);
			}
		}
		printf("\", {%u, %u}, {%u, %u}},\n", a->window, b->window, a->bucket, b->bucket);
	}
	puts("\t{NULL, {0, 0}, {0, 0}},\n};");
}

int main(int argc, char **argv)
{
	static struct nibbles own[PATTERNS];
	bool only_new = argc > 1 && strcmp(argv[1], "-n") == 0;

	argc -= only_new;
	argv += only_new;
	for (int i = 2; i < argc; i++) {
		load(argv[i]);
	}
	for (; rule_literals[n_literals].text != NULL; n_literals++) {
		struct scan_literal l = {rule_literals[n_literals].text,
					 rule_literals[n_literals].fold, NULL, NULL};

		/* Goes on from the plan that there is. */
		for (const struct scan_plan *k = rule_plan; k->text != NULL; k++) {
			l.plan = strcmp(k->text, l.text) == 0 ? k : l.plan;
		}
		n_patterns += add_patterns(patterns + n_patterns, &l, (uint16_t)n_literals);
	}
	/* From what scan_new() would do by itself. */
	deal(places_new(), patterns, own, n_patterns);
	allow();
	anneal(argc > 1 ? atoi(argv[1]) : 10, only_new);
	print();
	return 0;
}
