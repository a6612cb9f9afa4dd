/* fuzz_config: any bytes as a configuration, of the agent and of the collector.
 * What is taken must be freed whole, and what is refused must say why. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_errors errs, differ;
	struct collector_config *collector;
	struct agent_config *agent;
	enum config_kind kind;

	if (config_parse_agent("fuzz", slice(data, size), &agent, &errs) == 0) {
		assert(agent->sources.n_files > 0 || agent->sources.read_stdin);
		assert(agent_config_pinned(agent, agent, &differ) == 0);
		assert(agent_config_changed(agent, agent, &differ) == 0);
	} else {
		assert(agent == NULL && errs.n > 0);
	}
	agent_config_free(agent);
	if (config_parse_collector("fuzz", slice(data, size), &collector, &errs) != 0) {
		assert(collector == NULL && errs.n > 0);
	}
	collector_config_free(collector);
	(void)config_guess(slice(data, size), &kind);
	return 0;
}
