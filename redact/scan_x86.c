/* The Teddy loop with x86's byte shuffles; see scan.h. */
#include "redact/scan.h"

#if defined(__x86_64__) || defined(__i386__)

#include <immintrin.h>

/* Bytes from 0x80 on have the high bit set, for which PSHUFB gives 0: no
 * literal holds them, so the low half needs no mask. */
#define TARGET(isa) __attribute__((target(isa)))

/* 0xff where the 16 places from p on get through no bucket. */
TARGET("ssse3")
static inline __m128i judge16(const char *p, __m128i lo[2][SCAN_MIN], __m128i hi[2][SCAN_MIN])
{
	__m128i a = _mm_set1_epi8(-1), b = a;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i h = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));

		a = _mm_and_si128(a, _mm_and_si128(_mm_shuffle_epi8(lo[0][i], v),
						   _mm_shuffle_epi8(hi[0][i], h)));
		b = _mm_and_si128(b, _mm_and_si128(_mm_shuffle_epi8(lo[1][i], v),
						   _mm_shuffle_epi8(hi[1][i], h)));
	}
	return _mm_cmpeq_epi8(_mm_or_si128(a, b), _mm_setzero_si128());
}

TARGET("ssse3")
static size_t run_ssse3(const struct scan *s, const struct scan_tables *t,
			const char *p, size_t from, size_t n, bool *hit,
			scan_check check)
{
	__m128i lo[2][SCAN_MIN], hi[2][SCAN_MIN];

	for (unsigned i = 0; i < 2 * SCAN_MIN; i++) {
		unsigned k = i / SCAN_MIN, j = i % SCAN_MIN;

		lo[k][j] = _mm_load_si128((const __m128i *)(const void *)t->lo[k][j]);
		hi[k][j] = _mm_load_si128((const __m128i *)(const void *)t->hi[k][j]);
	}
	while (from < n && n - from >= SCAN_MIN && n >= 16 + SCAN_MIN - 1) {
		/* The last vector reaches back over places that are judged. */
		size_t last = n - (16 + SCAN_MIN - 1), base = from < last ? from : last;
		unsigned places = 0xffffu ^
				  (unsigned)_mm_movemask_epi8(judge16(p + base, lo, hi));

		for (places &= ~0u << (from - base); places != 0; places &= places - 1) {
			size_t at = base + (unsigned)__builtin_ctz(places);

			if (scan_buckets(t, p + at) != 0 && check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
		from = base + 16;
	}
	return from;
}

TARGET("avx2")
static inline __m256i judge32(const char *p, __m256i lo[2][SCAN_MIN], __m256i hi[2][SCAN_MIN])
{
	__m256i a = _mm256_set1_epi8(-1), b = a;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
		__m256i h = _mm256_and_si256(_mm256_srli_epi16(v, 4),
					     _mm256_set1_epi8(15));

		a = _mm256_and_si256(a, _mm256_and_si256(
						_mm256_shuffle_epi8(lo[0][i], v),
						_mm256_shuffle_epi8(hi[0][i], h)));
		b = _mm256_and_si256(b, _mm256_and_si256(
						_mm256_shuffle_epi8(lo[1][i], v),
						_mm256_shuffle_epi8(hi[1][i], h)));
	}
	return _mm256_cmpeq_epi8(_mm256_or_si256(a, b), _mm256_setzero_si256());
}

TARGET("avx2")
static size_t run_avx2(const struct scan *s, const struct scan_tables *t,
		       const char *p, size_t from, size_t n, bool *hit,
		       scan_check check)
{
	__m256i lo[2][SCAN_MIN], hi[2][SCAN_MIN];

	for (unsigned i = 0; i < 2 * SCAN_MIN; i++) {
		unsigned k = i / SCAN_MIN, j = i % SCAN_MIN;

		lo[k][j] = _mm256_broadcastsi128_si256(_mm_load_si128(
			(const __m128i *)(const void *)t->lo[k][j]));
		hi[k][j] = _mm256_broadcastsi128_si256(_mm_load_si128(
			(const __m128i *)(const void *)t->hi[k][j]));
	}
	while (from < n && n - from >= SCAN_MIN && n >= 32 + SCAN_MIN - 1) {
		/* The last vector reaches back over places that are judged. */
		size_t last = n - (32 + SCAN_MIN - 1), base = from < last ? from : last;
		unsigned places = ~(unsigned)_mm256_movemask_epi8(judge32(p + base, lo, hi));

		for (places &= ~0u << (from - base); places != 0; places &= places - 1) {
			size_t at = base + (unsigned)__builtin_ctz(places);

			if (scan_buckets(t, p + at) != 0 && check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
		from = base + 32;
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
