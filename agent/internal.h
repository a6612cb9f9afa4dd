/* agent/internal.h: what the files of the agent share: agent.c (its life), shipping.c
 * (what the shipper asks), save.c (what is written for the next start).
 *
 * Threads  The loop thread only, but for the one that writes a save. */
#ifndef AGENT_INTERNAL_H
#define AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/open.h"
#include "agent/raised.h"
#include "agent/refresh.h"
#include "agent/unproved.h"
#include "common/sys.h"
#include "wire/local.h"

enum { STATE_MAX = 16 * 1024 * 1024 }; /* of the shipper's part and a source's */
static const int64_t second = INT64_C(1000000000);

/* One save at a time, on a worker thread. */
struct save {
	struct sys_work work;
	bool busy;
	bool streams, detect; /* what is being written */
	struct buf streams_bytes, detect_bytes;
	/* Of a source, until it is written. */
	const char *source_name;
	struct buf source_bytes;
	int rc;
};

struct agent {
	struct sys *sys;
	const struct agent_config *config;
	struct net *net;
	int (*sign)(void *arg, const struct head *h, struct buf *out);
	void (*dialing)(void *arg);
	void *arg;
	struct device_secret secret;
	unsigned char stream_secret[STREAM_HASH_SECRET];

	struct pipeline *pipeline;
	struct refresh *refresh;
	struct tail *tail;
	uv_loop_t *loop;
	struct input *input; /* standard input; NULL: not read */
	struct open_sources open; /* the others */
	struct shipper *shipper;
	struct tail_callbacks tail_cbs;

	struct stream_state *restored; /* until reading begins */
	size_t n_restored;
	const char *config_path; /* or NULL */
	struct raised raised; /* streams read on behind the spool */
	struct unproved unproved;
	bool met; /* a collector has welcomed this process ... */
	int64_t proving_ns; /* ... then: from then on `unproved` is held against files */
	/* When the device's secret was made, if an earlier process made it and no table of
	 * streams is there all the same; else 0. */
	int64_t table_lost_ns;
	int64_t begun_ns; /* when the secret was made, by an earlier process; 0: by this one */
	bool reading;
	struct sys_timer *tick, *start_wait, *save_wait;

	struct save save;
	bool streams_dirty;
	/* A stream began that no saved table names yet: until then nothing of it is
	 * sent (shipper_hold()). */
	bool unnamed;
	bool holding;
	bool hold_given_up; /* until a save succeeds */
	int64_t held_ns; /* since when */
	unsigned unsaved; /* saves that failed, in a row */
	uint64_t acked_bytes; /* since the last save */
	uint64_t saved_lines;
	int64_t started_ns, detect_saved_ns;
	uint64_t idle_lines; /* handed on when that last changed ... */
	int64_t idle_ns;     /* ... at this monotonic time */

	bool stopping, final_saved;
	void (*stop_cb)(void *arg);
	void *stop_arg;
};

/* ---- agent.c ---- */

/* Once: with all that is known, or after START_WAIT_MS without a collector. */
void agent_begin_reading(struct agent *a);
void agent_finish_stop(struct agent *a);

/* ---- shipping.c ---- */

extern const struct shipper_cbs agent_shipper_callbacks;
/* What was known of a stream, to whoever may have it.  UV_ENOMEM. */
int agent_restore_stream(struct agent *a, const struct stream_state *st);
/* D of a stream as it was saved; otherwise, where nobody waits for detectors. */
uint64_t agent_detected(const struct agent *a, const struct stream_id *id, uint64_t otherwise);
/* Streams whose files are not what the collector has of them begin anew. */
void agent_fork_disproved(struct agent *a);
/* Before reading begins a watermark says where. */
void agent_take_watermark(struct agent *a, const struct msg_stream *w);

/* ---- save.c ---- */

/* Writes the stream table, with detect the detectors' state as well, and what
 * agent_take_source_state() took, on a worker.  Not while a->save.busy.  The error of
 * the attempt is logged. */
int agent_save(struct agent *a, bool detect);
/* Whether a source has something to save; it is written by the next agent_save(). */
bool agent_take_source_state(struct agent *a, bool last);
bool agent_may_save_detect(const struct agent *a);
bool agent_detect_save_due(const struct agent *a, int64_t now_ns);
/* A stream began that no table on disk names: nothing is sent until one does. */
void agent_hold_until_named(struct agent *a);
/* Nothing is sent while a stream waits for its name or for its proof. */
void agent_hold(struct agent *a);
/* Files that are not at hand are still waited for. */
bool agent_may_prove(const struct agent *a);
void agent_release_if_named(struct agent *a);

#endif
