/* options: the settings of redact/.  Plain data: config/ fills it in, owns every
 * string and keeps it alive while the stage runs.
 */
#ifndef REDACT_OPTIONS_H
#define REDACT_OPTIONS_H

#include <stdbool.h>

#include "common/strlist.h"

struct redact_options {
	bool enabled;
	char *mask; /* stands where the secret was; printable ASCII, 1 to 64 bytes */
};

#endif
