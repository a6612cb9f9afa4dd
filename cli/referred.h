/* referred: lists and databases for the commands that judge lines.  Internal to cli/. */
#ifndef CLI_REFERRED_H
#define CLI_REFERRED_H

#include "detectors/options.h"
#include "detectors/refer.h"

/* Those of the options, read; what is wrong with one is said on standard error, by the name
 * of the command, and the others are there.  *wrong: that something was.  UV_ENOMEM. */
int referred_open(struct refer **out, const char *command, const struct detectors_options *o,
		  const uint8_t key[static 16], bool *wrong);

#endif
