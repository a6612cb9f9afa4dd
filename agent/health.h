/* health: what the agent says about itself, as alerts: something that it should watch
 * or run is not there any more.
 *
 * They have rules of their own (docs/alerts.md), made by no pack and switched off by
 * none: an agent is never blind in silence.  The time of such a finding is the clock's,
 * since no line speaks of it.
 *
 * Threads   the loop thread only.
 */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include "agent/pipeline.h"
#include "parsers/share.h"

enum health {
	HEALTH_COMMAND_ENDED, /* a command source ended, and will be started again */
	HEALTH_COMMAND_LOST,  /* it won't be */
	HEALTH_NOT_READ,      /* a configured source can't be read */
	HEALTH_BLIND,         /* a bound was met: not all that is configured is seen */
	HEALTH_NOT_UNDERSTOOD, /* lines of a known program are not understood any more */
	HEALTH_KEY_READABLE, /* everybody may read the key of the pseudonyms */
	HEALTH_REFERENCE, /* a list or database of the rules can't be used */
	HEALTH_NR
};

/* subject: which one; with the rule it is what a cooldown is about.  detail: a line for
 * people, shown as evidence; nothing secret in either. */
void health_tell(struct pipeline *p, struct sys *sys, enum health what,
		 struct slice subject, struct slice detail);
/* HEALTH_KEY_READABLE, if the configuration at path, which holds a key, is so.  NULL or "":
 * there is none. */
void health_key(struct pipeline *p, struct sys *sys, const char *path, const char *key);
/* HEALTH_NOT_UNDERSTOOD; its subject is "PROGRAM in SOURCE". */
void health_fall(struct pipeline *p, struct sys *sys, const struct share_fall *f);

#endif
