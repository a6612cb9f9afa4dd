/* opened: stored segments opened with the store's keys, batch by batch, and the
 * records in them as far as they were taken.  What the output, `nightjar search`
 * and `nightjar store verify` read through.
 *
 * Blocks on the disk and costs about 1 ms a MiB.  Any thread, one at a time for
 * each object.
 */
#ifndef COLLECTOR_OPENED_H
#define COLLECTOR_OPENED_H

#include "collector/segment_reader.h"
#include "parsers/parser.h"
#include "wire/body.h"

struct opened {
	struct segment_reader reader;
	struct opener *opener;
	struct buf body;         /* of the current batch */
	struct buf line;         /* of the current record */
	struct segment_entry e;  /* the current entry */
};

/* Opens the segment called name (part: its last file) in dir.  The segment_reader's
 * errors; ERR_NOT_OURS (sealed to other keys) and ERR_AUTH.  On an error nothing is
 * left open. */
int opened_open(struct opened *o, struct sys *sys, const char *dir,
		const struct segment_name *name,
		const struct seal_secret *secrets, size_t n_secrets);
void opened_close(struct opened *o);
/* 1: o->e is the next entry, and if it is a batch o->body its records; 0: the end;
 * segment_reader_next()'s errors, ERR_AUTH (forged), ERR_COMPRESS (authentic and does
 * not decode). */
int opened_next(struct opened *o);

/* The records of the current batch. */
struct records {
	struct opened *o; /* kept */
	struct body_reader body;
	bool all; /* also those that are stored elsewhere */
	uint64_t skipped;
};

void records_init(struct records *r, struct opened *o);
/* 1: *out is the next one that is taken here, RECORD_EXTENDS set where it begins
 * before; 0: no more; negative: body_next()'s. */
int records_next(struct records *r, struct record *out);

/* Parsers, one for each stream that was seen lately: what a line means may depend
 * on those before it, and on the zone of the device's clock, which a stream's
 * first record tells. */
enum { PARSERS_MAX = 64 };

struct zone;

struct parser_slot {
	struct hash32 device;
	struct stream_id stream;
	struct parser *parser;
	uint64_t used;
};

struct stream_zone {
	struct hash32 device;
	struct stream_id stream;
	size_t zone;  /* index in zones; SIZE_MAX: UTC */
	char *sender; /* its path, when its senders are to be proved; NULL */
};

struct parsers {
	struct parser_slot v[PARSERS_MAX];
	uint64_t use;
	struct stream_zone *streams;
	size_t n_streams, room_streams;
	struct {
		char rule[64];
		struct zone *zone;
	} zones[32]; /* more than there are in a fleet; others read as UTC */
	size_t n_zones;
};

/* Zeroed is ready. */
void parsers_fini(struct parsers *p);
/* Fills in header and event of a record that came from the store; its explicit
 * time, when it has one, stays.  UV_ENOMEM: they are empty.  The slices live
 * until the next call. */
int parsers_read(struct parsers *p, const struct hash32 *device,
		 struct record *r);
/* What a stream's opening record (JSON text) says of its zone, for a reader that
 * has not begun with it.  UV_ENOMEM. */
int parsers_opened(struct parsers *p, const struct hash32 *device,
		   const struct stream_id *stream, struct slice json);

#endif
