/* suggest: the key that was probably meant.  Pure; any thread. */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <stdbool.h>

#include "common/slice.h"
#include "config/table.h"

enum { SUGGEST_TEXT = 64 };
/* Looks for a key or section in `section` ("" is the top) that is spelled
 * almost like `key`, then for an option of that very name elsewhere, which it
 * names in full ("sources.line_max").  false: nothing comes near. */
bool suggest_key(char out[static SUGGEST_TEXT], const struct schema *s,
		 struct slice section, struct slice key);

#endif
