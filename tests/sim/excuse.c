#include "tests/sim/excuse.h"

/* So long after its start an agent has looked: it waits three seconds for a collector. */
static const int64_t look_ns = INT64_C(4000000000);

/* Its file bears a time that is older than one that the agent had seen before. */
static bool is_dated_back(const struct content *c)
{
	return node_clock_at(c->node, c->stamped_ns) <
	       node_clock_highest(c->node, c->rotated_ns);
}

/* When somebody looked next the clock was where it had been, or ahead; or the file is
 * older than the agent's state, by its time. */
static bool is_unnoticed(const struct content *c)
{
	int64_t highest_ns = node_clock_highest(c->node, c->rotated_ns), at_ns;

	if (!node_lived_through(c->node, c->rotated_ns, INT64_MAX, look_ns, &at_ns)) {
		return true;
	}
	return node_clock_at(c->node, at_ns) >= highest_ns ||
	       node_clock_at(c->node, at_ns + look_ns) >= highest_ns ||
	       node_clock_at(c->node, c->stamped_ns) < node_clock_at(c->node, 0);
}

bool excuse_unseen(const struct content *c)
{
	int64_t at_ns;

	return c->node != NULL && c->shared == 0 && c->rotated_ns != INT64_MAX &&
	       !node_lived_through(c->node, c->born_ns, c->rotated_ns, look_ns, &at_ns) &&
	       is_dated_back(c) && is_unnoticed(c);
}
