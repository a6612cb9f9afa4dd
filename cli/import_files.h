/* import_files: segments that were carried by hand, from a spool's export into a store. */
#ifndef CLI_IMPORT_FILES_H
#define CLI_IMPORT_FILES_H

#include <stdio.h>
#include <uv.h>

#include "cli/spool.h"
#include "collector/core.h"

struct import {
	struct sys *sys;           /* for the files that are imported */
	uv_loop_t *loop;
	struct collector *collector; /* whose sys runs on the loop; only_store */
	struct identity *us;       /* whose authority is believed */
	FILE *out, *err;           /* what became of each file, and what is wrong with it */
};

struct import_totals {
	size_t files, whole; /* of them wholly in the store now */
	uint64_t batches;    /* which are there now */
};

/* Takes these, told apart by device and in the order of their names.  UV_ENOMEM. */
int import_entries(const struct import *im, const struct spool_entry **v, size_t n,
		   struct import_totals *totals);

#endif
