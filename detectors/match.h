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
#include "common/timefmt.h"
#include "detectors/arena.h"
#include "detectors/audit.h"
#include "detectors/field.h"
#include "detectors/value.h"

enum match_op {
	MATCH_EXACT, /* to MATCH_CONTAINS: `text` in the whole, at an end, anywhere */
	MATCH_PREFIX,
	MATCH_SUFFIX,
	MATCH_CONTAINS,
	MATCH_GLOB,
	MATCH_RE,
	MATCH_CIDR,
	MATCH_EXISTS,
	MATCH_NULL,
	MATCH_EQ,
	MATCH_LT,
	MATCH_LTE,
	MATCH_GT,
	MATCH_GTE,
	MATCH_FIELDREF,
	MATCH_LIST,
};

/* Which part of a date is compared as a number. */
enum match_part {
	PART_NONE,
	PART_MINUTE,
	PART_HOUR,
	PART_DAY,
	PART_WEEK, /* of ISO 8601 */
	PART_MONTH,
	PART_YEAR,
};

/* What the modifiers behind a field's name ask for. */
struct match_how {
	uint8_t steps[VALUE_STEPS]; /* enum value_step, in their order */
	uint8_t n_steps;
	bool cased;
	bool re, re_i, re_m, re_s;
	bool cidr, fieldref;
	uint8_t number; /* enum match_op from MATCH_EQ on, or 0 */
	uint8_t part;   /* enum match_part */
};

struct pcre2_real_code_8;
struct refer;
struct refer_list;

struct match {
	uint8_t op;
	uint8_t field;      /* detectors/field.h */
	uint8_t other;      /* MATCH_FIELDREF: compared as `how` says */
	uint8_t how;        /* MATCH_EXACT ... MATCH_CONTAINS */
	uint8_t part;       /* enum match_part, with a number */
	bool cased;
	bool lent;          /* the expression is another's */
	const char *never;  /* RULE_FIELD_NEVER: the name that the rule has for it */
	struct slice text;  /* literal, in lower case unless cased; a glob's
			     * source */
	const uint16_t *glob; /* MATCH_GLOB: tokens, n_glob of them */
	uint32_t n_glob;
	union {
		struct pcre2_real_code_8 *re;
		struct ip_net net;
		const struct refer_list *list;
		int64_t number; /* rounded down ... */
	} u;
	uint32_t billionths; /* ... and what is above it */
};

enum { MATCH_VALUE_MAX = 4096, MATCH_WHY = VALUE_WHY, MATCH_PATH = 4096 };

/* What matching needs beside the rule. */
struct match_ctx {
	void *match_data;    /* pcre2_match_data, for one pair */
	void *match_context; /* pcre2_match_context with the limits */
	uint64_t re_limits;  /* counted up at each limit that was hit */
	struct refer *refer; /* borrowed, or NULL */
	char scratch[2][AUDIT_SCRATCH]; /* what had to be decoded */
	struct slice path; /* match_begin()'s; empty: the path holds nothing encoded */
	char path_room[MATCH_PATH];
	int32_t (*zone_offset)(const void *zone, int64_t unix_s); /* NULL: UTC */
	const void *zone;
};

/* event.hour by the device's clock. */
static inline bool match_hour(const struct match_ctx *c, const struct record *r,
			      struct slice *out)
{
	int64_t s = record_time_ns(r) == TIME_NONE ? 0 : record_time_ns(r) / NS_PER_S;

	return rule_field_hour(r, c->zone_offset == NULL ? 0 : c->zone_offset(c->zone, s), out);
}


int match_ctx_init(struct match_ctx *c);
void match_ctx_fini(struct match_ctx *c);

/* Compiles the value of a rule into a match, or several of which one must be true; each is
 * handed to add, which owns it from then on (match_fini()) and whose negative answer ends
 * it all and is returned.  0; ERR_MALFORMED: why says what is wrong; UV_ENOMEM. */
typedef int (*match_add)(void *arg, const struct match *m);
int match_compile(unsigned field, struct arena *arena, struct slice value,
		  const struct match_how *how, match_add add, void *arg,
		  char why[static MATCH_WHY]);
void match_fini(struct match *m);

/* Before the matches of a record: decodes once what percent signs hide in the first
 * MATCH_PATH bytes of its url.path (RFC 3986, 2.1), printable ASCII alone.  A server decodes
 * before it looks for the file, so a value fits when it fits the path as it is written or as
 * it is decoded. */
void match_begin(struct match_ctx *c, const struct record *r);
bool match_record(const struct match *m, struct match_ctx *c,
		  const struct record *r);

/* Whether the length of the text, or its first byte, says at once that it is another one. */
static inline bool match_differs(const struct match *m, const struct record *r)
{
	struct slice s;
	uint8_t other;

	if (m->op > MATCH_SUFFIX) {
		return false;
	}
	if (m->field == RULE_FIELD_MESSAGE) {
		s = rule_message(r);
	} else if (m->field < FIELD_NR && event_has(&r->event, (enum event_field)m->field)) {
		s = r->event.f[m->field];
	} else {
		return false;
	}
	if (s.n <= m->text.n) {
		return s.n < m->text.n;
	}
	if (m->field == FIELD_URL_PATH) {
		return false; /* Decoded it may be shorter, and begin otherwise. */
	}
	if (m->op == MATCH_EXACT || m->text.n == 0) {
		return m->op == MATCH_EXACT;
	}
	other = (uint8_t)s.p[m->op == MATCH_SUFFIX ? s.n - m->text.n : 0] ^ (uint8_t)m->text.p[0];
	return (other & ~0x20u) != 0; /* but for the bit of case */
}

/* Where needle (in lower case) stands in s, case ignored; SIZE_MAX: nowhere. */
size_t match_find_nocase(struct slice s, struct slice needle);

#endif
