/* The Teddy loop with x86's byte shuffles; see scan.h.
 *
 * What is done for each of the SCAN_MIN positions is written out: as a loop over
 * arrays it stays one at -O2, with the vectors on the stack. */
#include "redact/scan.h"

#if defined(__x86_64__) || defined(__i386__)

#include <immintrin.h>

_Static_assert(SCAN_MIN == 4, "four positions are written out");

/* Bytes from 0x80 on have the high bit set, for which PSHUFB gives 0: no
 * literal holds them, so the low half needs no mask. */
#define TARGET(isa) __attribute__((target(isa)))

TARGET("ssse3")
static inline __m128i load16(const void *p)
{
	return _mm_loadu_si128(p);
}

/* The buckets of half k that may have the 16 bytes from p on at position i. */
TARGET("ssse3")
static inline __m128i look16(const struct scan_tables *t, unsigned k, unsigned i, const char *p)
{
	__m128i v = load16(p), h = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));

	return _mm_and_si128(_mm_shuffle_epi8(load16(t->lo[k][i]), v),
			     _mm_shuffle_epi8(load16(t->hi[k][i]), h));
}

TARGET("ssse3")
static inline __m128i half16(const struct scan_tables *t, unsigned k, const char *p)
{
	return _mm_and_si128(_mm_and_si128(look16(t, k, 0, p), look16(t, k, 1, p + 1)),
			     _mm_and_si128(look16(t, k, 2, p + 2), look16(t, k, 3, p + 3)));
}

/* The places among the 16 from p on that get through some bucket. */
TARGET("ssse3")
static inline unsigned judge16(const struct scan_tables *t, const char *p)
{
	__m128i none = _mm_cmpeq_epi8(_mm_or_si128(half16(t, 0, p), half16(t, 1, p)),
				      _mm_setzero_si128());

	return 0xffffu ^ (unsigned)_mm_movemask_epi8(none);
}

TARGET("ssse3")
static void judge_ssse3(const struct scan_tables *restrict t, const char *p, unsigned n,
			uint64_t *restrict places)
{
	for (unsigned i = 0; i < n; i++, p += 64) {
		places[i] = judge16(t, p) | (uint64_t)judge16(t, p + 16) << 16 |
			    (uint64_t)judge16(t, p + 32) << 32 |
			    (uint64_t)judge16(t, p + 48) << 48;
	}
}

TARGET("avx2")
static inline __m256i twice(const uint8_t table[16])
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
}

TARGET("avx2")
static inline __m256i look32(const struct scan_tables *t, unsigned k, unsigned i, __m256i v)
{
	__m256i h = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));

	return _mm256_and_si256(_mm256_shuffle_epi8(twice(t->lo[k][i]), v),
				_mm256_shuffle_epi8(twice(t->hi[k][i]), h));
}

TARGET("avx2")
static inline unsigned judge32(const struct scan_tables *t, const char *p)
{
	__m256i v0 = _mm256_loadu_si256((const void *)p);
	__m256i v1 = _mm256_loadu_si256((const void *)(p + 1));
	__m256i v2 = _mm256_loadu_si256((const void *)(p + 2));
	__m256i v3 = _mm256_loadu_si256((const void *)(p + 3));
	__m256i a = _mm256_and_si256(
		_mm256_and_si256(look32(t, 0, 0, v0), look32(t, 0, 1, v1)),
		_mm256_and_si256(look32(t, 0, 2, v2), look32(t, 0, 3, v3)));
	__m256i b = _mm256_and_si256(
		_mm256_and_si256(look32(t, 1, 0, v0), look32(t, 1, 1, v1)),
		_mm256_and_si256(look32(t, 1, 2, v2), look32(t, 1, 3, v3)));

	return ~(unsigned)_mm256_movemask_epi8(
		_mm256_cmpeq_epi8(_mm256_or_si256(a, b), _mm256_setzero_si256()));
}

TARGET("avx2")
static void judge_avx2(const struct scan_tables *restrict t, const char *p, unsigned n,
		       uint64_t *restrict places)
{
	for (unsigned i = 0; i < n; i++, p += 64) {
		places[i] = judge32(t, p) | (uint64_t)judge32(t, p + 32) << 32;
	}
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

VBMI
static inline __m512i load64(const void *p)
{
	return _mm512_loadu_si512(p);
}

VBMI
static inline __m512i look64(const uint8_t table[128], __m512i v)
{
	return _mm512_permutex2var_epi8(load64(table), v, load64(table + 64));
}

VBMI
static void judge_vbmi(const struct scan_tables *restrict t, const char *p, unsigned n,
		       uint64_t *restrict places)
{
	for (unsigned i = 0; i < n; i++, p += 64) {
		__m512i v0 = load64(p), v1 = load64(p + 1), v2 = load64(p + 2);
		__m512i v3 = load64(p + 3);
		__m512i a = _mm512_and_si512(
			_mm512_and_si512(look64(t->whole[0][0], v0), look64(t->whole[0][1], v1)),
			_mm512_and_si512(look64(t->whole[0][2], v2), look64(t->whole[0][3], v3)));
		__m512i b = _mm512_and_si512(
			_mm512_and_si512(look64(t->whole[1][0], v0), look64(t->whole[1][1], v1)),
			_mm512_and_si512(look64(t->whole[1][2], v2), look64(t->whole[1][3], v3)));
		__m512i any = _mm512_or_si512(a, b);
		__m512i wide = _mm512_or_si512(_mm512_or_si512(v0, v1), _mm512_or_si512(v2, v3));

		places[i] = _mm512_test_epi8_mask(any, any) & ~_mm512_movepi8_mask(wide);
	}
}

scan_judge scan_ssse3(void)
{
	return __builtin_cpu_supports("ssse3") ? judge_ssse3 : NULL;
}

scan_judge scan_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? judge_avx2 : NULL;
}

scan_judge scan_vbmi(void)
{
	return __builtin_cpu_supports("avx512vbmi") &&
			       __builtin_cpu_supports("avx512bw")
		       ? judge_vbmi
		       : NULL;
}

#else

scan_judge scan_ssse3(void)
{
	return NULL;
}

scan_judge scan_avx2(void)
{
	return NULL;
}

scan_judge scan_vbmi(void)
{
	return NULL;
}

#endif
