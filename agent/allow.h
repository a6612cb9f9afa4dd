/* allow: what of the file system the sandbox leaves to the agent.
 *
 * Of watched files as little as landlock can say: a file that is there now and is named
 * by a pattern's last part may be read, as may the folder of a pattern that ends in a
 * wildcard; folders that the patterns lead through may only be listed.  Landlock knows
 * files and not names: one that appears later, or in the place of a named one, is told
 * with what stat gives, without a hash, until the agent starts again.
 */
#ifndef AGENT_ALLOW_H
#define AGENT_ALLOW_H

#include "common/sandbox.h"
#include "config/config.h"

/* own: patterns of watched files beside the configuration's. */
void allow_all(struct sandbox_paths *p, const struct agent_config *config,
	       const char *config_path, const struct strlist *own);

#endif
