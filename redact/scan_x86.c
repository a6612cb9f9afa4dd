/* The Teddy loop with x86's byte shuffles; see scan.h. */
#include "redact/scan.h"

#if defined(__x86_64__) || defined(__i386__)

#include <immintrin.h>

/* Bytes from 0x80 on have the high bit set, for which PSHUFB gives 0: no
 * literal holds them, so the low half needs no mask. */
#define TARGET(isa) __attribute__((target(isa)))

TARGET("ssse3")
static inline __m128i judge16(const char *p, __m128i lo, __m128i hi)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i h = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));

	return _mm_and_si128(_mm_shuffle_epi8(lo, v), _mm_shuffle_epi8(hi, h));
}

TARGET("ssse3")
static size_t run_ssse3(const struct scan *s, const struct scan_tables *t,
			const char *p, size_t from, size_t n, bool *hit,
			scan_check check)
{
	__m128i lo[SCAN_MIN], hi[SCAN_MIN];

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		lo[i] = _mm_load_si128((const __m128i *)(const void *)t->lo[i]);
		hi[i] = _mm_load_si128((const __m128i *)(const void *)t->hi[i]);
	}
	for (; from < n && n - from >= 16 + SCAN_MIN - 1; from += 16) {
		const char *q = p + from;
		__m128i r = _mm_and_si128(
			_mm_and_si128(judge16(q, lo[0], hi[0]),
				      judge16(q + 1, lo[1], hi[1])),
			_mm_and_si128(judge16(q + 2, lo[2], hi[2]),
				      judge16(q + 3, lo[3], hi[3])));
		unsigned places =
			0xffffu ^ (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(
					  r, _mm_setzero_si128()));

		for (; places != 0; places &= places - 1) {
			size_t at = from + (unsigned)__builtin_ctz(places);

			if (check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
	}
	return from;
}

TARGET("avx2")
static inline __m256i judge32(const char *p, __m256i lo, __m256i hi)
{
	__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i h = _mm256_and_si256(_mm256_srli_epi16(v, 4),
				     _mm256_set1_epi8(15));

	return _mm256_and_si256(_mm256_shuffle_epi8(lo, v),
				_mm256_shuffle_epi8(hi, h));
}

TARGET("avx2")
static size_t run_avx2(const struct scan *s, const struct scan_tables *t,
		       const char *p, size_t from, size_t n, bool *hit,
		       scan_check check)
{
	__m256i lo[SCAN_MIN], hi[SCAN_MIN];

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		lo[i] = _mm256_broadcastsi128_si256(_mm_load_si128(
			(const __m128i *)(const void *)t->lo[i]));
		hi[i] = _mm256_broadcastsi128_si256(_mm_load_si128(
			(const __m128i *)(const void *)t->hi[i]));
	}
	for (; from < n && n - from >= 32 + SCAN_MIN - 1; from += 32) {
		const char *q = p + from;
		__m256i r = _mm256_and_si256(
			_mm256_and_si256(judge32(q, lo[0], hi[0]),
					 judge32(q + 1, lo[1], hi[1])),
			_mm256_and_si256(judge32(q + 2, lo[2], hi[2]),
					 judge32(q + 3, lo[3], hi[3])));
		unsigned places = ~(unsigned)_mm256_movemask_epi8(
			_mm256_cmpeq_epi8(r, _mm256_setzero_si256()));

		for (; places != 0; places &= places - 1) {
			size_t at = from + (unsigned)__builtin_ctz(places);

			if (check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
	}
	return from;
}

scan_run scan_ssse3(void)
{
	return __builtin_cpu_supports("ssse3") ? run_ssse3 : NULL;
}

scan_run scan_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? run_avx2 : NULL;
}

#else

scan_run scan_ssse3(void)
{
	return NULL;
}

scan_run scan_avx2(void)
{
	return NULL;
}

#endif
