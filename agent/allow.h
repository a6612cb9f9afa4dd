/* allow: what of the file system the sandbox leaves to the agent.
 *
 * Of watched files as little as does: the folders of files that are there now may be
 * read; those that the patterns lead through may only be listed.  A file that appears
 * in another folder later is told with what stat gives, without a hash, until the agent
 * starts again.
 */
#ifndef AGENT_ALLOW_H
#define AGENT_ALLOW_H

#include "common/sandbox.h"
#include "config/config.h"

/* own: patterns of watched files beside the configuration's. */
void allow_all(struct sandbox_paths *p, const struct agent_config *config,
	       const char *config_path, const struct strlist *own);

#endif
