/* collector: what core.c, session.c and deliver.c share.  Private to the core. */
#ifndef COLLECTOR_COLLECTOR_H
#define COLLECTOR_COLLECTOR_H

#include "collector/commit.h"
#include "collector/core.h"
#include "wire/msg.h"

enum storage { STORAGE_OK, STORAGE_FULL, STORAGE_FAILING };

enum {
	COMMIT_BYTES = 4 * 1024 * 1024,   /* so much waits for no timer */
	STALLED_MAX = 64 * 1024 * 1024,   /* messages kept while the disk is full */
	STALLED_SESSION_MAX = 4 * 1024 * 1024,
	SEND_QUEUE_MAX = 4 * 1024 * 1024, /* to a peer that does not read */
	WELCOME_STREAMS = 256,            /* beyond those that hello names */
	WINDOW_LOG_MAX = 23,              /* of a segment, to open it in 8 MiB */
	LIMIT_HEAD = 1024,                /* a signed head */
};

struct deliver;
struct rows;
struct take;

struct collector {
	struct sys *sys;
	const struct collector_options *options;
	struct catalogue *catalogue;
	bool only_store;
	void (*on_alert)(void *arg, const char *device, struct slice json);
	void *arg;

	struct store store;
	struct commit commit;
	uint64_t commits;           /* started so far */
	struct sys_timer *timer;    /* the next commit or repair */
	bool timer_set;
	struct sys_timer *retry;    /* stalled sessions */
	uint64_t repair_wait_ms;
	enum storage storage;

	struct session *sessions;   /* all, connected */
	size_t n_sessions;
	uint64_t stalled_bytes;
	bool stopping, stopped, logged_all;
	collector_stop_cb stop_cb;
	void *stop_arg;

	struct deliver *deliver;
	struct take *take; /* in a shared store */

	struct rows *rows; /* of the catalogue's next and current work */

	struct {
		uint64_t accepted, fenced, refused, naks, conflicts, acks,
			commits, failed_commits, alerts;
	} count;
};

/* ---- session.c ---- */

enum session_state { SESSION_HELLO, SESSION_OPEN, SESSION_ENDING };

struct session_head {
	struct buf bytes;  /* to be acknowledged; empty: none */
	uint64_t after;    /* the commit that makes it durable */
};

struct session_lane {
	struct segment *segment;  /* NULL: none yet, or being discarded */
	bool discarding;          /* until the next SEGMENT */
	/* The agent sends again what is here: compared, not stored. */
	struct segment_reader *replay;
};

struct session {
	struct collector *c;
	struct session *next, **at; /* in collector.sessions */
	struct link *link;
	struct device *device;      /* once hello was heard */
	struct hash32 key_hash;
	struct slice spki;
	const char *name, *address; /* as long as the link lives */
	enum session_state state;
	uint8_t machine[32];
	uint8_t instance[16];
	struct session_lane lanes[LANE_NR];
	struct buf ack_segments, ack_streams; /* of the ack being made */
	bool ack_due;
	struct session_head heads[LANE_NR];
	struct buf stalled; /* messages that wait for room on the disk: type (1),
			     * length (4), payload */
	bool paused;
};

const struct link_cbs *session_new(struct collector *c, struct link *l,
				   const struct link_peer *peer);
/* Forgets it; does not touch the link. */
void session_free(struct session *s);
/* Tells the peer why and closes the link; what it had is detached. */
void session_end(struct session *s, enum msg_error_code code,
		 uint32_t retry_after_ms, const char *text);
/* Handles again what waits for room.  false: still none. */
bool session_retry(struct session *s);
/* Adds what is durable now to the session's next acknowledgement. */
void session_ack_stream(struct session *s, const struct stream *st);
void session_ack_segment(struct session *s, const struct segment *g);
/* Sends it, and the heads that commit `commits` has made durable. */
void session_send_acks(struct session *s, uint64_t commits);

/* ---- ladder.c ---- */

/* The latest ends of batches of a stream, descending, with H there: of the
 * segments in memory, by reading at most a few MiB of their files. */
int ladder_collect(struct store *s, struct device *d,
		   const struct stream_id *id,
		   struct rung rungs[static LADDER_RUNGS], size_t *n);

/* ---- rows.c: what the catalogue is told ---- */

/* catalogue may be NULL: then nothing is. */
int rows_new(struct rows **out, struct collector *c);
void rows_free(struct rows *r);
/* Something is marked catalogue_dirty: written within a second. */
void rows_kick(struct rows *r);
/* Writes what is left at once, blocking: for a clean stop and for start-up. */
void rows_flush(struct rows *r);
bool rows_busy(const struct rows *r);
/* Whether so many alerts wait that no more are to be given out: they are being written,
 * and deliver_kick() comes then.  Never while the catalogue can't be written: hooks go on. */
bool rows_hold(struct rows *r);
/* Alerts or descriptions that were handed on are not in the catalogue yet, and will be:
 * not if it can't be written. */
bool rows_owe(const struct rows *r);
/* Adds an alert's row to the next work; copied. */
void rows_alert(struct rows *r, const struct catalogue_alert *a);
/* Likewise a stream's description (a->json). */
void rows_opened(struct rows *r, const struct catalogue_alert *a);

/* ---- core.c ---- */

/* Something waits to be synced. */
void collector_wake(struct collector *c);
/* Sessions whose hello waits for a commit, or for a device to be taken over. */
void collector_retry_hellos(struct collector *c);
/* The disk is full: a session waits. */
void collector_full(struct collector *c, int rc);
/* Something about a device that people must know: logged, put into the
 * catalogue, given to on_alert. */
void collector_finding(struct collector *c, struct device *d, const char *rule,
		       const char *title, const char *detail);

#endif
