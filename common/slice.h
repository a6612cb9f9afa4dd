/* slice: bytes that belong to somebody else.
 *
 * Everything that comes from outside is a slice and never a C string: it may
 * hold NUL, invalid UTF-8 and whatever an attacker likes.  A slice is valid as
 * long as the memory it points into; who owns that is said where it is handed
 * over.
 */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The same without a call up to 16 bytes, where short texts are compared for
 * every line. */
static inline bool slice_eq_short(struct slice a, struct slice b)
{
	uint64_t x[2] = {0, 0}, y[2] = {0, 0};

	if (a.n != b.n) {
		return false;
	}
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

/* Where needle first (last) stands in s, or SIZE_MAX. */
size_t slice_find(struct slice s, struct slice needle);
size_t slice_rfind(struct slice s, struct slice needle);

/* Cuts blanks and tabs from both ends. */
struct slice slice_trim(struct slice s);

/* Whole slice is a decimal number <= max: true and *out.  No sign, no blanks,
 * at least one digit. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

#endif
