/* reference: what correlations mean (docs/rules.md), as slowly and plainly as it can be
 * said: all events are there, in the order of their times, and everything is evaluated
 * by its definition.  Shares no code with detectors/. */
#ifndef TESTS_SUPPORT_REFERENCE_H
#define TESTS_SUPPORT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ref_type {
	REF_EVENT_COUNT, REF_VALUE_COUNT, REF_VALUE_SUM, REF_VALUE_AVG, REF_VALUE_SHARE,
	REF_VALUE_PERCENTILE, REF_TEMPORAL, REF_ORDERED, REF_TYPES
};

enum {
	REF_NAMED = 4,  /* rules that one correlation names */
	REF_KEYS = 2,   /* a group is an address, a user, both or neither */
	REF_NONE = -1,
};

struct ref_rule {
	enum ref_type type;
	unsigned stages;
	int named[REF_NAMED];  /* >= 0: a plain rule; < 0: correlation -1 - named */
	bool by[REF_KEYS];     /* group-by */
	int64_t span_ms;
	/* REF_NONE: not given. */
	int64_t gt, gte, lt, lte, eq, neq;
	unsigned percentile;
	bool weigh;
};

/* One line, or one event of a correlation. */
struct ref_event {
	int64_t ms;
	int key[REF_KEYS];
	int value;             /* REF_NONE: the line has none */
	unsigned weight;       /* attempts of a line */
	unsigned stage;
	uint32_t plain;        /* bit p: plain rule p matches it */
};

struct ref_alert {
	unsigned rule;
	int key[REF_KEYS];     /* REF_NONE: not grouped by it */
	int64_t first_ms, last_ms;
	uint64_t count;
};

struct ref_result {
	struct ref_alert *v;
	size_t n, room;
};

/* All alerts of all rules; a correlation names only those before it.  The caller frees
 * out->v. */
void reference(const struct ref_rule *rules, unsigned n_rules,
	       const struct ref_event *lines, size_t n_lines, struct ref_result *out);

#endif
