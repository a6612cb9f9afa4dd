/* The Teddy loop with AArch64's table lookups; see scan.h. */
#include "redact/scan.h"

#if defined(__aarch64__)

#include <arm_neon.h>

/* Not 0 where the 16 places from p on get through a bucket. */
static inline uint8x16_t judge(const char *p, uint8x16_t lo[2][SCAN_MIN],
			       uint8x16_t hi[2][SCAN_MIN])
{
	uint8x16_t a = vdupq_n_u8(255), b = a;

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		uint8x16_t v = vld1q_u8((const uint8_t *)p + i);
		uint8x16_t l = vandq_u8(v, vdupq_n_u8(15)), h = vshrq_n_u8(v, 4);

		a = vandq_u8(a, vandq_u8(vqtbl1q_u8(lo[0][i], l), vqtbl1q_u8(hi[0][i], h)));
		b = vandq_u8(b, vandq_u8(vqtbl1q_u8(lo[1][i], l), vqtbl1q_u8(hi[1][i], h)));
	}
	return vorrq_u8(a, b);
}

static size_t run_neon(const struct scan *s, const struct scan_tables *t,
		       const char *p, size_t from, size_t n, bool *hit,
		       scan_check check)
{
	uint8x16_t lo[2][SCAN_MIN], hi[2][SCAN_MIN];

	for (unsigned i = 0; i < 2 * SCAN_MIN; i++) {
		unsigned k = i / SCAN_MIN, j = i % SCAN_MIN;

		lo[k][j] = vld1q_u8(t->lo[k][j]);
		hi[k][j] = vld1q_u8(t->hi[k][j]);
	}
	for (; from < n && n - from >= 16 + SCAN_MIN - 1; from += 16) {
		if (vmaxvq_u8(judge(p + from, lo, hi)) == 0) {
			continue;
		}
		for (size_t at = from; at < from + 16; at++) {
			if (scan_buckets(t, p + at) != 0 && check(s, p, at, n)) {
				*hit = true;
				return at;
			}
		}
	}
	return from;
}

scan_run scan_neon(void)
{
	return run_neon;
}

#else

scan_run scan_neon(void)
{
	return NULL;
}

#endif
