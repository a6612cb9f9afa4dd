/* options: the settings of redact/.  Plain data: config/ fills it in, owns every
 * string and keeps it alive while the stage runs.
 */
#ifndef REDACT_OPTIONS_H
#define REDACT_OPTIONS_H

#include <stdbool.h>

#include "common/strlist.h"

struct redact_options {
	bool enabled;          /* false: nothing is masked, and the daemon says so */
	struct strlist off;    /* names of rules that are not used */
	struct strlist keys;   /* more names whose values are masked: "door_pin" */
	struct strlist tokens; /* more beginnings of tokens: "acme_" */
	struct strlist except; /* exact values that are no secrets */
	struct strlist pseudonyms; /* fields whose names are replaced: "user.name" */
	char *pseudonym_key;   /* 32 hex digits; NULL or empty: the device's own */
};

#endif
