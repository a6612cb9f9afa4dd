/* implied: what must be so for a condition to be true, for the dispatch.  Pure. */
#ifndef DETECTORS_IMPLIED_H
#define DETECTORS_IMPLIED_H

#include "detectors/rule.h"

enum { VALUES_MAX = 64 };

struct values {
	struct slice v[VALUES_MAX];
	size_t n;
};

/* Whether node `at` can only be true when the field is one of some values, which are
 * added to out. */
bool implied_values(const struct condition *c, unsigned at, unsigned field,
		    struct values *out);
/* The event's fields without which the node can't be true. */
uint64_t implied_needs(const struct condition *c, unsigned at);
/* The outcomes with which the node may be true, one bit each. */
uint8_t implied_outcomes(const struct condition *c, unsigned at);
/* What no line has that is read and the condition needs, for people; NULL: nothing. */
const char *implied_never(const struct condition *c);
/* What it needs that is not there yet, for people: a database (parts: enum geo_part, those
 * that are open), or a list by its name; NULL: nothing. */
const char *implied_waits(const struct condition *c, unsigned parts);
/* Whether it can't be true without a database. */
bool implied_places(const struct condition *c);
/* The databases that tell these parts; NULL: of none. */
const char *implied_database(unsigned parts);

#endif
