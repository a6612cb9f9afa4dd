/* The Teddy loop with AArch64's table lookups; see scan.h. */
#include "redact/scan.h"

#if defined(__aarch64__)

#include <arm_neon.h>

_Static_assert(SCAN_MIN == 4, "four positions are written out");

/* The buckets of half k that may have the 16 bytes from p on at position i. */
static inline uint8x16_t look16(const struct scan_tables *t, unsigned k, unsigned i,
				const char *p)
{
	uint8x16_t v = vld1q_u8((const uint8_t *)p);

	return vandq_u8(vqtbl1q_u8(vld1q_u8(t->lo[k][i]), vandq_u8(v, vdupq_n_u8(15))),
			vqtbl1q_u8(vld1q_u8(t->hi[k][i]), vshrq_n_u8(v, 4)));
}

static inline uint8x16_t half16(const struct scan_tables *t, unsigned k, const char *p)
{
	return vandq_u8(vandq_u8(look16(t, k, 0, p), look16(t, k, 1, p + 1)),
			vandq_u8(look16(t, k, 2, p + 2), look16(t, k, 3, p + 3)));
}

/* The places among the 16 from p on that get through some bucket. */
static inline unsigned judge16(const struct scan_tables *t, const char *p)
{
	static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128,
					 1, 2, 4, 8, 16, 32, 64, 128};
	uint8x16_t any = vorrq_u8(half16(t, 0, p), half16(t, 1, p));
	uint8x16_t one = vandq_u8(vtstq_u8(any, any), vld1q_u8(bits));

	return vaddv_u8(vget_low_u8(one)) | (unsigned)vaddv_u8(vget_high_u8(one)) << 8;
}

static void judge_neon(const struct scan_tables *restrict t, const char *p, unsigned n,
		       uint64_t *restrict places)
{
	for (unsigned i = 0; i < n; i++, p += 64) {
		places[i] = judge16(t, p) | (uint64_t)judge16(t, p + 16) << 16 |
			    (uint64_t)judge16(t, p + 32) << 32 |
			    (uint64_t)judge16(t, p + 48) << 48;
	}
}

scan_judge scan_neon(void)
{
	return judge_neon;
}

#else

scan_judge scan_neon(void)
{
	return NULL;
}

#endif
