/* The Teddy loop with AArch64's table lookups; see scan.h. */
#include "redact/scan.h"

#if defined(__aarch64__)

#include <arm_neon.h>

static inline uint8x16_t judge(const char *p, uint8x16_t lo, uint8x16_t hi)
{
	uint8x16_t v = vld1q_u8((const uint8_t *)p);

	return vandq_u8(vqtbl1q_u8(lo, vandq_u8(v, vdupq_n_u8(15))),
			vqtbl1q_u8(hi, vshrq_n_u8(v, 4)));
}

static size_t run_neon(const struct scan *s, const struct scan_tables *t,
		       const char *p, size_t from, size_t n, bool *hit,
		       scan_check check)
{
	uint8x16_t lo[SCAN_MIN], hi[SCAN_MIN];

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		lo[i] = vld1q_u8(t->lo[i]);
		hi[i] = vld1q_u8(t->hi[i]);
	}
	for (; from < n && n - from >= 16 + SCAN_MIN - 1; from += 16) {
		const char *q = p + from;
		uint8x16_t r = vandq_u8(vandq_u8(judge(q, lo[0], hi[0]),
						 judge(q + 1, lo[1], hi[1])),
					vandq_u8(judge(q + 2, lo[2], hi[2]),
						 judge(q + 3, lo[3], hi[3])));

		if (vmaxvq_u8(r) == 0) {
			continue;
		}
		for (size_t at = from; at < from + 16; at++) {
			if (check(s, p, at, n)) {
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
