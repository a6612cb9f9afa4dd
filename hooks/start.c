/* Starting the helper, from the daemon's main(). */
#include <stdio.h>

#include "common/err.h"
#include "common/worker.h"
#include "hooks/helper.h"
#include "hooks/protocol.h"

static bool any_exec(const struct hooks_options *options)
{
	for (size_t i = 0; i < options->n_hooks; i++) {
		if (options->hooks[i].type == HOOK_EXEC) {
			return true;
		}
	}
	return false;
}

int helper_table(const struct hooks_options *options, struct buf *out)
{
	return protocol_table_encode(out, "", false, options);
}

int helper_start(const struct hooks_options *options, const char *config,
		 const char *user, bool sandbox, pid_t *pid, int *fd,
		 char why[static HELPER_WHY])
{
	char reason[WORKER_WHY] = "";
	struct buf table;
	int rc;

	*fd = -1;
	*pid = 0;
	why[0] = '\0';
	if (!any_exec(options)) {
		return 0;
	}
	buf_init(&table, PROTOCOL_MESSAGE_MAX);
	rc = protocol_table_encode(&table, user, sandbox, options);
	if (rc == ERR_TOO_LARGE) {
		snprintf(reason, sizeof reason,
			 "the commands are too long: at most %d exec hooks of %d "
			 "arguments, %d bytes together; put them into a script",
			 PROTOCOL_HOOKS, PROTOCOL_ARGS, PROTOCOL_MESSAGE_MAX);
	}
	if (rc == 0) {
		rc = worker_start("--helper", config, buf_slice(&table), pid, fd, reason);
	}
	buf_fini(&table);
	if (rc != 0 && reason[0] != '\0') {
		snprintf(why, HELPER_WHY, "hooks: %.*s", HELPER_WHY - 16, reason);
	} else if (rc != 0) {
		snprintf(why, HELPER_WHY,
			 "hooks: the helper process for exec hooks cannot be started: %s",
			 err_str(rc));
	}
	return rc;
}
