/* range: many seeds, in blocks that add up. */
#ifndef TESTS_SIM_RANGE_H
#define TESTS_SIM_RANGE_H

#include <stdint.h>

#include "tests/sim/run.h"

/* Runs the seeds from first->seed on, each as `first`, in so many processes; progress: a
 * file of the blocks that are done, which are not run again; NULL: none.  Prints one line
 * with the sum.  Returns how many failed. */
unsigned range_run(const struct plan *first, uint64_t runs, unsigned jobs,
		   const char *progress);

/* Runs what the file names: lines of a seed, of a seed and "compress", or of a seed, a
 * scenario and perhaps "kills"; # begins a comment. */
unsigned range_file(const char *path);

#endif
