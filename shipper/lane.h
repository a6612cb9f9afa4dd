/* lane: private to shipper/: one queue's filling batch, its segments, and the one
 * job (seal, spool) that it may have under way.  (There is a queue for each lane and
 * policy, shipper/queue.h; here it is called a lane.)
 *
 *   records --> slots (filling) --close--> job --seal, spool--> segment's batches
 *                                           ^   |
 *                                           '---' failed: into a new segment
 *
 * A segment stays whole in memory, acknowledged batches included, until all of it is
 * acknowledged or spooled: the spool holds only whole segments (delivery.md,
 * rule 13), and so a collector that goes away costs no reading again.
 */
#ifndef SHIPPER_LANE_H
#define SHIPPER_LANE_H

#include "shipper/held.h"
#include "shipper/pace.h"
#include "shipper/shipper.h"
#include "shipper/spool.h"
#include "wire/body.h"

struct lane_state;

/* One batch of a segment: its bytes in memory, or its place in the file. */
struct seg_batch {
	char *bytes; /* NULL: only in the file */
	uint32_t len;
	struct spool_place place;
	struct hash32 hash;
};

/* What a segment holds of one stream. */
struct seg_stream {
	struct stream_id id;
	uint64_t start, end;
	uint64_t h; /* at end */
	uint64_t durable; /* acknowledged up to here (lines that can't be read again) */
	uint64_t held;    /* likewise, by the store before */
	bool open;        /* a loss that may be longer than that */
};

struct seg {
	struct seg *next;
	struct lane_state *lane;
	struct sealer *sealer; /* NULL: closed, or recovered from the spool */
	struct segment_info info;
	char *header; /* encoded */
	size_t header_len;
	uint64_t order;
	struct hash32 hash0; /* the chain's head before batch 0 */

	struct seg_batch *batches;
	uint32_t n, room;
	struct seg_stream *streams;
	size_t n_streams, streams_room;

	struct spool_file file;  /* .path NULL: in memory only */
	uint64_t counted;        /* of its file, in shipper.spool_bytes */
	uint64_t decoded;        /* bytes before compression */
	uint64_t records;
	size_t memory;           /* bytes of its batches in memory */
	int64_t opened_ns, added_ns; /* monotonic */

	bool closed;             /* gets no more batches */
	bool is_gap;             /* holds the gap record of what was dropped */
	bool recovered;          /* from the spool, perhaps without its end */
	bool doubtful;           /* the collector has other or more batches of it */
	bool announced;          /* the collector knows of it in this session */
	int64_t sent;            /* index of the last batch sent in this session, -1 */
	int64_t acked;           /* durable at the collector, -1 */
	int64_t headed;          /* index of the last signed head, -2: none */
	int64_t previous_index;  /* of the lane's segment before it, for heads */
	struct hash32 previous_hash;
};

/* A loss that recovery found in the spool and that a gap record has to tell. */
struct owed_gap {
	struct owed_gap *next;
	uint64_t order;  /* of the file that has lost it */
	struct seg_stream *ranges;
	size_t n;
	const char *reason; /* a constant string */
	bool open_end;
	char *path; /* of a file of which nothing is whole; else NULL */
};

/* One stream's part of the filling batch. */
struct slot {
	struct stream_id id;
	bool used;
	struct body_section section;
};

enum job_kind { JOB_SEAL, JOB_SPOOL };

/* What a lane has under way on another thread. */
struct job {
	struct sys_work work;
	enum job_kind kind;
	bool busy;       /* submitted, not yet done */
	bool pending;    /* a batch is in body/head and not yet in a segment */
	bool is_gap;     /* and it is the gap that is owed before lane->gap_before */
	bool is_owed;    /* or rather lane->owed */
	struct seg *seg;
	/* The batch's body: of each stream its section's head, up to heads[i] in
	 * body, and then its text.  A gap has all of it in body. */
	struct buf body, out;
	size_t heads[LIMIT_BATCH_STREAMS];
	struct buf texts[LIMIT_BATCH_STREAMS];
	size_t n_texts;
	struct batch_head head;
	struct spool_place place;
	bool to_file;
	int rc;
};

/* What a stream lost and still owes as a gap record. */
struct lost {
	struct stream_id id;
	uint64_t start, end, count; /* count 0: of unknown lines */
	const char *reason; /* a constant string */
};
enum { LOST_STREAMS = 16 };

struct lane_state {
	struct shipper *sh;
	enum queue queue;
	enum lane lane; /* the queue's */
	struct slot slots[LIMIT_BATCH_STREAMS];
	size_t n_slots;         /* slots in use, the first so many */
	size_t last_slot;
	size_t filling;         /* bytes in them */
	struct sys_timer *delay, *retry;
	bool delay_armed;
	bool pause_awaited;   /* the batch is large enough to go at a pause */
	size_t filled_before; /* at the last look */
	int64_t due_ns;       /* monotonic: goes without a pause */
	bool wanted;            /* somebody was told to wait */
	unsigned refused;       /* times in a row, not for want of room */

	struct seg *first, *last; /* oldest to newest; the newest may be open */
	struct seg *gap_before;   /* a gap is owed in front of this one ... */
	struct seg_stream gap;    /* ... over this range */
	bool drop_gapped;         /* and then that segment goes: the whole of it */
	const char *gap_reason;   /* a constant string */
	struct owed_gap *owed;    /* in order; the first is told next */
	bool damaged;             /* the spool has lost some of it, nobody knows what */
	bool close_wanted;        /* the open segment ends after the job */
	struct seg *abandon;      /* to be given up from here on, after the job */
	bool has_nak;
	struct msg_stream nak;    /* and why */
	struct lost lost[LOST_STREAMS];
	size_t n_lost;
	struct job job;
	unsigned failures; /* of jobs, in a row; then only on_retry() starts one */

	uint64_t last_number;
	uint64_t records, dropped; /* added; given up and told as a gap, ever */
	int64_t closed_index;      /* of the last closed segment, for heads; -1 */
	struct hash32 closed_hash;
};

struct shipper {
	struct sys *sys;
	struct net *net;
	const struct shipper_options *options;
	const struct shipper_cbs *cbs;
	void *arg;
	struct hash32 device;
	uint8_t instance[16], boot[16], machine[32];
	const char *software;

	struct lane_state lanes[QUEUE_NR];
	size_t memory;          /* sealed bytes in memory, all lanes */
	uint64_t spool_bytes;
	bool spooling;          /* the collector is away: all lanes to the spool */
	bool held;              /* shipper_hold() */

	/* Learned from the collector, saved over restarts. */
	size_t n_keys;
	struct seal_key keys[LIMIT_RECIPIENTS];
	/* Ids of keys that the same store gave before, the latest first: it opens what is
	 * sealed to them still. */
	uint8_t former[LIMIT_RECIPIENTS][8];
	size_t n_former;
	bool has_store;
	uint8_t store_id[16];
	uint8_t window_log;
	uint32_t segment_decoded_max;
	struct buf acked_head;  /* encoded, as the collector gave it back */
	struct held elsewhere;  /* what the store before has */
	struct pace pace;

	struct client *client;
	struct sys_timer *tick;

	bool stopping;
	void (*stop_cb)(void *arg);
	void *stop_arg;
	int64_t stop_deadline_ns;

	uint64_t raw_bytes, wire_bytes, batches, acks, gaps, spool_losses;
	int64_t acked_ns; /* wall clock at the last acknowledgement, 0: none yet */
};

/* ---- seg.c: a lane's queue of segments ---- */

/* A new segment at the queue's end; its header comes with its first batch. */
struct seg *seg_begin(struct lane_state *ln);
/* Likewise, in front of `after` (NULL: at the end). */
struct seg *seg_begin_before(struct lane_state *ln, struct seg *after,
			     uint64_t order);
int seg_set_header(struct seg *s, struct slice header);
/* Adds the batch that the job has sealed. */
int seg_take_batch(struct seg *s, const struct job *job);
int seg_adopt_batch(struct seg *s, struct spool_place place,
		    const struct batch_head *head);
/* Takes a recovered segment into the queue's end; NULL without memory. */
struct seg *lane_adopt(struct lane_state *ln, const struct spool_found *found);
/* The store has what an ack says of a stream; it may be one of the segments'. */
void lane_note_durable(struct lane_state *ln, const struct msg_stream *w);
/* From now on that is what the store before has, and segments that it has whole go:
 * they are sealed for it. */
void lane_note_held(struct lane_state *ln);
/* Removes it from the queue, from memory and from the disk. */
void lane_drop_seg(struct lane_state *ln, struct seg *seg);
/* Frees all of them; files stay. */
void seg_free_all(struct lane_state *ln);
struct seg *lane_find(struct lane_state *ln, const struct segment_id *id);
/* The chain's head after batch `index` (-1: before the first). */
const struct hash32 *seg_hash(const struct seg *s, int64_t index);
/* The bytes of a batch, from memory or read into scratch. */
int seg_bytes(struct seg *s, uint32_t index, struct buf *scratch,
	      struct slice *out);

/* ---- lane_job.c ---- */

/* Starts what waits: the pending batch, or the gap that is owed.  No job is under
 * way. */
void lane_submit(struct lane_state *ln);
/* After a failure; a timer's callback. */
void lane_retry(void *arg);
/* Starts to write the oldest segment that is only in memory to the spool, when
 * the lane is idle and there is room. */
void lane_spool_next(struct lane_state *ln);

/* ---- lane_lost.c ---- */

enum { LANE_RECORD_OVERHEAD = 32 }; /* the most that a record's table entry takes */

/* What the stream owes; NULL: nothing. */
struct lost *lane_find_lost(struct lane_state *ln, const struct stream_id *id);
/* The spool is full and the policy is to give up what comes in now. */
bool lane_gives_up(struct lane_state *ln, const struct stream_id *id);
/* Counted, and owed as a gap record. */
void lane_give_up(struct lane_state *ln, const struct record *r);
/* Adds the gap record that the slot's stream owes, before its next record at `next`. */
int lane_add_lost(struct lane_state *ln, struct slot *s, uint64_t next);
/* Likewise, and the one over what another store holds. */
int lane_add_gaps(struct lane_state *ln, struct slot *s,
		  const struct record *next);
/* Lines that can't be read again were given up, and nobody was told yet. */
bool lane_owes_lost(const struct lane_state *ln);

/* ---- lane_owed.c ---- */

/* Takes note of it; the segments of the file are adopted already.  UV_ENOMEM. */
int lane_owe(struct lane_state *ln, const struct spool_loss *loss);
/* After all of the spool is known. */
void lane_clip_owed(struct lane_state *ln);
/* The segment's file is still needed to tell a loss. */
bool lane_owes(const struct lane_state *ln, const struct seg *seg);
/* The first batch's worth of the first owed gap is sealed. */
void lane_owed_done(struct lane_state *ln, bool in_file);
void owed_free(struct owed_gap *o);
/* A gap is owed somewhere, and there is a key to seal it with. */
static inline bool lane_has_gap(const struct lane_state *ln)
{
	return ln->gap_before != NULL ||
	       (ln->owed != NULL && ln->sh->n_keys > 0);
}
/* Something has to be told before the segment. */
static inline bool lane_waits(const struct lane_state *ln, const struct seg *s)
{
	return s == ln->gap_before || s == ln->abandon ||
	       (ln->owed != NULL && s->order > ln->owed->order &&
		ln->failures == 0);
}

/* ---- lane_rewind.c ---- */

/* Gives up the segment and everything behind it in the lane: the records will be
 * added again (cbs->rewind()), those of the refused stream (nak, NULL for none) from
 * its watermark. */
void lane_abandon_from(struct lane_state *ln, struct seg *seg,
		       const struct msg_stream *nak);
/* The lowest position of the stream that the lane holds; UINT64_MAX: none. */
uint64_t lane_lowest(const struct lane_state *ln, const struct stream_id *id);

/* ---- lane.c ---- */

/* What was given up is reported as soon as there is room, not only when the
 * stream has another line. */
void lane_report_lost(struct lane_state *ln);
/* What a job has sealed goes; large buffers of all streams but the first are given
 * back. */
void lane_shrink_texts(struct job *job);
/* The filling batch is thrown away. */
void lane_empty_slots(struct lane_state *ln);

int lane_init(struct lane_state *ln, struct shipper *sh, enum queue queue);
/* Frees memory; touches no file. */
void lane_fini(struct lane_state *ln);
int lane_reserve(struct lane_state *ln, const struct stream_id *id, size_t n);
int lane_add(struct lane_state *ln, const struct record *r, bool with_time);
/* Hands the filling batch to a job.  ERR_AGAIN: a job is under way, or there is no
 * room; 0 also when nothing was filling. */
int lane_close_batch(struct lane_state *ln);
/* No more batches for the open segment, if there is one.  No job is under way, or
 * one that has just failed. */
void lane_close_segment(struct lane_state *ln);
/* Likewise, after the job if there is one. */
void lane_renew_segment(struct lane_state *ln);
/* Lets the segment go if all of it is acknowledged and nobody needs it. */
void lane_drop_delivered(struct lane_state *ln, struct seg *seg);
/* A job reads or writes the lane's segments on another thread. */
static inline bool lane_busy(const struct lane_state *ln)
{
	return ln->job.busy;
}
/* The time has come to look: close old or silent segments, spool, free. */
void lane_tick(struct lane_state *ln, int64_t now_ns);
/* Everything is sealed, nothing under way. */
bool lane_settled(const struct lane_state *ln);
/* Nothing is left that the collector has not acknowledged. */
bool lane_delivered(const struct lane_state *ln);
/* Every segment that is not acknowledged is on disk. */
bool lane_spooled(const struct lane_state *ln);
/* Lines that can't be read again go to the disk before anything else. */
bool lane_goes_to_file(const struct lane_state *ln);
/* n more bytes of this lane may go to the spool. */
bool lane_fits_spool(const struct lane_state *ln, uint64_t n);
/* Batches up to index are durable; hash must agree with ours (ERR_CONFLICT). */
int lane_acked(struct lane_state *ln, struct seg *seg, int64_t index,
	       const struct hash32 *hash);
/* A segment with one gap record over the range will stand in front of seg
 * before anything else of the lane is sealed. */
void lane_gap_before(struct lane_state *ln, struct seg *seg,
		     const struct seg_stream *range, const char *reason);
/* A segment with gap records over all that seg holds takes its place. */
void lane_replace(struct lane_state *ln, struct seg *seg, const char *reason);

/* ---- client.c ---- */

int client_new(struct client **out, struct shipper *sh);
void client_free(struct client *c);
void client_start(struct client *c);
/* A segment gets no more batches, or will never be finished: its signed head. */
void client_closed(struct client *c, struct seg *s);
void client_abandoned(struct client *c, struct seg *s);
/* The segment's memory is about to go. */
void client_forget(struct client *c, const struct seg *s);
/* Something may be sent. */
void client_pump(struct client *c);
void client_tick(struct client *c, int64_t now_ns);
/* Says good-bye and closes. */
void client_stop(struct client *c);
bool client_is_stopped(const struct client *c);
bool client_is_welcome(const struct client *c);
void client_status(struct client *c, struct json *j);
/* Ends the session in good order and dials anew, with whatever identity the net has
 * by then. */
void client_renew(struct client *c);
/* As shipper_collectors(). */
void client_reload(struct client *c, const struct hostlist *before);

/* ---- shipper.c ---- */

void shipper_room_now(struct shipper *sh);
void shipper_check_stop(struct shipper *sh);

#endif
