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

/* With VBMI a byte below 0x80 is looked up whole, in a table of 128, so that what
 * gets through is exact; and 64 places are judged at once. */
#if defined __SANITIZE_ADDRESS__ && !defined __clang__
/* With detect_stack_use_after_return gcc 12 puts locals that want 64 bytes at 32
 * (GCC bug 110027). */
#define VBMI TARGET("avx512f,avx512bw,avx512vbmi") __attribute__((no_sanitize_address))
#else
#define VBMI TARGET("avx512f,avx512bw,avx512vbmi")
#endif

struct whole_tables {
	__m512i low[2][SCAN_MIN], high[2][SCAN_MIN];
};

VBMI
static inline __m512i half64(const __m512i v[SCAN_MIN], const __m512i low[SCAN_MIN],
			     const __m512i high[SCAN_MIN])
{
	__m512i a = _mm512_and_si512(_mm512_permutex2var_epi8(low[0], v[0], high[0]),
				     _mm512_permutex2var_epi8(low[1], v[1], high[1]));

	return _mm512_and_si512(
		a, _mm512_and_si512(_mm512_permutex2var_epi8(low[2], v[2], high[2]),
				    _mm512_permutex2var_epi8(low[3], v[3], high[3])));
}
_Static_assert(SCAN_MIN == 4, "half64() takes four");

/* The places among the 64 from p on that get through some bucket. */
VBMI
static inline uint64_t judge64(const char *p, const struct whole_tables *w)
{
	__m512i v[SCAN_MIN], any, wide;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		v[i] = _mm512_loadu_si512((const void *)(p + i));
	}
	any = _mm512_or_si512(half64(v, w->low[0], w->high[0]),
			      half64(v, w->low[1], w->high[1]));
	wide = _mm512_or_si512(_mm512_or_si512(v[0], v[1]), _mm512_or_si512(v[2], v[3]));
	return _mm512_test_epi8_mask(any, any) & ~_mm512_movepi8_mask(wide);
}

VBMI
static size_t run_vbmi(const struct scan *s, const struct scan_tables *t,
		       const char *p, size_t from, size_t n, bool *hit,
		       scan_check check)
{
	struct whole_tables w;

	for (unsigned i = 0; i < 2 * SCAN_MIN; i++) {
		unsigned k = i / SCAN_MIN, j = i % SCAN_MIN;

		w.low[k][j] = _mm512_loadu_si512((const void *)t->whole[k][j]);
		w.high[k][j] = _mm512_loadu_si512((const void *)(t->whole[k][j] + 64));
	}
	while (from < n && n - from >= SCAN_MIN && n >= 64 + SCAN_MIN - 1) {
		/* The last vector reaches back over places that are judged. */
		size_t last = n - (64 + SCAN_MIN - 1), base = from < last ? from : last;
		uint64_t places = judge64(p + base, &w);

		for (places &= ~UINT64_C(0) << (from - base); places != 0;
		     places &= places - 1) {
			size_t at = base + (unsigned)__builtin_ctzll(places);

			if (check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
		from = base + 64;
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

scan_run scan_vbmi(void)
{
	return __builtin_cpu_supports("avx512vbmi") &&
			       __builtin_cpu_supports("avx512bw")
		       ? run_vbmi
		       : NULL;
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

scan_run scan_vbmi(void)
{
	return NULL;
}

#endif
