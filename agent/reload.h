/* reload: a changed configuration takes effect in a running agent.
 *
 * The new one is read and checked as a whole beside the old; what can't be used changes
 * nothing, and why is told with file, line and column.  Then the options that can change
 * are exchanged in place (config/table.c says which), redaction, rules and alerts are made
 * anew and take over what the old ones knew, and files are looked for by the new globs.
 * Every connection, stream and position stays.
 *
 * Threads   the loop thread only.
 * Blocking  reads the configuration and the rules: some ten milliseconds.
 */
#ifndef AGENT_RELOAD_H
#define AGENT_RELOAD_H

#include "agent/agent.h"
#include "common/sandbox.h"

struct reload {
	const char *path;             /* of the configuration */
	struct agent_config *config;  /* the one in use */
	struct agent *agent;
	const struct sandbox_paths *allowed; /* NULL: no sandbox */
};

/* Answers as JSON: {"ok", "errors": [...], "restart": [...], "notes": [...]}, and says the
 * same in the log.  UV_ENOMEM: nothing was changed.  ERR_CONFIG: nor was it then. */
int reload_agent(const struct reload *r, struct json *j);

#endif
