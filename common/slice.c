#include "common/slice.h"

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n) {
		return false;
	}
	for (size_t i = 0; i < a.n; i++) {
		if (lower((unsigned char)a.p[i]) !=
		    lower((unsigned char)b.p[i])) {
			return false;
		}
	}
	return true;
}

/* Whether needle stands at p, whose first byte is known to be right. */
static inline bool stands(const char *p, struct slice needle)
{
	return memcmp(p + 1, needle.p + 1, needle.n - 1) == 0;
}

/* The rest of a text that begins like the needle again and again: linear whatever
 * the text, but sets up a table each time. */
static size_t find_far(struct slice s, size_t from, struct slice needle)
{
	const char *at = memmem(s.p + from, s.n - from, needle.p, needle.n);

	return at == NULL ? SIZE_MAX : (size_t)(at - s.p);
}

enum { TRIES = 8 }; /* places that are compared before find_far() */

#if defined(__SSE2__)

/* Of the 16 places from p on, where the first and the last byte of a needle of n
 * bytes stand (W. Mula, "SIMD-friendly algorithms for substring searching"). */
static inline unsigned ends_at(const char *p, struct slice needle)
{
	__m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + needle.n - 1));

	a = _mm_cmpeq_epi8(a, _mm_set1_epi8(needle.p[0]));
	b = _mm_cmpeq_epi8(b, _mm_set1_epi8(needle.p[needle.n - 1]));
	return (unsigned)_mm_movemask_epi8(_mm_and_si128(a, b));
}

#endif

size_t slice_find(struct slice s, struct slice needle)
{
	size_t places = s.n - needle.n + 1, i = 0;
	int tries = 0;

	if (needle.n == 0) {
		return 0;
	}
	if (needle.n > s.n) {
		return SIZE_MAX;
	}
#if defined(__SSE2__)
	while (i + 16 <= places) {
		unsigned at = ends_at(s.p + i, needle);

		for (; at != 0; at &= at - 1) {
			size_t k = i + (unsigned)__builtin_ctz(at);

			if (stands(s.p + k, needle)) {
				return k;
			}
			if (++tries == TRIES) {
				return find_far(s, k + 1, needle);
			}
		}
		/* The last vector reaches back over places that are judged. */
		i = i + 16 < places && i + 32 > places && places >= 16
			    ? places - 16
			    : i + 16;
	}
#endif
	for (; i < places; i++) {
		if (s.p[i] == needle.p[0]) {
			if (stands(s.p + i, needle)) {
				return i;
			}
			if (++tries == TRIES) {
				return find_far(s, i + 1, needle);
			}
		}
	}
	return SIZE_MAX;
}

size_t slice_rfind(struct slice s, struct slice needle)
{
	size_t n = s.n - needle.n + 1;

	if (needle.n > s.n) {
		return SIZE_MAX;
	}
	if (needle.n == 0) {
		return s.n;
	}
#if defined(__SSE2__)
	for (; n >= 16; n -= 16) {
		unsigned at = ends_at(s.p + n - 16, needle);

		while (at != 0) {
			unsigned k = 31u - (unsigned)__builtin_clz(at);

			if (stands(s.p + n - 16 + k, needle)) {
				return n - 16 + k;
			}
			at ^= 1u << k;
		}
	}
#endif
	while (n-- > 0) {
		if (s.p[n] == needle.p[0] && stands(s.p + n, needle)) {
			return n;
		}
	}
	return SIZE_MAX;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && blank(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0, most = max / 10;

	if (s.n == 0) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)((unsigned char)s.p[i] - '0');

		if (d > 9 || v > most || d > max - v * 10) {
			return false;
		}
		v = v * 10 + d;
	}
	*out = v;
	return true;
}
