/* reload: a changed configuration takes effect in a running collector.
 *
 * The new one is checked as a whole beside the old, the certificate with it; hooks are made
 * beside the old ones.  What fails changes nothing, and why is told.  Then the options that
 * can change (config/table.c says which) are exchanged in place.  Devices stay connected.
 *
 * Threads   the loop thread only.
 * Blocking  reads files; waits for the helper's answer, 5 s at most.
 */
#ifndef COLLECTOR_RELOAD_H
#define COLLECTOR_RELOAD_H

#include "common/sandbox.h"
#include "common/worker.h"
#include "config/config.h"
#include "hooks/hooks.h"
#include "wire/identity.h"
#include "wire/net_tls.h"

struct collector_reload {
	const char *path;                    /* of the configuration */
	struct collector_config *config;     /* the one in use */
	struct hooks *hooks;
	struct net_tls *net;
	struct net_tls_listener *listener;
	struct identity **identity;          /* in use; replaced */
	const struct sandbox_paths *allowed; /* NULL: no sandbox */
};

/* Answers as JSON and in the log (config_answer()).  UV_ENOMEM: nothing was changed and
 * nothing said.  Any other error: nothing was changed. */
int collector_reload(const struct collector_reload *r, struct json *j);

/* What the listener is to hold its peers to. */
struct net_tls_limits collector_limits(const struct collector_options *o);

/* For struct worker_config: what the helper finds in the file. */
int collector_hooks_table(const char *path, struct buf *out, char why[static WORKER_WHY]);

#endif
