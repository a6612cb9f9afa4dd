/* spool: what `nightjar spool` and `nightjar store import` find in a folder of spool files, and
 * how it is copied for a journey. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "common/sys.h"
#include "shipper/spool.h"
#include "wire/identity.h"

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

/* One that can't be opened, or not to its end: nobody knows what is in it. */
struct spool_unreadable {
	char *path;
	int error; /* UV_E* */
};

struct spool_entries {
	struct spool_entry *v;
	size_t n;
	struct spool_unreadable *unreadable;
	size_t n_unreadable;
};

/* spool_look() or spool_recover(). */
typedef int (*spool_walk)(struct sys *sys, const char *dir,
			  const struct spool_visitor *visitor, void *arg);
/* Their errors; what was found until then is in *l, for spool_entries_fini(). */
int spool_entries_read(struct spool_entries *l, struct sys *sys, const char *dir,
		       spool_walk walk);
void spool_entries_fini(struct spool_entries *l);
/* Its file's, without the folder. */
const char *spool_entry_name(const struct spool_entry *e);
const char *spool_path_name(const char *path);

/* Of a file that was exported, beside it: what its device has signed (wire/voucher.h). */
#define SPOOL_VOUCHER ".voucher"

/* Copies the whole part of every segment into the folder `to`, each as a spool file of
 * its own, with a voucher where it is `device`'s (NULL: without any).  Exit status. */
int spool_export_to(struct sys *sys, const struct spool_entries *l,
		    const char *to, const struct identity *device);
/* Prints every record that the store's keys open, as JSON lines.  Exit status. */
int spool_export_open(struct sys *sys, const struct spool_entries *l,
		      const char *store);

#endif
