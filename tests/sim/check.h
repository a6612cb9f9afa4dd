/* check: reads everything that a collector's store holds, as its owner would. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "common/record.h"
#include "common/sys.h"

/* Calls cb for every record that counts (taken by its envelope), by segment.
 * Returns 0, or the first error: a store that can't be read to its end. */
int check_store(struct sys *sys, const char *dir,
		void (*cb)(void *arg, const struct record *r), void *arg);

#endif
