/* sqlite: the catalogue (catalogue.h) in an SQLite database in the store's
 * folder.  docs/store.md has the schema.
 *
 * WAL, synchronous=NORMAL: a power cut may lose the last transactions and never
 * the database; whatever is lost is read from the files at the next start.
 */
#ifndef COLLECTOR_SQLITE_H
#define COLLECTOR_SQLITE_H

#include "collector/catalogue.h"

/* Opens dir/catalogue.db, makes it if it is not there; one that is damaged or of
 * another version is set aside as catalogue.db.damaged and made anew.  Blocks.
 * ERR_DATABASE; why: 512 bytes. */
int sqlite_catalogue_open(struct catalogue **out, const char *dir,
			  char why[static 512]);
void sqlite_catalogue_close(struct catalogue *c);

/* ---- reading, for the command line: beside a running collector ---- */

struct sqlite_reader;

/* ERR_DATABASE: there is none, or it can't be read: scan the files. */
int sqlite_reader_open(struct sqlite_reader **out, const char *dir);
void sqlite_reader_close(struct sqlite_reader *r);
/* Each device; cb's non-zero result ends it and is returned. */
int sqlite_reader_devices(struct sqlite_reader *r,
			  int (*cb)(void *arg, const struct hash32 *device,
				    const char *name, int64_t seen_ms),
			  void *arg);
/* What the catalogue knows of a segment: 1, or 0. */
int sqlite_reader_segment(struct sqlite_reader *r,
			  const struct hash32 *device,
			  const struct segment_id *id,
			  struct catalogue_segment *out);
/* The opening record of each stream of a device. */
int sqlite_reader_opened(struct sqlite_reader *r, const struct hash32 *device,
			 int (*cb)(void *arg, const struct stream_id *stream,
				   struct slice json),
			 void *arg);
/* Alerts between two times (ms), oldest first; device NULL: of all. */
int sqlite_reader_alerts(struct sqlite_reader *r, const struct hash32 *device,
			 int64_t since_ms, int64_t until_ms,
			 int (*cb)(void *arg,
				   const struct catalogue_alert *a),
			 void *arg);

#endif
