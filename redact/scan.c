#include "redact/scan.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* How often a byte is met in logs, in 1/1000, measured roughly and only to
 * choose windows and buckets: correctness does not depend on it. */
static const uint8_t common_lower[26] = {
	40, 8, 20, 26, 62, 14, 10, 14, 44, 1, 5, 20, 14,
	40, 38, 18, 1, 46, 44, 50, 18, 6, 6, 3, 8, 1};

struct pattern {
	uint8_t n;
	uint8_t window; /* offset of the window */
	uint8_t bucket;
	bool fold;
	bool sep;       /* the last byte is a separator, not the literal's */
	uint16_t literal;
	char text[SCAN_MAX + 1];
};

struct scan {
	struct scan_tables tables;
	scan_run run;
	size_t n_patterns;
	/* patterns of bucket b: by_bucket[first[b]] to by_bucket[first[b + 1] - 1] */
	uint16_t first[9];
	struct pattern *patterns; /* sorted by bucket */
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_alpha(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Does byte c stand for pattern byte t? */
static bool accepts(char t, bool fold, char c)
{
	switch (t) {
	case 1:
		return c != '\0' && strchr("=:\"'\\>]%(\t`", c) != NULL;
	case 2:
		return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
	case 3:
		return is_digit(c);
	case 4:
		return is_digit(c) || is_alpha(c) ||
		       (c != '\0' && strchr("_-+/", c) != NULL);
	case 5:
		return c != '\0' && strchr("=:?\"' \t-", c) != NULL;
	default:
		return t == c || (fold && is_alpha(t) && lower(t) == lower(c));
	}
}

static unsigned frequency(unsigned c)
{
	if (c >= 'a' && c <= 'z') {
		return common_lower[c - 'a'];
	}
	if (c == ' ') {
		return 120;
	}
	if (is_digit((char)c)) {
		return 25;
	}
	if (c == ':' || c == '.') {
		return 25;
	}
	if (c == '\t') {
		return 2;
	}
	if (c != 0 && strchr("-=/[]()", (int)c) != NULL) {
		return 8;
	}
	return c > ' ' && c < 127 ? 2 : 0;
}

/* ---- windows and buckets ---- */

/* Tables for one bucket (or one pattern): two 16-bit sets for each position. */
struct nibbles {
	uint16_t lo[SCAN_MIN], hi[SCAN_MIN];
};

static struct nibbles nibbles_of(const struct pattern *p)
{
	struct nibbles m = {{0}, {0}};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		for (unsigned c = 0; c < 128; c++) {
			if (accepts(p->text[p->window + i], p->fold, (char)c)) {
				m.lo[i] |= (uint16_t)(1u << (c & 15));
				m.hi[i] |= (uint16_t)(1u << (c >> 4));
			}
		}
	}
	return m;
}

static void nibbles_join(struct nibbles *m, const struct nibbles *other)
{
	for (unsigned i = 0; i < SCAN_MIN; i++) {
		m->lo[i] |= other->lo[i];
		m->hi[i] |= other->hi[i];
	}
}

/* How often a place of a log gets through, in 1e-12. */
static double nibbles_cost(const struct nibbles *m)
{
	double cost = 1;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		unsigned sum = 0;

		for (unsigned c = 0; c < 128; c++) {
			if ((m->lo[i] >> (c & 15) & 1) != 0 &&
			    (m->hi[i] >> (c >> 4) & 1) != 0) {
				sum += frequency(c);
			}
		}
		cost *= sum == 0 ? 0.1 : sum;
	}
	return cost;
}

static void choose_window(struct pattern *p)
{
	double best = 0;
	uint8_t at = 0;

	for (uint8_t w = 0; w + SCAN_MIN <= p->n; w++) {
		struct nibbles m;
		double cost;

		p->window = w;
		m = nibbles_of(p);
		cost = nibbles_cost(&m);
		if (w == 0 || cost < best) {
			best = cost;
			at = w;
		}
	}
	p->window = at;
}

/* The bucket to which `own` adds least cost. */
static uint8_t cheapest(const struct nibbles buckets[static 8],
			const struct nibbles *own)
{
	double best = 0;
	uint8_t at = 0;

	for (uint8_t b = 0; b < 8; b++) {
		struct nibbles m = buckets[b];
		double more = -nibbles_cost(&m);

		nibbles_join(&m, own);
		more += nibbles_cost(&m);
		if (b == 0 || more < best) {
			best = more;
			at = b;
		}
	}
	return at;
}

/* Greedy, then again with everything else already dealt.  own: scratch for n. */
static void deal(struct pattern *patterns, struct nibbles *own, size_t n)
{
	struct nibbles buckets[8];

	for (size_t i = 0; i < n; i++) {
		own[i] = nibbles_of(&patterns[i]);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			memset(buckets, 0, sizeof buckets);
			for (size_t k = 0; k < (round == 0 ? i : n); k++) {
				if (k != i) {
					nibbles_join(&buckets[patterns[k].bucket],
						     &own[k]);
				}
			}
			patterns[i].bucket = cheapest(buckets, &own[i]);
		}
	}
}

static void fill_tables(struct scan *s)
{
	struct scan_tables *t = &s->tables;

	for (size_t k = 0; k < s->n_patterns; k++) {
		const struct pattern *p = &s->patterns[k];
		uint8_t bit = (uint8_t)(1u << p->bucket);

		for (unsigned i = 0; i < SCAN_MIN; i++) {
			for (unsigned c = 0; c < 128; c++) {
				if (accepts(p->text[p->window + i], p->fold,
					    (char)c)) {
					t->lo[i][c & 15] |= bit;
					t->hi[i][c >> 4] |= bit;
					t->byte[i][c] |= bit;
				}
			}
		}
	}
}

/* ---- making ---- */

static int by_bucket(const void *a, const void *b)
{
	const struct pattern *x = a, *y = b;

	if (x->bucket != y->bucket) {
		return x->bucket < y->bucket ? -1 : 1;
	}
	return x->literal < y->literal ? -1 : x->literal > y->literal;
}

/* A literal that ends in SCAN_SEP becomes two patterns. */
static size_t add_patterns(struct pattern *out, const struct scan_literal *l,
			   uint16_t index)
{
	size_t n = strlen(l->text);
	struct pattern p = {.n = (uint8_t)n, .fold = l->fold, .literal = index};

	memcpy(p.text, l->text, n);
	p.sep = l->text[n - 1] == SCAN_SEP[0];
	choose_window(&p);
	out[0] = p;
	if (!p.sep) {
		return 1;
	}
	p.text[n - 1] = ' ';
	p.text[n] = SCAN_SPACED[0];
	p.n = (uint8_t)(n + 1);
	choose_window(&p);
	out[1] = p;
	return 2;
}

int scan_new(struct scan **out, const struct scan_literal *literals, size_t n)
{
	struct nibbles *own = NULL;
	struct scan *s = NULL;
	int rc = UV_ENOMEM;

	*out = NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(literals[i].text);

		if (len < SCAN_MIN || len >= SCAN_MAX || n > UINT16_MAX / 2) {
			return UV_EINVAL;
		}
	}
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		return UV_ENOMEM;
	}
	s->patterns = calloc(2 * n + 1, sizeof *s->patterns);
	own = calloc(2 * n + 1, sizeof *own);
	if (s->patterns == NULL || own == NULL) {
		goto err_free;
	}
	for (size_t i = 0; i < n; i++) {
		s->n_patterns += add_patterns(s->patterns + s->n_patterns,
					      &literals[i], (uint16_t)i);
	}
	deal(s->patterns, own, s->n_patterns);
	qsort(s->patterns, s->n_patterns, sizeof *s->patterns, by_bucket);
	for (size_t i = 0; i < s->n_patterns; i++) {
		for (unsigned b = s->patterns[i].bucket + 1u; b <= 8; b++) {
			s->first[b]++;
		}
	}
	fill_tables(s);
	rc = scan_use(s, SCAN_BEST);
	free(own);
	*out = s;
	return rc;

err_free:
	free(own);
	scan_free(s);
	return rc;
}

void scan_free(struct scan *s)
{
	if (s != NULL) {
		free(s->patterns);
		free(s);
	}
}

int scan_use(struct scan *s, enum scan_engine engine)
{
	scan_run run = NULL;

	switch (engine) {
	case SCAN_SCALAR:
		s->run = NULL;
		return 0;
	case SCAN_SSSE3:
		run = scan_ssse3();
		break;
	case SCAN_AVX2:
		run = scan_avx2();
		break;
	case SCAN_NEON:
		run = scan_neon();
		break;
	case SCAN_BEST:
		run = scan_avx2();
		run = run != NULL ? run : scan_ssse3();
		run = run != NULL ? run : scan_neon();
		s->run = run;
		return 0;
	}
	if (run == NULL) {
		return UV_ENOTSUP;
	}
	s->run = run;
	return 0;
}

/* ---- looking ---- */

static uint8_t buckets_at(const struct scan_tables *t, const char *p)
{
	const uint8_t *c = (const uint8_t *)p;

	return t->byte[0][c[0]] & t->byte[1][c[1]] & t->byte[2][c[2]] &
	       t->byte[3][c[3]];
}

/* The whole pattern stands around its window at `place`. */
static bool pattern_at(const struct pattern *pt, const char *p, size_t place,
		       size_t n)
{
	size_t at;

	if (place < pt->window || n - (place - pt->window) < pt->n) {
		return false;
	}
	at = place - pt->window;
	for (size_t i = 0; i < pt->n; i++) {
		if (!accepts(pt->text[i], pt->fold, p[at + i])) {
			return false;
		}
	}
	return true;
}

size_t scan_hits(const struct scan *s, const char *p, size_t place, size_t n,
		 struct scan_hit out[static SCAN_HITS])
{
	uint8_t buckets;
	size_t found = 0;

	if (n < SCAN_MIN || place > n - SCAN_MIN) {
		return 0;
	}
	buckets = buckets_at(&s->tables, p + place);
	for (; buckets != 0; buckets &= (uint8_t)(buckets - 1)) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned k = s->first[b]; k < s->first[b + 1]; k++) {
			const struct pattern *pt = &s->patterns[k];
			size_t len = pt->n;

			if (found == SCAN_HITS ||
			    !pattern_at(pt, p, place, n)) {
				continue;
			}
			if (pt->sep) {
				/* The separator, and the blank before it. */
				len -= pt->text[len - 1] == SCAN_SEP[0] ? 1 : 2;
			}
			out[found++] = (struct scan_hit){
				pt->literal, place - pt->window,
				place - pt->window + len};
		}
	}
	return found;
}

static bool check(const struct scan *s, const char *p, size_t place, size_t n)
{
	uint8_t buckets = buckets_at(&s->tables, p + place);

	for (; buckets != 0; buckets &= (uint8_t)(buckets - 1)) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned k = s->first[b]; k < s->first[b + 1]; k++) {
			if (pattern_at(&s->patterns[k], p, place, n)) {
				return true;
			}
		}
	}
	return false;
}

size_t scan_next(const struct scan *s, const char *p, size_t from, size_t n)
{
	bool hit = false;

	if (s->run != NULL) {
		from = s->run(s, &s->tables, p, from, n, &hit, check);
		if (hit) {
			return from;
		}
	}
	for (; from < n && n - from >= SCAN_MIN; from++) {
		if (buckets_at(&s->tables, p + from) != 0 &&
		    check(s, p, from, n)) {
			return from;
		}
	}
	return n;
}
