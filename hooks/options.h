/* options: the settings of hooks/.  Plain data: config/ fills it in, owns every
 * string and keeps it alive while the stage runs.
 */
#ifndef HOOKS_OPTIONS_H
#define HOOKS_OPTIONS_H

#include <stdint.h>

#include "common/finding.h"
#include "common/strlist.h"

enum hook_type { HOOK_EXEC, HOOK_FILE, HOOK_STDERR };

struct hook_options {
	char *name; /* unique among the hooks */
	enum hook_type type;
	struct strlist command; /* exec: argv; argv[0] is an absolute path */
	char *path;             /* file: absolute; otherwise "" */
	uint64_t timeout_ms;    /* exec: killed after it */
	uint64_t concurrency;   /* exec: runs at one time */
	enum severity min_severity;
};

struct hooks_options {
	struct hook_options *hooks;
	size_t n_hooks;
};

#endif
