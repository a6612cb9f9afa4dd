/* reload: a changed configuration takes effect in a running agent.
 *
 *   load        the new one is read and checked as a whole beside the old
 *   prepare     what is new is made beside the old: hooks and commands, judged by the
 *               processes that run them; sockets, opened; redaction, rules and alerts,
 *               which take over what the old ones knew
 *   exchange    the options that can change (config/table.c says which), in place
 *   take        nothing of this can fail: hooks, commands, sockets, watched files,
 *               collectors and log files
 *
 * What fails before the last step changes nothing, and why is told.  Every connection,
 * stream and position stays.
 *
 * Threads   the loop thread only.
 * Blocking  reads the configuration and the rules: some ten milliseconds; waits for the
 *           answers of the two processes, 5 s each at most.
 */
#ifndef AGENT_RELOAD_H
#define AGENT_RELOAD_H

#include "agent/agent.h"
#include "common/sandbox.h"
#include "hooks/hooks.h"

struct reload {
	const char *path;             /* of the configuration */
	struct agent_config *config;  /* the one in use */
	struct agent *agent;
	struct hooks *hooks;
	const struct sandbox_paths *allowed; /* NULL: no sandbox */
};

/* Answers as JSON and in the log (config_answer()).  UV_ENOMEM: nothing was changed and
 * nothing said.  Any other error: nothing was changed. */
int reload_agent(const struct reload *r, struct json *j);

#endif
