/* scan_priv: what scan.c and scan_aside.c share. */
#ifndef COLLECTOR_SCAN_PRIV_H
#define COLLECTOR_SCAN_PRIV_H

#include "collector/scan.h"

/* One stream of one stored batch. */
struct scan_item {
	uint64_t arrival;
	uint64_t offset; /* of the entry in its file */
	uint64_t next;   /* where it ends */
	uint32_t found;  /* index in scan.found */
	uint32_t part;
	struct stream_id stream;
	uint64_t from, end, h;
};

struct scan_found {
	struct segment *segment;
	int trouble;       /* 0: whole */
	uint32_t part;     /* of the last entry, or the trouble */
	uint64_t offset;   /* of the trouble */
	bool last_part;    /* and so the file may be cut there */
	bool cut;
};

struct scan {
	struct store *store;
	struct catalogue *catalogue;
	struct scan_report *report;
	bool trust;
	struct device *device; /* that is being read */
	char dir[STORE_PATH];
	struct scan_item *items;
	size_t n_items, room_items;
	struct scan_found *found;
	size_t n_found;
	uint64_t committed; /* the last arrival that was surely synced */
};

/* scan_aside.c */

/* Cuts a file of sc->dir to what is whole, the rest set aside under this suffix; what can't be
 * cut is left, and its segment goes on in another file (store_segment_load()).  what: for
 * the log. */
void scan_set_aside(struct scan *sc, const char *path, uint64_t offset,
		    const char *suffix, const char *what);
/* Of a segment that could not be read to its end: an unfinished end is cut, damage is set
 * aside with what follows it.  Afterwards name->part is the last that counts. */
void scan_resolve(struct scan *sc, struct scan_found *f,
		  struct segment_name *name);

#endif
