/* excuse: which of the logs that were lost as a whole a stated limit covers
 * (docs/delivery.md, "Simulation"): one that was begun and rotated while nobody looked, on
 * a machine whose clock was set back before that and was ahead again, or had no time to be
 * seen behind, when somebody did. */
#ifndef TESTS_SIM_EXCUSE_H
#define TESTS_SIM_EXCUSE_H

#include "tests/sim/truth.h"

bool excuse_unseen(const struct content *c);

#endif
