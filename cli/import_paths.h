/* import_paths: which spool files the words behind `nightjar store import` mean. */
#ifndef CLI_IMPORT_PATHS_H
#define CLI_IMPORT_PATHS_H

#include <stdio.h>

#include "cli/spool.h"

struct import_path {
	char *dir, *base; /* base NULL: all that the folder has */
	bool found;
};

/* Zeroed before import_paths_choose(), which fills it also where it fails. */
struct import_paths {
	struct import_path *paths;
	size_t n_paths;
	struct spool_entries *folders; /* each is read once */
	size_t n_folders;
	const struct spool_entry **v; /* the files that were chosen */
	size_t n;
	size_t missing; /* files and folders of which nobody knows all that is in them */
};

/* The files of paths[0, n), which are files or folders of them.  Whatever can't be read is
 * complained of on err, with its remedy, and counted as missing; user: who reads.
 * UV_ENOMEM. */
int import_paths_choose(struct import_paths *c, struct sys *sys, char *const *paths, size_t n,
			const char *user, FILE *err);
void import_paths_fini(struct import_paths *c);

#endif
