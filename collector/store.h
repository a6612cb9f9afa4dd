/* store: what the collector has of each device: its streams' watermarks and its
 * segments, in memory as far as they are being written, and as files.
 *
 * Appends go to the page cache; nothing here syncs.  commit.h makes durable what
 * was appended, scan.h reads it all back at start-up.  docs/store.md has the
 * layout, and the reasons.
 *
 * Threads   The loop thread.
 * Errors    Named at each function; UV_ENOSPC and UV_EDQUOT of an append leave
 *           everything as it was, so that it can be tried again.
 */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include "collector/catalogue.h"
#include "collector/segment_reader.h"
#include "wire/head.h"

enum {
	DEVICE_STREAMS_MAX = 65536,
	DEVICE_SEGMENTS_KEPT = 64, /* in memory, beside those being written */
	STORE_KEYS_MAX = 16,
	STORE_FILES_MAX = 256,     /* open at one time, but for what is dirty */
	DEVICE_DIRTY_MAX = 64,     /* segments with batches that no sync has seen */
	OWNER_ROOM = 40,           /* a member's name, perhaps with ".taking" */
};

struct session;
struct device;

struct stream {
	struct stream_id id;
	uint64_t received, durable;     /* W */
	uint64_t h_received, h_durable; /* H at those */
	uint64_t touched; /* arrival of the last batch with it */
	uint64_t logged;  /* position given to the watermark log, 0: none */
	bool dirty;       /* in store.dirty_streams */
	bool told;        /* while a welcome is made */
};

/* A segment that is being received, or may go on.  */
struct segment {
	struct device *device;
	struct segment *next;      /* of the device, latest first */
	struct segment_name name;  /* part: the file that is written */
	struct hash32 start_hash;  /* the chain's head after the header */
	struct slice header;       /* our copy, while attached or dirty */
	struct follower *follower; /* while attached to a session */
	struct session *session;   /* that sends it, or NULL */

	int fd;                    /* -1: not open */
	uint64_t bytes, durable_bytes;
	uint64_t first_offset;     /* behind the head of a file that we began; or 0 */
	uint64_t last_offset;      /* of the entry written last */
	int64_t index, durable_index;
	struct hash32 hash, durable_hash;
	bool file_made;            /* its name may not be durable yet */
	bool dirty;                /* in store.dirty_segments */
	bool committing;
	enum {                     /* a sync has failed, and that is not dealt with yet: */
		REPAIR_NONE,
		REPAIR_OLD_FILE,   /* its file is to be given up */
		REPAIR_NEW_FILE,   /* the next one is to be begun, perhaps again */
	} repair;
	bool closed;               /* the device said that no more will come, or
				    * did not name it any more */
	bool ended;                /* a head that closes it may stand in its file */
	bool named;                /* in the hello that is being answered */
	bool catalogue_dirty;
	struct {                   /* what is being synced */
		uint64_t bytes;
		int64_t index;
		struct hash32 hash;
		bool file_made;
	} at;
	/* For the catalogue. */
	int64_t first_ms, last_ms, received_ms;
	uint64_t first_arrival, last_arrival, records;
};

struct signed_head {
	struct head head;
	char *bytes; /* as it was signed; NULL: none */
	size_t n;
};

struct device {
	struct hash32 id;
	char hex[HEX32];
	char name[LIMIT_DEVICE_NAME + 1];
	struct slice spki; /* our copy */
	struct session *session; /* the newest, or NULL */
	struct stream *streams;  /* sorted by id */
	size_t n_streams, room_streams;
	struct segment *segments;
	size_t n_segments;
	uint64_t closed_from; /* while a commit is made: first arrival of a
			       * segment that is complete, 0: none */
	struct signed_head heads[LANE_NR]; /* the latest of each lane */
	/* In a shared store (share.h).  owner: the folder in the device's that has
	 * its files; "": they stand in the device's own. */
	char owner[OWNER_ROOM];
	bool ours;   /* it was ours when we last looked */
	bool lost;   /* a commit saw that it is not any more */
	bool due;    /* in store.due */
	bool taking; /* take.c is about it */
	bool asked;  /* its: a session waits for that */
	int take_rc; /* how that ended, until its session has heard of it */
	unsigned times_lost; /* what was noted before the latest is void */
	uint64_t owed_from, owed_until; /* arrivals that another had stored and may
					 * not have given out; 0, 0: none */
	bool logged;   /* its ENTRY_DEVICE is in the log, or pending */
	bool dir_made; /* its directory is there */
	bool catalogue_dirty;
	int64_t seen_ms;
	int64_t findings_ns; /* monotonic: the minute that n_findings counts */
	unsigned n_findings;
};

struct dirty_stream {
	struct device *device;
	struct stream_id id;
};

struct store {
	struct sys *sys;
	char dir[STORE_PATH];
	char own[STORE_PATH]; /* where this collector's own files are; dir, if the
			       * store is not shared */
	char member[OWNER_ROOM]; /* "": it is not */
	bool only_known; /* what a log says of other devices is passed over */
	uint8_t id[STORE_ID];
	struct seal_secret keys[STORE_KEYS_MAX];
	size_t n_keys;     /* keys[0] is the newest: to seal to */
	bool made;         /* by this start */
	bool has_catalogue; /* what is catalogue_dirty has to be kept */

	struct device **devices; /* hash table, open addressing */
	size_t n_devices, room_devices;
	uint8_t hash_key[16];

	uint64_t arrival, durable_arrival;
	uint64_t given_out; /* segments with later arrivals stay in memory */
	size_t n_open;
	size_t hand;       /* where to look for a file to close next */

	/* What the next commit will make durable. */
	struct dirty_stream *dirty_streams;
	size_t n_dirty_streams, room_dirty_streams;
	struct segment **dirty_segments;
	size_t n_dirty_segments, room_dirty_segments;
	uint64_t dirty_bytes;
	struct device **due; /* shared: devices that it says something about */
	size_t n_due, room_due;
	struct buf log_pending; /* entries for the watermark log: kind (1),
				 * length (4), payload */

	/* The watermark log; commit.c appends. */
	int log_fd;
	uint64_t log_bytes, log_live;

	uint64_t total_bytes, total_records, total_batches; /* this run */
};

/* ---- opening (store_open.c) ---- */

/* Opens or makes the store and loads its keys; the watermarks and segments are
 * read by scan.h.  why: 512 bytes for what, where and what to do. */
int store_open(struct store *s, struct sys *sys, const char *dir,
	       char why[static 512]);
/* Loads id and keys of a store that exists, for reading only. */
int store_open_read(struct store *s, struct sys *sys, const char *dir,
		    char why[static 512]);
/* Frees the memory; closes files only if told to. */
void store_fini(struct store *s, bool close_files);
/* dir/devices/<hex>, and the owner's folder in it. */
void store_device_dir(const struct store *s, const struct device *d,
		      char out[static STORE_PATH]);

/* ---- devices and streams ---- */

struct device *store_find_device(const struct store *s,
				 const struct hash32 *id);
/* Finds or makes it.  NULL: no memory. */
struct device *store_device(struct store *s, const struct hash32 *id);
/* Notes name and key as its certificate has them now; both go to the watermark
 * log.  UV_ENOMEM. */
int store_device_seen(struct store *s, struct device *d, const char *name,
		      struct slice spki);
struct stream *device_find_stream(const struct device *d,
				  const struct stream_id *id);
/* Finds or makes it at 0; pointers to other streams are stale then.  NULL: no
 * memory, or DEVICE_STREAMS_MAX. */
struct stream *device_stream(struct device *d, const struct stream_id *id);

/* Of what other members may not have given out (share.h) something stands in a segment
 * with this last arrival. */
static inline bool device_owes(const struct device *d, uint64_t last_arrival)
{
	return d->owed_from < d->owed_until && last_arrival > d->owed_from;
}

/* ---- segments ---- */

struct segment *device_find_segment(const struct device *d,
				    const struct segment_id *id);
/* A new one in memory, without follower and file.  NULL: no memory. */
struct segment *store_segment_new(struct store *s, struct device *d,
				  const struct segment_name *name);
/* Takes up what a file on disk has (it was dropped from memory).  0, UV_ENOENT,
 * and segment_reader's errors. */
int store_segment_load(struct store *s, struct device *d,
		       const struct segment_name *name,
		       struct segment **out);
/* Its files can't be read and are out of the way from here on (.damaged). */
int store_segment_set_aside(struct store *s, const struct device *d,
			    const struct segment_name *name);
/* Gives the segment a follower at batch `after` by reading its files, and checks
 * that header is the one it began with.  ERR_CONFLICT, ERR_NOT_OURS (we do not have
 * that batch), segment_reader's errors. */
int store_segment_attach(struct store *s, struct segment *g,
			 struct slice header, int64_t after);
/* As many segments of the device wait for a sync, each with its file open, as one
 * device may have. */
bool device_is_crowded(const struct device *d);
/* Drops the follower; what is clean may be forgotten at the next call of
 * store_trim_segments(). */
void store_segment_detach(struct segment *g);
/* Forgets what is clean, detached and old beyond DEVICE_SEGMENTS_KEPT. */
void store_trim_segments(struct store *s, struct device *d);

/* Appends a batch that the segment's follower has peeked, takes what continues
 * each stream, and moves the follower on.  ERR_ABOVE: *above is the stream that
 * would get a hole; nothing was written.  ERR_LIMIT: too many streams.  UV_E* of
 * the write: nothing has changed. */
int store_append(struct store *s, struct segment *g, struct slice batch,
		 const struct batch_head *head, struct stream_id *above);
/* After a failed sync: the segment goes on in another file, behind its last durable
 * batch; this one is cut to that, as far as the disk lets us and it is ours for sure, and
 * closed. */
void store_segment_give_up_file(struct store *s, struct segment *g);
/* Starts that file.  UV_E* of the file calls. */
int store_segment_continue(struct store *s, struct segment *g);
/* Marks what a batch touches as due for an acknowledgement, when all of it was
 * here before. */
int store_touch(struct store *s, struct segment *g,
		const struct batch_head *head);
/* Stores a verified signed head: in its segment's file, or, when there is none,
 * in the watermark log.  g may be NULL.  UV_ENOMEM, UV_E* of the write. */
int store_head(struct store *s, struct device *d, struct segment *g,
	       const struct head *h, struct slice bytes);
/* Keeps it in memory as the lane's latest, if it is later.  UV_ENOMEM. */
int device_set_head(struct device *d, const struct head *h,
		    struct slice bytes);

/* Adds to the watermark log at the next commit.  UV_ENOMEM. */
int store_log(struct store *s, enum entry_kind kind, struct slice payload);
int store_log_watermark(struct store *s, const struct device *d,
			const struct stream *st, uint64_t position,
			uint64_t h);

/* Bookkeeping shared by store.c, scan.c and commit.c.  UV_ENOMEM. */
int store_mark_stream(struct store *s, struct device *d, struct stream *st);
int store_mark_segment(struct store *s, struct segment *g);
/* The next commit has to look whether the device is still ours. */
int store_mark_due(struct store *s, struct device *d);
/* Room for so many more marks, so that as many can't fail. */
int store_reserve_marks(struct store *s, size_t streams, size_t segments,
			size_t due);
/* Takes the watermarks (of one device, or NULL: all) out of what waits for the log. */
void store_forget_watermarks(struct store *s, const struct device *only);
/* Another collector has it: all that is not durable is forgotten, and every segment
 * and head.  No commit may be under way. */
void store_lose_device(struct store *s, struct device *d);
void store_close_file(struct store *s, struct segment *g);
void store_segment_free(struct store *s, struct segment *g);

#endif
