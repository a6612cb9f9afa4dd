/* change: another configuration for a running agent, in two steps: what can fail, and what
 * can't.  reload.c says what comes between.
 *
 * Threads   the loop thread only.
 */
#ifndef AGENT_CHANGE_H
#define AGENT_CHANGE_H

#include "agent/agent.h"

struct agent_change; /* prepared, not taken yet */

/* Makes what is new beside the old: asks the process that runs commands, opens sockets.
 * next is borrowed for the call.  What waits for a restart is noted in answer->notes; on an
 * error nothing has changed, *out is NULL and answer->errs says why: ERR_CONFIG, UV_*. */
int agent_change_prepare(struct agent_change **out, struct agent *a,
			 const struct agent_config *next, struct config_answer *answer);
/* The agent's configuration has changed under its address, and agent_reload() went well.
 * before: the collectors that there were, borrowed.  c is freed; answer->taken gets what
 * has become of commands, sockets and collectors. */
void agent_change_take(struct agent_change *c, const struct hostlist *before,
		       struct config_answer *answer);
/* Or not.  NULL allowed. */
void agent_change_drop(struct agent_change *c);

#endif
