/* store_import: `nightjar store import`. */
#ifndef CLI_STORE_IMPORT_H
#define CLI_STORE_IMPORT_H

#include <stddef.h>

/* config NULL: the default.  Exit status. */
int store_import(const char *config, char *const *paths, size_t n);

#endif
