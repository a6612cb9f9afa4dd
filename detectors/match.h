/* match: one value of a Sigma rule against one field of a record.
 *
 * A value is compiled once: wildcards at its ends become a kind of comparison,
 * the rest a glob or an expression.  Case is ASCII's; bytes outside it compare as
 * they are.  Pure but for malloc() in PCRE2.
 */
#ifndef DETECTORS_MATCH_H
#define DETECTORS_MATCH_H

#include "common/ip.h"
#include "common/record.h"
#include "detectors/arena.h"

enum match_op {
	MATCH_EXACT,
	MATCH_PREFIX,
	MATCH_SUFFIX,
	MATCH_CONTAINS,
	MATCH_GLOB,
	MATCH_RE,
	MATCH_CIDR,
	MATCH_EXISTS,
	MATCH_NULL,
	MATCH_LT,
	MATCH_LTE,
	MATCH_GT,
	MATCH_GTE,
	MATCH_FIELDREF,
};

/* What the modifiers behind a field's name ask for. */
struct match_how {
	bool contains, startswith, endswith, cased;
	bool re, re_i, re_m, re_s;
	bool cidr, fieldref;
};

struct pcre2_real_code_8;

struct match {
	uint8_t op;
	uint8_t field;      /* detectors/field.h */
	uint8_t other;      /* MATCH_FIELDREF */
	bool cased;
	struct slice text;  /* literal, in lower case unless cased; a glob's
			     * source */
	const uint16_t *glob; /* MATCH_GLOB: tokens, n_glob of them */
	uint32_t n_glob;
	union {
		struct pcre2_real_code_8 *re;
		struct ip_net net;
		int64_t number;
	} u;
};

/* What matching needs beside the rule. */
struct match_ctx {
	void *match_data;    /* pcre2_match_data, for one pair */
	void *match_context; /* pcre2_match_context with the limits */
	uint64_t re_limits;  /* counted up at each limit that was hit */
};

enum { MATCH_VALUE_MAX = 4096, MATCH_WHY = 160 };

int match_ctx_init(struct match_ctx *c);
void match_ctx_fini(struct match_ctx *c);

/* Compiles the value of a rule into m (field, and the numeric and exists kinds,
 * are the caller's).  ERR_MALFORMED: why says what is wrong; UV_ENOMEM.  A regular
 * expression is to be freed with match_fini(). */
int match_compile(struct match *m, struct arena *arena, struct slice value,
		  const struct match_how *how, char why[static MATCH_WHY]);
void match_fini(struct match *m);

bool match_record(const struct match *m, struct match_ctx *c,
		  const struct record *r);

/* Where needle (in lower case) stands in s, case ignored; SIZE_MAX: nowhere. */
size_t match_find_nocase(struct slice s, struct slice needle);

#endif
