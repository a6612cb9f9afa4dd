/* shipper: records become sealed batches, survive, and travel.
 *
 * Records go into a queue (shipper/queue.h): that of their lane (wire/segment.h) and of
 * the policy that says what goes when the spool is full.  A queue gathers them into
 * batches, seals each batch into its current segment, keeps the bytes until the
 * collector has acknowledged them, and hands whole segments to the spool when
 * the collector is away.  Lanes `alert` and `kept` begin in the spool: their
 * lines can't be read again.
 *
 * Knows wire/ and common/.  Must not know where records come from: what it
 * needs of a stream (its keyed hash at a position, going back to a position) it
 * asks through struct shipper_cbs.
 *
 * Threads   The loop thread only; compression, sealing and syncing run in
 *           sys_work jobs, one at a time for each lane.
 * Memory    Sealed bytes: at most options.memory_max, plus for each lane the
 *           batch that is filling and the one that is being sealed.
 * Promise   What was accepted by shipper_add() is forgotten only once the
 *           collector has acknowledged it, or a policy dropped it and a gap
 *           record says so.  Callbacks never run from inside a call of theirs.
 */
#ifndef SHIPPER_SHIPPER_H
#define SHIPPER_SHIPPER_H

#include "common/json.h"
#include "common/record.h"
#include "common/sys.h"
#include "shipper/options.h"
#include "shipper/queue.h"
#include "wire/head.h"
#include "wire/link.h"
#include "wire/msg.h"
#include "wire/segment.h"

struct shipper;

struct shipper_cbs {
	/* H of the stream's raw bytes [0, position); position is the end of the
	 * last record that was added for it.  Called from shipper_add(),
	 * shipper_flush() and timers. */
	uint64_t (*hash_at)(void *arg, const struct stream_id *id,
			    uint64_t position);
	/* The collector holds this stream up to w->durable for good. */
	void (*acked)(void *arg, const struct msg_stream *w);
	/* The collector's answer to our hello: its watermarks, as an encoded list
	 * (msg_streams_next()), borrowed.  Once for each connection. */
	void (*welcome)(void *arg, struct slice streams);
	/* Records from w->received on have to be added again (the collector has
	 * less than we thought, or they can't be sent as they are).  proved:
	 * w->h_received is H there as the collector told it; otherwise it is
	 * unknown.  0: they will be; otherwise they are gone. */
	int (*rewind)(void *arg, const struct msg_stream *w, bool proved);
	/* Streams to name in a hello: append them with msg_add_stream(). */
	int (*list_streams)(void *arg, struct buf *list);
	/* After shipper_add() said ERR_AGAIN: there is room. */
	void (*room)(void *arg);
	/* Signs a head with the device's key, as head_sign() does. */
	int (*sign)(void *arg, const struct head *h, struct buf *out);
	/* The collector keeps another store than the one before, which holds what was
	 * acknowledged: streams have to say again what they are.  Before welcome().
	 * NULL: nobody cares. */
	void (*moved)(void *arg);
	/* A connection is about to be made.  NULL: nobody cares. */
	void (*dialing)(void *arg);
	/* Something that must survive a restart changed (keys, heads, number):
	 * save shipper_save() when convenient. */
	void (*changed)(void *arg);
};

struct shipper_params {
	struct sys *sys;                       /* kept */
	struct net *net;                       /* kept */
	const struct shipper_options *options; /* kept */
	const struct shipper_cbs *cbs;         /* kept */
	void *arg;
	struct hash32 device;  /* hash of the device's public key */
	uint8_t instance[16];  /* random, of this process */
	uint8_t boot[16];      /* the kernel's boot id, or zeros */
	uint8_t machine[32];   /* hash of the machine id, or zeros */
	const char *software;  /* "nightjar-agent 0.1.0"; kept */
	struct slice saved;    /* what shipper_save() wrote, or empty */
};

/* Opens the spool and recovers what is in it: damaged parts are named in the log
 * and set aside, never an error.  Blocks.  Saved state that can't be used is left
 * out, with a warning.  UV_ENOMEM, and
 * errors of making the spool's folder. */
int shipper_new(struct shipper **out, const struct shipper_params *params);

/* Frees the memory and nothing else: no file is touched, nothing is sent.  After
 * shipper_stop()'s callback, or as a simulated crash; jobs under way must have
 * ended or never end.  NULL allowed. */
void shipper_free(struct shipper *s);

/* Starts to connect. */
void shipper_start(struct shipper *s);

/* Where the spool stands: for each stream the end of its last spooled batch
 * (received) and H there, called before shipper_new()'s caller decides where to read. */
void shipper_spool_ends(const struct shipper *s,
			void (*cb)(void *arg, const struct msg_stream *end),
			void *arg);

/* The lowest position of the stream that is still held here (spooled, sealed or
 * filling); UINT64_MAX when nothing of it is. */
uint64_t shipper_lowest(const struct shipper *s, const struct stream_id *id);
/* While a welcome is passed on: the collector has shown, by its hash, a segment of ours
 * that leads the stream up to `position`.  So what it has of the stream are our bytes. */
bool shipper_is_proved(const struct shipper *s, const struct stream_id *id,
		       uint64_t position);
/* A stream turned out not to be what the collector has under its name: what of it is
 * held here, and can be read again, is given up, with all behind it. */
void shipper_abandon(struct shipper *s, const struct stream_id *id);
/* Nothing of the queue is filling or under way: all of it is sealed (and, but for
 * lane `file`, on disk). */
bool shipper_settled(const struct shipper *s, enum queue queue);

/* Adds a record; a stream stays in one queue.  r->start must be where the stream's
 * last record ended.  The record is copied.  with_time as in wire/body.h.
 *   0           accepted
 *   ERR_AGAIN   no room: keep it, cbs->room() will be called
 *   UV_ENOMEM   likewise
 *   UV_EINVAL   a line with a newline in it, or longer than a batch; likewise, and an error
 *               is logged: it should not have come so far */
int shipper_add(struct shipper *s, enum queue queue, const struct record *r,
		bool with_time);

/* Makes sure that the next record of the stream, with a line of at most n bytes,
 * will be accepted: asked before the work on a line begins.  Same errors. */
int shipper_reserve(struct shipper *s, enum queue queue,
		    const struct stream_id *id, size_t n);

/* Closes the lane's filling batch now instead of at its delay. */
void shipper_flush(struct shipper *s, enum queue queue);

/* Nothing of lane `file` is sent from now on, or all of it is again: a
 * stream that only the collector knows, after a crash, can't be told from another
 * that begins alike.  Reading and sealing go on. */
void shipper_hold(struct shipper *s, bool held);

/* A clean stop: seals what is filling, sends it and waits up to wait_ms for the
 * acknowledgement; what is not acknowledged then goes to the spool.  cb runs
 * once, last, with no job under way; it may call shipper_free().  A second call
 * does nothing. */
void shipper_stop(struct shipper *s, uint64_t wait_ms, void (*cb)(void *arg),
		  void *arg);

/* What must be known at the next start: sealing keys, store id, numbers, the last
 * acknowledged heads.  Appends to out. */
int shipper_save(const struct shipper *s, struct buf *out);

bool shipper_connected(const struct shipper *s);
/* options->collectors has changed under its address; before: what it was, borrowed for the
 * call; neither is empty.  A session with a collector that is still named goes on, another
 * ends as for a renewed certificate, and the first of the new ones is dialled. */
void shipper_collectors(struct shipper *s, const struct hostlist *before);
/* The device's certificate was renewed: connects anew, without losing anything. */
void shipper_renew(struct shipper *s);
/* Members for `nightjar status`. */
void shipper_status(struct shipper *s, struct json *j);

#endif
