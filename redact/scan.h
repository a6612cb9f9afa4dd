/* scan: finds many short literals at once, many bytes at a time.
 *
 * "Teddy" (G. Langdale, Hyperscan): each literal is represented by the four
 * bytes of it that are rarest in logs; these windows are dealt into sixteen
 * buckets, and for each of the four positions two 16-entry tables, by low and
 * by high half of a byte, tell which buckets it may belong to.  One shuffle
 * each (and again for the second eight buckets) and some ANDs judge 16 (SSSE3,
 * NEON) or 32 (AVX2) places; AVX-512 VBMI looks whole bytes up, and judges 64.
 * Of what they let through nearly all is none of the literals' windows, as one bit for
 * its four bytes together tells; the rest is looked up, and compared byte by byte.
 *
 * Pure; a struct scan does not change once made; any thread.
 */
#ifndef REDACT_SCAN_H
#define REDACT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A literal is printable ASCII in which these stand for any byte of a class. */
#define SCAN_SEP "\x01"   /* last: what may follow a key's name (= : " ...) */
#define SCAN_HEX "\x02"   /* 0-9 a-f A-F */
#define SCAN_DIGIT "\x03"
#define SCAN_WORD "\x04"  /* A-Z a-z 0-9 _ - + / */
#define SCAN_PRINT "\x06" /* printable ASCII and the blank */
#define SCAN_OPTION "\x07" /* letters of options that take a password */
#define SCAN_SPACED "\x05" /* made from SCAN_SEP: what follows a blank there */

enum { SCAN_MIN = 4, SCAN_MAX = 40, SCAN_HITS = 16 };

/* Where a literal's window is and which bucket it is in: for it as it stands, and
 * (where it ends in SCAN_SEP) for its form with a blank. */
struct scan_plan {
	const char *text;
	uint8_t window[2];
	uint8_t bucket[2];
};

/* A quick look at what stands behind a literal at p[at, end), where ordinary lines are
 * full of it: false when there can't be a secret, and the literal is passed over.  Reads
 * nothing beyond p[0, n), nor beyond a newline, which ends the text as n does: so that a
 * chunk and a line alone give the same. */
typedef bool (*scan_guard)(const char *p, size_t at, size_t end, size_t n);

struct scan_literal {
	const char *text; /* kept; SCAN_MIN to SCAN_MAX bytes */
	bool fold;        /* ASCII letters match in either case */
	scan_guard guard; /* NULL: none */
	/* NULL, or one for another text: chosen by scan_new(), which takes longer and
	 * does it less well.  Only speed depends on it. */
	const struct scan_plan *plan;
};

struct scan; /* opaque */

/* UV_ENOMEM; UV_EINVAL: a literal is too short or too long. */
int scan_new(struct scan **out, const struct scan_literal *literals, size_t n);
/* NULL allowed. */
void scan_free(struct scan *s);

/* The first place >= from in p[0, n) at which the window of a literal stands
 * that is wholly inside p[0, n), or n.  A window is a part of its literal, so
 * the place is inside the literal, not always its first byte. */
size_t scan_next(const struct scan *s, const char *p, size_t from, size_t n);

struct scan_hit {
	unsigned literal; /* index into the array that scan_new() was given */
	size_t at, end;   /* p[at, end) is the literal, without its SCAN_SEP */
};

/* Every literal whose window stands at `place`: at most SCAN_HITS. */
size_t scan_hits(const struct scan *s, const char *p, size_t place, size_t n,
		 struct scan_hit out[static SCAN_HITS]);

/* ---- for tests and benchmarks ---- */

enum scan_engine {
	SCAN_BEST, SCAN_SCALAR, SCAN_SSSE3, SCAN_AVX2, SCAN_VBMI, SCAN_NEON
};
/* UV_ENOTSUP: this processor or build lacks it. */
int scan_use(struct scan *s, enum scan_engine engine);

/* ---- shared with the engines ---- */

enum { SCAN_BUCKETS = 16 };

struct scan_tables {
	/* By half of the buckets and position in the window: bit b of
	 * lo[k][i][c & 15] & hi[k][i][c >> 4] is set when bucket 8 * k + b may
	 * have c there. */
	_Alignas(16) uint8_t lo[2][SCAN_MIN][16];
	_Alignas(16) uint8_t hi[2][SCAN_MIN][16];
	/* The same, exact: all buckets of a byte, and half of those of one that is
	 * below 0x80. */
	uint16_t byte[SCAN_MIN][256];
	_Alignas(64) uint8_t whole[2][SCAN_MIN][128];
};

/* The buckets that may have their window at p. */
static inline unsigned scan_buckets(const struct scan_tables *t, const char *p)
{
	const uint8_t *c = (const uint8_t *)p;

	return (unsigned)t->byte[0][c[0]] & t->byte[1][c[1]] & t->byte[2][c[2]] &
	       t->byte[3][c[3]];
}

/* Bit k of places[i] is set when place p + 64 * i + k may be a window's, for n times
 * 64 places.  Reads SCAN_MIN - 1 bytes beyond them. */
typedef void (*scan_judge)(const struct scan_tables *restrict t, const char *p, unsigned n,
			   uint64_t *restrict places);

/* NULL where the build or the processor lacks it. */
scan_judge scan_ssse3(void);
scan_judge scan_avx2(void);
scan_judge scan_vbmi(void);
scan_judge scan_neon(void);

#endif
