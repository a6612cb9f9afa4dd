#include "detectors/literals.h"

#include <stdlib.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A gram with the bit of case set. */
static inline uint32_t gate(const char *p, uint32_t gram)
{
	uint32_t v = 0;

	memcpy(&v, p, gram == 4 ? 4 : 2);
	return v | 0x20202020;
}

static inline uint32_t gate_hash(uint32_t g)
{
	return g * UINT32_C(0x9e3779b1) >> 16;
}
_Static_assert(LITERAL_BITS == 1 << 16, "gate_hash() gives so many");

static inline uint32_t gate_place(uint32_t g)
{
	return gate_hash(g) % LITERAL_GATES;
}

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

/* Where the piece of n bytes begins that is rarest. */
static uint32_t rarest(struct slice word, uint32_t n)
{
	uint32_t best = 0;
	unsigned least = UINT32_MAX;

	for (uint32_t at = 0; at + n <= word.n; at++) {
		unsigned cost = 0;

		for (uint32_t i = 0; i < n; i++) {
			cost += common(word.p[at + i]);
		}
		if (cost < least) {
			least = cost;
			best = at;
		}
	}
	return best;
}

static void add(struct literals *l, uint32_t i)
{
	struct literal *w = &l->v[i];

	w->from = rarest(w->text, l->gram + l->stride - 1);
	for (uint32_t k = 0; k < l->stride; k++) {
		uint32_t g = gate(w->text.p + w->from + k, l->gram);
		uint32_t hash = gate_hash(g), place = gate_place(g);

		w->gate[k] = g;
		w->next[k] = l->first[place];
		l->first[place] = i * LITERAL_STRIDE + k + 1;
		l->seen[hash / 32] |= UINT32_C(1) << hash % 32;
	}
}

static int by_length(const void *a, const void *b)
{
	const struct literal *x = a, *y = b;

	return (x->text.n > y->text.n) - (x->text.n < y->text.n);
}

void literals_build(struct literals *l, struct literal *v, uint32_t n)
{
	size_t least;

	l->v = v;
	l->n = n;
	if (n > 0) {
		qsort(v, n, sizeof *v, by_length);
	}
	l->n_short = n > LITERAL_SHORT ? LITERAL_SHORT : 0;
	least = n == 0 ? 4 : v[l->n_short].text.n;
	l->gram = least < 4 ? 2 : 4;
	l->stride = (uint32_t)(least - l->gram + 1 < LITERAL_STRIDE ? least - l->gram + 1
								     : LITERAL_STRIDE);
	memset(l->seen, 0, sizeof l->seen);
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

/* Whether the word stands in s so that its byte `from` is at s[at]. */
static inline bool stands_at(const struct literal *w, size_t from, struct slice s, size_t at)
{
	return from <= at && w->text.n <= s.n - (at - from) && same(s.p + at - from, w->text);
}

/* ---- the short ones ---- */

/* The short words whose two bytes stand at s[at]. */
static void check_short(const struct literals *l, struct slice s, size_t at,
			void (*hit)(void *arg, void *owner), void *arg)
{
	for (unsigned k = 0; k < LITERAL_SHORT; k++) {
		if (((uint8_t)s.p[at] | 0x20) == l->pairs[k][0][0] &&
		    ((uint8_t)s.p[at + 1] | 0x20) == l->pairs[k][1][0] &&
		    stands_at(&l->v[k], l->v[k].from, s, at)) {
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

/* The words of which a gram may stand at s[at]. */
static void check(const struct literals *l, struct slice s, size_t at, uint32_t g,
		  void (*hit)(void *arg, void *owner), void *arg)
{
	uint32_t i = l->first[gate_place(g)];

	while (i != 0) {
		const struct literal *w = &l->v[(i - 1) / LITERAL_STRIDE];
		uint32_t k = (i - 1) % LITERAL_STRIDE;

		if (w->gate[k] == g && stands_at(w, w->from + k, s, at)) {
			hit(arg, w->owner);
		}
		i = w->next[k];
	}
}

/* Bit 0: whether a gram of a word may stand at s[at]. */
static inline unsigned may_stand(const struct literals *l, struct slice s, size_t at,
				 uint32_t gram)
{
	uint32_t hash = gate_hash(gate(s.p + at, gram));

	return l->seen[hash / 32] >> hash % 32;
}

static inline void look(const struct literals *l, struct slice s, size_t at, uint32_t gram,
			void (*hit)(void *arg, void *owner), void *arg)
{
	if (__builtin_expect((may_stand(l, s, at, gram) & 1) != 0, 0)) {
		check(l, s, at, gate(s.p + at, gram), hit, arg);
	}
}

/* Four looks at a time share a branch and what the loop costs. */
static inline __attribute__((always_inline)) void
scan_grams(const struct literals *l, struct slice s, uint32_t gram, size_t stride,
	   void (*hit)(void *arg, void *owner), void *arg)
{
	size_t at = 0;

	for (; at + 3 * stride + gram <= s.n; at += 4 * stride) {
		unsigned any = may_stand(l, s, at, gram) | may_stand(l, s, at + stride, gram) |
			       may_stand(l, s, at + 2 * stride, gram) |
			       may_stand(l, s, at + 3 * stride, gram);

		for (size_t k = 0; __builtin_expect((any & 1) != 0, 0) && k < 4; k++) {
			look(l, s, at + k * stride, gram, hit, arg);
		}
	}
	for (; at + gram <= s.n; at += stride) {
		look(l, s, at, gram, hit, arg);
	}
}

void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg)
{
	if (l->n_short > 0) {
		scan_short(l, s, hit, arg);
	}
	/* A stride that is known is worth the copies of the loop. */
	if (l->gram == 4 && l->stride == 4) {
		scan_grams(l, s, 4, 4, hit, arg);
	} else if (l->gram == 4 && l->stride == 3) {
		scan_grams(l, s, 4, 3, hit, arg);
	} else if (l->gram == 4) {
		scan_grams(l, s, 4, l->stride, hit, arg);
	} else {
		scan_grams(l, s, 2, l->stride, hit, arg);
	}
}
