#include "agent/workers.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "config/config.h"
#include "hooks/helper.h"
#include "sources/runner.h"

static int load(const char *path, struct agent_config **out, char why[static WORKER_WHY])
{
	struct config_errors *errs = calloc(1, sizeof *errs);
	int rc = errs == NULL ? UV_ENOMEM : config_load_agent(path, out, errs);

	if (errs != NULL && rc != 0 && errs->n > 0) {
		snprintf(why, WORKER_WHY, "%s", errs->text[0]);
	}
	free(errs);
	return rc;
}

int workers_hooks(const char *path, struct buf *out, char why[static WORKER_WHY])
{
	struct agent_config *c = NULL;
	int rc = load(path, &c, why);

	rc = rc != 0 ? rc : helper_table(&c->hooks, out);
	agent_config_free(c);
	return rc;
}

int workers_commands(const char *path, struct buf *out, char why[static WORKER_WHY])
{
	struct agent_config *c = NULL;
	int rc = load(path, &c, why);

	rc = rc != 0 ? rc : runner_table(&c->sources, out);
	agent_config_free(c);
	return rc;
}
