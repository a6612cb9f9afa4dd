/* exported: says on standard error what is damaged in a file of `journalctl -o export`. */
#ifndef CLI_EXPORTED_H
#define CLI_EXPORTED_H

#include "sources/export.h"

struct exported {
	const char *command, *file;
	unsigned told; /* of each place the first few have a line of their own */
};

/* For export_new(); arg is a struct exported. */
void exported_tell(void *arg, enum export_damage what, uint64_t from, uint64_t to);
/* At the end: how many places had none, and what to do. */
void exported_end(const struct exported *e);

#endif
