#include "detectors/literals.h"

#include <stdlib.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline uint32_t block(const char *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

/* The first bytes of a piece with the bit of case set: all four, or two where pieces are
 * shorter. */
static inline uint32_t gate(const char *p, uint32_t window)
{
	uint32_t v = 0;

	memcpy(&v, p, window < 4 ? 2 : 4);
	return v | 0x20202020;
}

static inline uint32_t gate_place(uint32_t g)
{
	return g * UINT32_C(0x9e3779b1) >> 20;
}
_Static_assert(LITERAL_GATES == 1 << (32 - 20), "gate_place() gives so many");

static inline uint8_t lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : (uint8_t)c;
}

static bool same(const char *p, struct slice word)
{
	for (size_t i = 0; i < word.n; i++) {
		if (lower(p[i]) != (uint8_t)word.p[i]) {
			return false;
		}
	}
	return true;
}

/* How common a byte is in logs, roughly. */
static unsigned common(char c)
{
	if (c >= 'a' && c <= 'z') {
		return slice_chr(SLICE_LIT("etaoinsrdlcmup"), c) != SIZE_MAX ? 4 : 2;
	}
	if (c >= '0' && c <= '9') {
		return 4;
	}
	return slice_chr(SLICE_LIT(" /-.:=[]()"), c) != SIZE_MAX ? 4 : 0;
}

/* Where the piece begins of which the first four bytes and the last two are rarest. */
static uint32_t rarest(struct slice word, uint32_t window)
{
	uint32_t best = 0;
	unsigned least = UINT32_MAX;

	for (uint32_t at = 0; at + window <= word.n; at++) {
		unsigned cost = 0;

		for (uint32_t i = 0; i < window; i++) {
			cost += common(word.p[at + i]) * (i + 2 >= window ? 4 : 1);
		}
		if (cost < least) {
			least = cost;
			best = at;
		}
	}
	return best;
}

static inline char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* At these two bytes, in either case, no jump is longer than this. */
static void limit_jump(struct literals *l, const char *p, uint32_t jump)
{
	for (unsigned i = 0; i < 4; i++) {
		char two[2] = {(i & 1) != 0 ? upper(p[0]) : p[0],
			       (i & 2) != 0 ? upper(p[1]) : p[1]};
		uint8_t *shift = &l->shift[block(two)];

		*shift = jump < *shift ? (uint8_t)jump : *shift;
	}
}

static void add(struct literals *l, uint32_t i)
{
	struct literal *w = &l->v[i];
	const char *piece;
	uint32_t place;

	w->from = rarest(w->text, l->window);
	piece = w->text.p + w->from;
	w->gate = gate(piece, l->window);
	place = gate_place(w->gate);
	w->next = l->first[place];
	l->first[place] = i + 1;
	for (uint32_t k = 0; k + 1 < l->window; k++) {
		limit_jump(l, piece + k, l->window - 2 - k);
	}
}

static int by_length(const void *a, const void *b)
{
	const struct literal *x = a, *y = b;

	return (x->text.n > y->text.n) - (x->text.n < y->text.n);
}

void literals_build(struct literals *l, struct literal *v, uint32_t n)
{
	l->v = v;
	l->n = n;
	if (n > 0) {
		qsort(v, n, sizeof *v, by_length);
	}
	l->n_short = n > LITERAL_SHORT ? LITERAL_SHORT : 0;
	l->window = n == 0 || v[l->n_short].text.n > 64 ? 64 : (uint32_t)v[l->n_short].text.n;
	memset(l->shift, (int)(l->window - 1), sizeof l->shift);
	memset(l->first, 0, sizeof l->first);
	for (uint32_t i = 0; i < l->n_short; i++) {
		v[i].from = rarest(v[i].text, 2);
		for (unsigned k = 0; k < 2; k++) {
			memset(l->pairs[i][k], v[i].text.p[v[i].from + k] | 0x20, 16);
		}
	}
	for (uint32_t i = l->n_short; i < n; i++) {
		add(l, i);
	}
}

static inline bool stands_at(const struct literal *w, struct slice s, size_t at)
{
	return w->from <= at && w->text.n <= s.n - (at - w->from) &&
	       same(s.p + at - w->from, w->text);
}

/* ---- the short ones ---- */

/* The short words whose two bytes stand at s[at]. */
static void check_short(const struct literals *l, struct slice s, size_t at,
			void (*hit)(void *arg, void *owner), void *arg)
{
	for (unsigned k = 0; k < LITERAL_SHORT; k++) {
		if (((uint8_t)s.p[at] | 0x20) == l->pairs[k][0][0] &&
		    ((uint8_t)s.p[at + 1] | 0x20) == l->pairs[k][1][0] &&
		    stands_at(&l->v[k], s, at)) {
			hit(arg, l->v[k].owner);
		}
	}
}

#if defined(__SSE2__)

static inline __m128i places_of(const struct literals *l, unsigned k, __m128i a, __m128i b)
{
	return _mm_and_si128(_mm_cmpeq_epi8(a, *(const __m128i *)l->pairs[k][0]),
			     _mm_cmpeq_epi8(b, *(const __m128i *)l->pairs[k][1]));
}

/* At the places from..from + 15 of s; fresh: those that were not looked at before. */
static inline void scan_16(const struct literals *l, struct slice s, size_t from,
			   unsigned fresh, void (*hit)(void *arg, void *owner), void *arg)
{
	const __m128i bit = _mm_set1_epi8(0x20);
	__m128i a = _mm_or_si128(_mm_loadu_si128((const void *)(s.p + from)), bit);
	__m128i b = _mm_or_si128(_mm_loadu_si128((const void *)(s.p + from + 1)), bit);
	__m128i any = places_of(l, 0, a, b);

	for (unsigned k = 1; k < LITERAL_SHORT; k++) {
		any = _mm_or_si128(any, places_of(l, k, a, b));
	}
	for (unsigned m = (unsigned)_mm_movemask_epi8(any) & fresh; m != 0; m &= m - 1) {
		check_short(l, s, from + (unsigned)__builtin_ctz(m), hit, arg);
	}
}

static void scan_short(const struct literals *l, struct slice s,
		       void (*hit)(void *arg, void *owner), void *arg)
{
	size_t i = 0;

	for (; i + 17 <= s.n; i += 16) {
		scan_16(l, s, i, 0xffff, hit, arg);
	}
	if (s.n >= 17) {
		scan_16(l, s, s.n - 17, 0xffffu << (i - (s.n - 17)), hit, arg);
		return;
	}
	for (; i + 2 <= s.n; i++) {
		check_short(l, s, i, hit, arg);
	}
}

#else

static void scan_short(const struct literals *l, struct slice s,
		       void (*hit)(void *arg, void *owner), void *arg)
{
	for (size_t i = 0; i + 2 <= s.n; i++) {
		check_short(l, s, i, hit, arg);
	}
}

#endif

/* ---- all others ---- */

/* The words whose piece may begin at s[at]. */
static void check(const struct literals *l, struct slice s, size_t at, uint32_t g,
		  void (*hit)(void *arg, void *owner), void *arg)
{
	for (uint32_t i = l->first[gate_place(g)]; i != 0; i = l->v[i - 1].next) {
		const struct literal *w = &l->v[i - 1];

		if (w->gate == g && stands_at(w, s, at)) {
			hit(arg, w->owner);
		}
	}
}

void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg)
{
	uint32_t back = l->window - 2;
	const char *p, *last;

	if (l->n_short > 0) {
		scan_short(l, s, hit, arg);
	}
	if (s.n < l->window) {
		return;
	}
	p = s.p + back;
	last = s.p + s.n - 1;
	while (p < last) {
		unsigned jump = l->shift[block(p)];
		uint32_t g;

		if (jump > 0) {
			p += jump;
			continue;
		}
		g = gate(p - back, l->window);
		if (l->first[gate_place(g)] != 0) {
			check(l, s, (size_t)(p - back - s.p), g, hit, arg);
		}
		p++;
	}
}
