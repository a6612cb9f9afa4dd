/* spool: what cli/spool.c finds in an agent's spool and what cli/spool_export.c does
 * with it. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "common/sys.h"
#include "shipper/spool.h"

/* One file. */
struct spool_entry {
	char *path;
	uint64_t order;
	enum queue queue;
	bool has_segment; /* a whole header: what follows is known */
	struct segment_info info;
	char *header;
	size_t header_len;
	uint64_t size;
	struct spool_place *batches;
	size_t n_batches;
	uint64_t records;
	int64_t first_ms, last_ms;
	struct spool_range *streams; /* whole */
	size_t n_streams;

	bool lost;        /* something is */
	bool unfinished, open_end;
	uint64_t lost_at;
	struct spool_range *ranges; /* what */
	size_t n_ranges;
};

struct spool_entries {
	struct spool_entry *v;
	size_t n;
};

/* Copies the whole part of every segment into the folder `to`, each as a spool file of
 * its own.  Exit status. */
int spool_export_to(struct sys *sys, const struct spool_entries *l,
		    const char *to);
/* Prints every record that the store's keys open, as JSON lines.  Exit status. */
int spool_export_open(struct sys *sys, const struct spool_entries *l,
		      const char *store);

#endif
