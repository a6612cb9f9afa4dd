/* slice: bytes that belong to somebody else.
 *
 * Everything that comes from outside is a slice and never a C string: it may
 * hold NUL, invalid UTF-8 and whatever an attacker likes.  A slice is valid as
 * long as the memory it points into; who owns that is said where it is handed
 * over.
 */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

struct slice {
	const char *p;
	size_t n;
};

#define SLICE_LIT(text) ((struct slice){"" text, sizeof(text) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf("%.*s"). */
#define SLICE_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline struct slice slice(const void *p, size_t n)
{
	return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){s, s == NULL ? 0 : strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The same without a call up to 32 bytes (16 without SSE2), where short texts are
 * compared for every line. */
static inline bool slice_eq_short(struct slice a, struct slice b)
{
	uint64_t x[2] = {0, 0}, y[2] = {0, 0};

	if (a.n != b.n) {
		return false;
	}
#if defined(__SSE2__)
	if (a.n > 16 && a.n <= 32) {
		const __m128i *p = (const void *)a.p, *q = (const void *)b.p;
		const __m128i *p2 = (const void *)(a.p + a.n - 16);
		const __m128i *q2 = (const void *)(b.p + b.n - 16);

		return _mm_movemask_epi8(_mm_and_si128(
			       _mm_cmpeq_epi8(_mm_loadu_si128(p), _mm_loadu_si128(q)),
			       _mm_cmpeq_epi8(_mm_loadu_si128(p2),
					      _mm_loadu_si128(q2)))) == 0xffff;
	}
#endif
	if (a.n >= 8) {
		memcpy(&x[0], a.p, 8);
		memcpy(&y[0], b.p, 8);
		memcpy(&x[1], a.p + a.n - 8, 8);
		memcpy(&y[1], b.p + a.n - 8, 8);
		return x[0] == y[0] && x[1] == y[1] &&
		       (a.n <= 16 || memcmp(a.p, b.p, a.n) == 0);
	}
	if (a.n >= 4) {
		memcpy(&x[0], a.p, 4);
		memcpy(&y[0], b.p, 4);
		memcpy(&x[1], a.p + a.n - 4, 4);
		memcpy(&y[1], b.p + a.n - 4, 4);
		return x[0] == y[0] && x[1] == y[1];
	}
	return a.n == 0 || (a.p[0] == b.p[0] && a.p[a.n / 2] == b.p[a.n / 2] &&
			    a.p[a.n - 1] == b.p[a.n - 1]);
}

/* ASCII letters compare equal in either case. */
bool slice_eq_nocase(struct slice a, struct slice b);

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n &&
	       (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 ||
		memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* What is left behind the first n bytes; empty when there are fewer. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
	if (n > s.n) {
		n = s.n;
	}
	/* Not even nothing may be added to NULL. */
	return (struct slice){n > 0 ? s.p + n : s.p, s.n - n};
}

static inline struct slice slice_head(struct slice s, size_t n)
{
	return (struct slice){s.p, n < s.n ? n : s.n};
}

/* Where c first stands in s, or SIZE_MAX: memchr() for what is found within a few
 * bytes or not at all in a short text, without a call. */
static inline size_t slice_chr(struct slice s, char c)
{
	size_t i = 0;

#if defined(__SSE2__)
	for (const __m128i want = _mm_set1_epi8(c); s.n - i >= 16; i += 16) {
		unsigned at = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)(s.p + i)),
			want));

		if (at != 0) {
			return i + (unsigned)__builtin_ctz(at);
		}
	}
#endif
	for (; i < s.n; i++) {
		if (s.p[i] == c) {
			return i;
		}
	}
	return SIZE_MAX;
}

/* Where c last stands in s, or SIZE_MAX. */
static inline size_t slice_rchr(struct slice s, char c)
{
	size_t i = s.n;

#if defined(__SSE2__)
	for (const __m128i want = _mm_set1_epi8(c); i >= 16; i -= 16) {
		unsigned at = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)(s.p + i - 16)),
			want));

		if (at != 0) {
			return i - 16 + (31u - (unsigned)__builtin_clz(at));
		}
	}
#endif
	while (i-- > 0) {
		if (s.p[i] == c) {
			return i;
		}
	}
	return SIZE_MAX;
}

/* How many digits s begins with. */
static inline size_t slice_digits(struct slice s)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t i = 0;

	/* A byte is no digit when its high bit is set in it, in it less '0', or in
	 * it plus 0x7f less '9'; what borrow and carry spoil lies behind the first
	 * such byte. */
	for (; s.n - i >= 8; i += 8) {
		uint64_t word, other;

		memcpy(&word, s.p + i, 8);
		word = le64toh(word);
		other = (word | (word - ones * '0') | (word + ones * (0x7f - '9'))) &
			ones * 0x80;
		if (other != 0) {
			return i + ((unsigned)__builtin_ctzll(other) >> 3);
		}
	}
	while (i < s.n && (unsigned char)(s.p[i] - '0') <= 9) {
		i++;
	}
	return i;
}

/* How many digits s ends in: the same, mirrored. */
static inline size_t slice_last_digits(struct slice s)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t i = 0;

	for (; s.n - i >= 8; i += 8) {
		uint64_t word, other;

		memcpy(&word, s.p + s.n - i - 8, 8);
		word = be64toh(word);
		other = (word | (word - ones * '0') | (word + ones * (0x7f - '9'))) &
			ones * 0x80;
		if (other != 0) {
			return i + ((unsigned)__builtin_ctzll(other) >> 3);
		}
	}
	while (i < s.n && (unsigned char)(s.p[s.n - 1 - i] - '0') <= 9) {
		i++;
	}
	return i;
}

/* Where needle first (last) stands in s, or SIZE_MAX. */
size_t slice_find(struct slice s, struct slice needle);
size_t slice_rfind(struct slice s, struct slice needle);

/* Cuts blanks and tabs from both ends. */
struct slice slice_trim(struct slice s);

/* Whole slice is a decimal number <= max: true and *out.  No sign, no blanks,
 * at least one digit. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

#endif
