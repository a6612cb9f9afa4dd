/* options: the settings of detectors/.  Plain data: config/ fills it in, owns
 * every string and keeps it alive while the stage runs.
 */
#ifndef DETECTORS_OPTIONS_H
#define DETECTORS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strlist.h"

struct detectors_options {
	bool enabled;
	struct strlist packs;    /* folders of rule files, later ones win */
	char *placeholders;      /* file of what rules' placeholders stand for, or "" */
	struct strlist lists;    /* files of addresses, names and the like (roster.h) */
	struct strlist geoip;    /* databases of places (geo.h) */
	uint64_t refresh_ms;     /* how often to look whether these were replaced */
	struct strlist disabled; /* ids of rules that are left out */
	struct strlist tags;     /* what this device is, for assets */
	uint64_t lateness_ms;    /* how late a line may be and still count */
	uint64_t ahead_ms;       /* a stamp further ahead than this moves nothing */
	uint64_t groups_max;     /* exact counters, all rules together */
	uint64_t first_seen_max; /* values remembered, all rules together */
	uint64_t baselines_max;  /* groups that learn what is usual, all rules together */
};

#endif
