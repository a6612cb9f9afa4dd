/* check: reads everything that a collector's store holds, as its owner would. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "common/record.h"
#include "common/sys.h"

struct seen_record {
	struct record *r;
	uint64_t arrival; /* of its batch: the order in which the store took it */
};

/* Calls cb for every record that counts (taken by its envelope), by segment.
 * lenient: damaged segments are read as far as they are whole.  Returns 0, or the
 * first error: a store that can't be read to its end.  *foreign counts segments
 * that are sealed for another store: nobody can open them here. */
int check_store(struct sys *sys, const char *dir, bool lenient,
		void (*cb)(void *arg, const struct seen_record *r), void *arg,
		unsigned *foreign);

#endif
