/* store_dir: which store a subcommand is about. */
#ifndef CLI_STORE_DIR_H
#define CLI_STORE_DIR_H

#include "collector/store.h"

/* Opens the store for reading: dir when given, else the store of the collector's
 * configuration `config`, else that of the default one.  0, or the exit status
 * after a complaint in the command's name. */
int store_dir_open(struct store *out, const char *command, const char *dir,
		   const char *config);

/* Every device that has a folder in the store, by name: d has id, hex and the name
 * that its newest segment tells.  cb's non-zero result ends it and is returned.
 * UV_E*, UV_ENOMEM. */
int store_dir_devices(struct store *s,
		      int (*cb)(void *arg, const struct device *d), void *arg);

#endif
