/* workers: what the processes that run programs (hooks/helper.h, sources/runner.h) find in
 * the configuration when they are asked to take up another; they run this same program.
 */
#ifndef AGENT_WORKERS_H
#define AGENT_WORKERS_H

#include "common/worker.h"

/* For struct worker_config. */
int workers_hooks(const char *path, struct buf *out, char why[static WORKER_WHY]);
int workers_commands(const char *path, struct buf *out, char why[static WORKER_WHY]);

#endif
