#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "redact/scan_impl.h"

enum {
	WINDOW_LOG = 10, WINDOWS = 1 << WINDOW_LOG,
	SEEN_LOG = 15, /* bits: a few thousand windows set some percent of them */
	SEEN_MOST = 1 << 14, /* windows of one pattern that are written down */
};

/* A pattern's window as a number: what is compared first, so it lies close. */
struct quick {
	uint32_t fold, mask, want;
};

struct scan {
	struct scan_tables tables;
	scan_judge judge; /* NULL: byte by byte */
	size_t n_patterns;
	/* patterns of bucket b: by_bucket[first[b]] to by_bucket[first[b + 1] - 1] */
	uint16_t first[SCAN_BUCKETS + 1];
	struct pattern *patterns; /* sorted by bucket */
	struct quick *quick;      /* of the pattern with the same index */
	/* Patterns whose window holds no class, chained by window_hash() of it: index + 1
	 * of the first, and of what comes after each.  What has some is in
	 * loose[loose_first[b]] to loose[loose_first[b + 1] - 1]. */
	uint16_t windows[WINDOWS];
	uint16_t *after;
	uint16_t *loose;
	uint16_t loose_first[SCAN_BUCKETS + 1];
	uint16_t loose_buckets; /* bit b: there are some in bucket b */
	uint8_t classes[256];   /* bit t: the byte is of class t */
	/* The bit window_hash(w, SEEN_LOG) is set for each window w of a pattern, whatever
	 * its classes: what has none need not be looked up. */
	uint32_t seen[(1 << SEEN_LOG) / 32];
};

/* Of both cases of a letter, the same; the upper bits of a longer one are the shorter. */
static inline unsigned window_hash(uint32_t window, unsigned bits)
{
	return (window | 0x20202020u) * 0x9e3779b1u >> (32 - bits);
}

static inline bool is_seen(const struct scan *s, uint32_t window)
{
	unsigned h = window_hash(window, SEEN_LOG);

	return (s->seen[h / 32] >> h % 32 & 1) != 0;
}

/* The bytes of the window that are no classes, folded where the pattern is. */
static void fill_quick(struct quick *q, const struct pattern *p)
{
	uint8_t fold[SCAN_MIN] = {0}, mask[SCAN_MIN] = {0}, want[SCAN_MIN] = {0};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		char t = p->text[p->window + i];

		if (t >= ' ') {
			fold[i] = p->fold && is_alpha(t) ? 0x20 : 0;
			mask[i] = 0xff;
			want[i] = (uint8_t)(fold[i] != 0 ? lower(t) : t);
		}
	}
	memcpy(&q->fold, fold, sizeof fold);
	memcpy(&q->mask, mask, sizeof mask);
	memcpy(&q->want, want, sizeof want);
}

/* The bytes that stand for t, without capitals that are there as small letters. */
static unsigned bytes_of(const struct scan *s, char t, uint8_t out[static 128])
{
	unsigned n = 0;

	if (t >= ' ') {
		out[0] = (uint8_t)t;
		return 1;
	}
	for (unsigned c = 0; c < 128; c++) {
		if ((s->classes[c] >> t & 1) != 0 &&
		    (lower((char)c) == (char)c || (s->classes[c | 0x20] >> t & 1) == 0)) {
			out[n++] = (uint8_t)c;
		}
	}
	return n;
}

/* All windows that p may have; of one with more than it is worth, all there are. */
static void fill_seen(struct scan *s, const struct pattern *p)
{
	uint8_t byte[SCAN_MIN][128];
	unsigned n[SCAN_MIN];
	size_t all = 1;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		n[i] = bytes_of(s, p->text[p->window + i], byte[i]);
		all *= n[i];
	}
	if (all > SEEN_MOST) {
		memset(s->seen, 0xff, sizeof s->seen);
		return;
	}
	for (size_t k = 0; k < all; k++) {
		uint8_t window[SCAN_MIN];
		uint32_t w;
		unsigned h;

		for (size_t i = 0, rest = k; i < SCAN_MIN; rest /= n[i], i++) {
			window[i] = byte[i][rest % n[i]];
		}
		memcpy(&w, window, sizeof w);
		h = window_hash(w, SEEN_LOG);
		s->seen[h / 32] |= UINT32_C(1) << h % 32;
	}
}

/* Sorts the windows of pattern k into those that are known whole and the others. */
static void fill_windows(struct scan *s, size_t k)
{
	const struct quick *q = &s->quick[k];

	if (q->mask == UINT32_MAX) {
		unsigned h = window_hash(q->want, WINDOW_LOG);

		s->after[k] = s->windows[h];
		s->windows[h] = (uint16_t)(k + 1);
		return;
	}
	s->loose_buckets |= (uint16_t)(1u << s->patterns[k].bucket);
	s->loose[s->loose_first[SCAN_BUCKETS]] = (uint16_t)k;
	for (unsigned b = s->patterns[k].bucket + 1u; b <= SCAN_BUCKETS; b++) {
		s->loose_first[b]++;
	}
}

static void fill_tables(struct scan *s)
{
	struct scan_tables *t = &s->tables;

	for (unsigned c = 0; c < 256; c++) {
		for (unsigned k = 1; k < 8; k++) {
			if (scan_accepts((char)k, false, (char)c)) {
				s->classes[c] |= (uint8_t)(1u << k);
			}
		}
	}

	for (size_t k = 0; k < s->n_patterns; k++) {
		const struct pattern *p = &s->patterns[k];
		uint8_t bit = (uint8_t)(1u << p->bucket % 8), half = p->bucket / 8;

		fill_quick(&s->quick[k], p);
		fill_windows(s, k);
		fill_seen(s, p);
		for (unsigned i = 0; i < SCAN_MIN; i++) {
			for (unsigned c = 0; c < 128; c++) {
				if (scan_accepts(p->text[p->window + i], p->fold,
					    (char)c)) {
					t->lo[half][i][c & 15] |= bit;
					t->hi[half][i][c >> 4] |= bit;
					t->byte[i][c] |= (uint16_t)(1u << p->bucket);
					t->whole[half][i][c] |= bit;
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

static void take_plan(struct pattern *p, const struct scan_literal *l, unsigned form)
{
	if (l->plan != NULL && strcmp(l->plan->text, l->text) == 0 &&
	    l->plan->window[form] + SCAN_MIN <= p->n && l->plan->bucket[form] < SCAN_BUCKETS) {
		p->window = l->plan->window[form];
		p->bucket = l->plan->bucket[form];
		p->planned = true;
	}
}

/* A literal that ends in SCAN_SEP becomes two patterns. */
static size_t add_patterns(struct pattern *out, const struct scan_literal *l,
			   uint16_t index)
{
	size_t n = strlen(l->text);
	struct pattern p = {.n = (uint8_t)n, .fold = l->fold, .literal = index,
			    .guard = l->guard};

	memcpy(p.text, l->text, n);
	p.sep = l->text[n - 1] == SCAN_SEP[0];
	take_plan(&p, l, 0);
	out[0] = p;
	if (!p.sep) {
		return 1;
	}
	p.text[n - 1] = ' ';
	p.text[n] = SCAN_SPACED[0];
	p.n = (uint8_t)(n + 1);
	p.planned = false;
	take_plan(&p, l, 1);
	out[1] = p;
	return 2;
}

int scan_new(struct scan **out, const struct scan_literal *literals, size_t n)
{
	struct scan *s = NULL;
	int rc = UV_ENOMEM;

	*out = NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(literals[i].text);

		if (len < SCAN_MIN || len >= SCAN_MAX || n > UINT16_MAX / 2) {
			rc = UV_EINVAL;
			goto err_free;
		}
	}
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		goto err_free;
	}
	s->patterns = calloc(2 * n + 1, sizeof *s->patterns);
	s->quick = calloc(2 * n + 1, sizeof *s->quick);
	s->after = calloc(2 * n + 1, sizeof *s->after);
	s->loose = calloc(2 * n + 1, sizeof *s->loose);
	if (s->patterns == NULL || s->quick == NULL || s->after == NULL ||
	    s->loose == NULL) {
		goto err_free;
	}
	for (size_t i = 0; i < n; i++) {
		s->n_patterns += add_patterns(s->patterns + s->n_patterns,
					      &literals[i], (uint16_t)i);
	}
	rc = scan_deal(s->patterns, s->n_patterns);
	if (rc != 0) {
		goto err_free;
	}
	qsort(s->patterns, s->n_patterns, sizeof *s->patterns, by_bucket);
	for (size_t i = 0; i < s->n_patterns; i++) {
		for (unsigned b = s->patterns[i].bucket + 1u; b <= SCAN_BUCKETS; b++) {
			s->first[b]++;
		}
	}
	fill_tables(s);
	rc = scan_use(s, SCAN_BEST);
	*out = s;
	return rc;

err_free:
	scan_free(s);
	return rc;
}

void scan_free(struct scan *s)
{
	if (s != NULL) {
		free(s->patterns);
		free(s->quick);
		free(s->after);
		free(s->loose);
		free(s);
	}
}

int scan_use(struct scan *s, enum scan_engine engine)
{
	scan_judge judge = NULL;

	switch (engine) {
	case SCAN_SCALAR:
		s->judge = NULL;
		return 0;
	case SCAN_SSSE3:
		judge = scan_ssse3();
		break;
	case SCAN_AVX2:
		judge = scan_avx2();
		break;
	case SCAN_VBMI:
		judge = scan_vbmi();
		break;
	case SCAN_NEON:
		judge = scan_neon();
		break;
	case SCAN_BEST:
		judge = scan_vbmi();
		judge = judge != NULL ? judge : scan_avx2();
		judge = judge != NULL ? judge : scan_ssse3();
		judge = judge != NULL ? judge : scan_neon();
		s->judge = judge;
		return 0;
	}
	if (judge == NULL) {
		return UV_ENOTSUP;
	}
	s->judge = judge;
	return 0;
}

/* ---- looking ---- */

/* Without the separator, and the blank before it. */
static size_t literal_len(const struct pattern *pt)
{
	return !pt->sep ? pt->n : pt->n - (pt->text[pt->n - 1] == SCAN_SEP[0] ? 1u : 2u);
}

/* The whole pattern stands around its window at `place`. */
static bool pattern_at(const struct scan *s, const struct pattern *pt, const char *p,
		       size_t place, size_t n)
{
	size_t at;

	if (place < pt->window || n - (place - pt->window) < pt->n) {
		return false;
	}
	at = place - pt->window;
	/* From the end: what ordinary text lacks is the separator. */
	for (size_t i = pt->n; i-- > 0;) {
		char t = pt->text[i], c = p[at + i];

		bool same = t >= ' ' ? t == c || (pt->fold && is_alpha(t) &&
						  (t ^ c) == 0x20)
				     : (s->classes[(unsigned char)c] >> t & 1) != 0;

		if (!same) {
			return false;
		}
	}
	return pt->guard == NULL || pt->guard(p, at, at + literal_len(pt), n);
}

static inline bool quick_at(const struct scan *s, unsigned k, uint32_t window,
			    const char *p, size_t place, size_t n)
{
	const struct quick *q = &s->quick[k];

	return ((window | q->fold) & q->mask) == q->want &&
	       pattern_at(s, &s->patterns[k], p, place, n);
}

size_t scan_hits(const struct scan *s, const char *p, size_t place, size_t n,
		 struct scan_hit out[static SCAN_HITS])
{
	unsigned buckets;
	uint32_t window;
	size_t found = 0;

	if (n < SCAN_MIN || place > n - SCAN_MIN) {
		return 0;
	}
	memcpy(&window, p + place, sizeof window);
	buckets = scan_buckets(&s->tables, p + place);
	for (; buckets != 0; buckets &= buckets - 1) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned k = s->first[b]; k < s->first[b + 1]; k++) {
			const struct pattern *pt = &s->patterns[k];

			if (found == SCAN_HITS ||
			    !quick_at(s, k, window, p, place, n)) {
				continue;
			}
			out[found++] = (struct scan_hit){
				pt->literal, place - pt->window,
				place - pt->window + literal_len(pt)};
		}
	}
	return found;
}

static bool check(const struct scan *s, const char *p, size_t place, size_t n,
		  uint32_t window)
{
	unsigned buckets = scan_buckets(&s->tables, p + place) & s->loose_buckets;
	unsigned k = s->windows[window_hash(window, WINDOW_LOG)];

	for (; k != 0; k = s->after[k - 1]) {
		if (quick_at(s, k - 1, window, p, place, n)) {
			return true;
		}
	}
	for (; buckets != 0; buckets &= buckets - 1) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned i = s->loose_first[b]; i < s->loose_first[b + 1]; i++) {
			if (quick_at(s, s->loose[i], window, p, place, n)) {
				return true;
			}
		}
	}
	return false;
}

/* Nearly all of what the tables let through is no window at all. */
static inline bool stands_at(const struct scan *s, const char *p, size_t place, size_t n)
{
	uint32_t window;

	memcpy(&window, p + place, sizeof window);
	return is_seen(s, window) && check(s, p, place, n, window);
}

/* The first of these 64 places from p + base on that is a window's, or n. */
static inline size_t first_of(const struct scan *s, const char *p, size_t base,
			      uint64_t places, size_t n)
{
	for (; places != 0; places &= places - 1) {
		size_t at = base + (unsigned)__builtin_ctzll(places);

		if (stands_at(s, p, at, n)) {
			return at;
		}
	}
	return n;
}

/* scan_next() by 64 places at a time, and of those a few before the first is looked
 * at: more, the longer nothing was found. */
static size_t next_by_64(const struct scan *s, const char *p, size_t from, size_t n)
{
	enum { MORE = SCAN_MIN - 1, MOST = 8 };
	uint64_t places[MOST];
	char rest[64 + MORE] = {0};
	size_t at;

	for (unsigned most = 2; n - from >= 64 + MORE; most = MOST) {
		size_t whole = (n - from - MORE) / 64;
		unsigned k = whole < most ? (unsigned)whole : most;

		s->judge(&s->tables, p + from, k, places);
		for (unsigned i = 0; i < k; i++, from += 64) {
			at = first_of(s, p, from, places[i], n);
			if (at < n) {
				return at;
			}
		}
	}
	if (n - from < SCAN_MIN) {
		return n;
	}
	memcpy(rest, p + from, n - from);
	s->judge(&s->tables, rest, 1, places);
	places[0] &= (UINT64_C(1) << (n - from - MORE)) - 1;
	return first_of(s, p, from, places[0], n);
}

size_t scan_next(const struct scan *s, const char *p, size_t from, size_t n)
{
	if (s->judge != NULL && from < n) {
		return next_by_64(s, p, from, n);
	}
	for (; from < n && n - from >= SCAN_MIN; from++) {
		if (stands_at(s, p, from, n)) {
			return from;
		}
	}
	return n;
}
