/* verdict: which plain rules hold for the records of one class, remembered.
 *
 * A class is program, action, category, type, outcome and which other fields are
 * there.  Nearly all lines that were understood belong to a few dozen of them, and
 * most rules ask for nothing else: those are decided once for the class.  The
 * others that the dispatch would try are listed with it.  Only a memory: leaving
 * it out changes nothing.  Not thread-safe.
 */
#ifndef DETECTORS_VERDICT_H
#define DETECTORS_VERDICT_H

#include "common/record.h"

struct rule;
struct detect;

enum {
	VERDICTS = 128,      /* a power of two */
	VERDICT_WAYS = 4,    /* places that a class may have */
	VERDICT_TEXTS = 4,   /* program, action, category, type */
	VERDICT_TEXT = 24,   /* bytes of each */
	VERDICT_RULES = 12,
};

struct verdict {
	uint64_t has; /* 0: the place is free */
	/* Where the texts of a constant event stand; NULL: it was none. */
	const char *constant[VERDICT_TEXTS - 1];
	uint8_t outcome;
	bool fits;     /* the rules are all here */
	uint8_t n;
	uint16_t open; /* bit i: rules[i] is still to be judged */
	uint8_t text_n[VERDICT_TEXTS];
	char text[VERDICT_TEXTS][VERDICT_TEXT];
	struct rule *rules[VERDICT_RULES]; /* that hold, or are open; as loaded */
};

/* Whether the record is of a class: it was understood. */
static inline bool verdict_can(const struct record *r)
{
	const uint64_t all = UINT64_C(1) << FIELD_EVENT_ACTION |
			     UINT64_C(1) << FIELD_EVENT_CATEGORY |
			     UINT64_C(1) << FIELD_EVENT_TYPE;

	return (r->event.has & all) == all;
}

/* The verdict on the class of a record that has one.  NULL: a text is too long,
 * or too many rules are concerned. */
const struct verdict *verdict_of(struct detect *d, const struct record *r);

#endif
