/* reference_watch: what `rate` and `silence` mean (docs/rules.md), as slowly and plainly as it
 * can be said: of one group, all events are there in the order of their times, and what is
 * usual is found anew from all of them for each hour and each pause.  Shares no code with
 * detectors/. */
#ifndef TESTS_SUPPORT_REFERENCE_WATCH_H
#define TESTS_SUPPORT_REFERENCE_WATCH_H

#include "tests/support/reference.h"

/* Factors in thousandths, 0: not asked for. */
struct ref_rate {
	int cells; /* 1, 24 or 168 */
	int64_t above, below, minimum, learning_ms, forget_ms;
	int32_t (*offset)(const void *zone, int64_t unix_s);
};

struct ref_silence {
	int64_t given_ms; /* 0: it is learned */
	int64_t factor, percentile, least_ms, most_ms, learning_ms, forget_days;
};

/* Adds the alerts of one group to out, for key[0] = key.  e: its n events in order;
 * seen_ms: the last watermark of the log. */
void reference_rate(const struct ref_rate *r, int key, const struct ref_event *e, size_t n,
		    int64_t seen_ms, struct ref_result *out);
void reference_silence(const struct ref_silence *r, int key, const struct ref_event *e,
		       size_t n, int64_t seen_ms, struct ref_result *out);

#endif
