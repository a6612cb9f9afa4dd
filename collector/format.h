/* format: what stands in the entries of the store's files, and how the files are
 * called.  docs/store.md.  Pure.
 *
 * Encoders append to a buf: UV_ENOMEM, ERR_TOO_LARGE.  Decoders borrow from the
 * payload, check every length before it is used, and return ERR_MALFORMED or
 * ERR_VERSION.
 */
#ifndef COLLECTOR_FORMAT_H
#define COLLECTOR_FORMAT_H

#include "collector/entry.h"
#include "wire/segment.h"

enum { STORE_VERSION = 1, STORE_ID = 16, FILE_MAGIC = 8, LIMIT_SPKI = 1024 };

/* Each file starts with its magic; the first entry follows. */
extern const char segment_magic[FILE_MAGIC];
extern const char watermark_magic[FILE_MAGIC];

/* ---- ENTRY_FILE: in a segment's file ---- */

struct file_head {
	uint8_t store_id[STORE_ID];
	struct hash32 device;
	uint32_t part;       /* of the segment's files, from 0 */
	int64_t after;       /* its first batch has the index after + 1 ... */
	struct hash32 hash;  /* ... and continues the chain from here */
	int64_t created_ms;
	struct slice name;   /* of the device, as its certificate said then */
	struct slice header; /* the encoded segment header */
};

int file_head_add(struct buf *out, const struct file_head *h);
int file_head_take(struct file_head *h, struct slice payload);

/* ---- ENTRY_BATCH: an envelope, then the batch as it came ---- */

struct envelope_cut {
	uint8_t stream;     /* index in the batch's streams */
	uint64_t take_from; /* raw bytes before it are stored elsewhere */
};

struct envelope {
	uint64_t arrival;    /* counts the store's batches, from 1 */
	uint64_t durable;    /* the last arrival known to be synced then */
	int64_t received_ms; /* the collector's clock */
	size_t n_cuts;       /* streams of which not all was taken */
	struct envelope_cut cuts[LIMIT_BATCH_STREAMS];
};

int envelope_add(struct buf *out, const struct envelope *e);
/* *batch is what stands behind the envelope. */
int envelope_take(struct envelope *e, struct slice *batch,
		  struct slice payload);
/* Where taking begins in the stream with this index and start. */
uint64_t envelope_take_from(const struct envelope *e, size_t stream,
			    uint64_t start);
/* What to do with a record [start, end) of a stream taken from `from` on:
 * whether it is stored here, and *extends: it begins before. */
bool envelope_takes(uint64_t from, uint64_t start, uint64_t end,
		    bool *extends);

/* ---- entries of the watermark log ---- */

struct log_device {
	struct hash32 device;
	struct slice spki;
	struct slice name;
};

struct log_watermark {
	struct hash32 device;
	struct stream_id stream;
	uint64_t position, h;
	uint64_t arrival; /* the last one that it counts */
};

int log_file_add(struct buf *out, const uint8_t store_id[static STORE_ID]);
int log_file_take(uint8_t store_id[static STORE_ID], struct slice payload);
int log_device_add(struct buf *out, const struct log_device *d);
int log_device_take(struct log_device *d, struct slice payload);
int log_watermark_add(struct buf *out, const struct log_watermark *w);
int log_watermark_take(struct log_watermark *w, struct slice payload);

/* ---- names ---- */

enum { HEX32 = 65, SEGMENT_NAME = 96 };

struct segment_name {
	enum lane lane;
	uint64_t number;
	struct segment_id id;
	uint32_t part;
};

void hash32_hex(char out[static HEX32], const struct hash32 *h);
bool hash32_unhex(struct hash32 *out, const char *hex);
/* "file-0000000007-<id>.seg", later parts "file-0000000007-<id>.1.seg". */
void segment_name_format(char out[static SEGMENT_NAME],
			 const struct segment_name *n);
/* false: not such a name. */
bool segment_name_parse(struct segment_name *out, const char *name);
/* By lane, number, id, part. */
int segment_name_compare(const void *a, const void *b);

#endif
