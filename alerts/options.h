/* options: the settings of alerts/.  Plain data: config/ fills it in and keeps it
 * alive while the stage runs.
 */
#ifndef ALERTS_OPTIONS_H
#define ALERTS_OPTIONS_H

#include <stdint.h>

#include "common/finding.h"

struct alerts_options {
	enum severity min_severity; /* findings below it raise no alert */
	uint64_t cooldown_ms;       /* of rules that name none; event time */
	uint64_t evidence_lines;    /* in an alert, LIMIT_EVIDENCE_LINES at most */
	uint64_t tracked_max;       /* alerts whose cooldown is remembered */
};

#endif
