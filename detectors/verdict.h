/* verdict: which plain rules hold for the records of one class, remembered.
 *
 * A class is program, action, category, type, outcome and which other fields are
 * there.  Nearly all lines that were understood belong to a few dozen of them, and
 * most rules ask for nothing else: those are decided once for the class.  The
 * others that the dispatch would try are listed with it, and what those say that ask for
 * event.reason as well is remembered for the reasons that came last.  Only a memory: leaving
 * it out changes nothing.  Not thread-safe.
 */
#ifndef DETECTORS_VERDICT_H
#define DETECTORS_VERDICT_H

#include "common/record.h"

struct condition;
struct rule;
struct detect;

enum {
	VERDICTS = 128,      /* a power of two */
	VERDICT_WAYS = 4,    /* places that a class may have */
	VERDICT_TEXTS = 4,   /* program, action, category, type */
	VERDICT_TEXT = 24,   /* bytes of each */
	VERDICT_RULES = 24,   /* fewer than bits in a mask */
	VERDICT_REASONS = 2, /* remembered of each class, if no longer than this: */
	VERDICT_REASON = 29,
};

struct verdict {
	uint64_t has; /* 0: the place is free */
	/* Where the texts of a constant event stand; NULL: it was none. */
	const char *constant[VERDICT_TEXTS - 1];
	uint8_t outcome;
	bool fits;     /* the rules are all here */
	uint8_t n;
	uint32_t open; /* bit i: rules[i] is still to be judged */
	uint32_t by_reason; /* bit i: by event.reason alone */
	uint8_t text_n[VERDICT_TEXTS];
	char text[VERDICT_TEXTS][VERDICT_TEXT];
	struct rule *rules[VERDICT_RULES]; /* that hold, or are open; as loaded */
	struct verdict_reason {
		uint32_t holds;    /* of the rules by_reason */
		uint8_t n_and_one; /* length + 1; 0: none */
		char text[VERDICT_REASON];
	} reasons[VERDICT_REASONS]; /* the newest first */
};

/* Whether the record is of a class: it was understood. */
static inline bool verdict_can(const struct record *r)
{
	const uint64_t all = UINT64_C(1) << FIELD_EVENT_ACTION |
			     UINT64_C(1) << FIELD_EVENT_CATEGORY |
			     UINT64_C(1) << FIELD_EVENT_TYPE;

	return (r->event.has & all) == all;
}

/* Where a text stands is as good as what it says to find the place: parsers give
 * constants.  Only the comparison decides. */
static inline unsigned verdict_place(const struct record *r)
{
	uint64_t h = (uint64_t)(uintptr_t)r->event.f[FIELD_EVENT_ACTION].p ^
		     (uint64_t)(uintptr_t)r->event.f[FIELD_EVENT_TYPE].p << 7 ^
		     (uint64_t)r->event.outcome << 56 ^
		     (uint64_t)r->header.program.n << 48;

	return (unsigned)((h + r->event.has) * UINT64_C(0x9e3779b97f4a7c15) >>
			  57);
}
_Static_assert(VERDICTS == 1 << (64 - 57), "verdict_place() gives so many");

static inline bool verdict_constants(const struct verdict *v, const struct event *e)
{
	return e->constant && v->constant[0] == e->f[FIELD_EVENT_ACTION].p &&
	       v->constant[1] == e->f[FIELD_EVENT_CATEGORY].p &&
	       v->constant[2] == e->f[FIELD_EVENT_TYPE].p;
}

/* Whether the line names the verdict's program itself; false may be a mistake. */
static inline bool verdict_program(const struct verdict *v, struct slice program)
{
	/* "kernel" may stand for "audit", and nothing for "auditd". */
	return program.n > 0 && program.n != sizeof "kernel" - 1 &&
	       program.n == v->text_n[0] &&
	       slice_eq_short(slice(v->text[0], program.n), program);
}

/* Whether the node of the condition is the same for all records of a class; reason: that
 * have the same event.reason. */
bool verdict_decides(const struct condition *c, unsigned node, bool reason);
/* Which of the rules v->by_reason hold for the record. */
uint32_t verdict_judge_reason(struct detect *d, struct verdict *v, const struct record *r);
static inline uint32_t verdict_by_reason(struct detect *d, struct verdict *v,
					 const struct record *r)
{
	const struct verdict_reason *k = &v->reasons[0];
	struct slice text = r->event.f[FIELD_EVENT_REASON];

	return k->n_and_one == text.n + 1 && slice_eq_short(slice(k->text, text.n), text)
		       ? k->holds : verdict_judge_reason(d, v, r);
}
/* In all places that the class may have, or judged now. */
struct verdict *verdict_look_for(struct detect *d, const struct record *r);

/* The verdict on the class of a record that has one, of the table d->verdicts.
 * NULL: a text is too long, or too many rules are concerned. */
static inline struct verdict *verdict_of(struct detect *d,
					 struct verdict verdicts[static VERDICTS],
					 const struct record *r)
{
	struct verdict *v = &verdicts[verdict_place(r)];

	/* Nearly always it is where it was put, and the event a constant one. */
	if (v->has == r->event.has && v->outcome == r->event.outcome &&
	    verdict_constants(v, &r->event) && verdict_program(v, r->header.program)) {
		return v->fits ? v : NULL;
	}
	return verdict_look_for(d, r);
}

#endif
