/* commit: makes durable, in groups, what the store has appended, in the order
 * that docs/wire.md promises: data, then directories, then the watermark log, and
 * only then W_durable moves.
 *
 *   IDLE --commit_start()--> SYNCING --all synced--> IDLE      on_done(0)
 *                               |
 *                               '--anything failed--> FAILED   on_done(error)
 *   FAILED --commit_repair()--> RELOGGING --synced--> REPAIRING --synced--> IDLE
 *               ^                   |                     |      on_done(0)
 *               |                   '------failed--> FAILED      on_done(error)
 *               '-------- after a while, into yet other files -----'
 *
 * A sync that failed is never tried again: the kernel may have dropped the pages
 * and forgotten it.  Everything since the last good commit is taken back.  The watermark
 * log is replaced by a new one: what failed may have been the sync of the old one, which
 * claims all of that.  Only then are the files closed, and each segment goes on in a new
 * one whose head says behind which batch.
 *
 * In a store that several collectors share (share.h) the work looks, after the data is
 * synced and before the log is written, and once more after the log, whether each device
 * that the commit says something about is still ours.  If one is not, nothing of this
 * commit counts: its device.lost is set, all the rest waits for the next commit, and on_done
 * gets ERR_FENCED in state IDLE; the owner then gives the lost ones to store_lose_device().
 *
 * on_done must not call commit_start() or commit_repair(): a timer does.
 *
 * Threads   The loop thread; the syncs run in one sys_work.
 */
#ifndef COLLECTOR_COMMIT_H
#define COLLECTOR_COMMIT_H

#include "collector/store.h"

enum commit_state { COMMIT_IDLE, COMMIT_SYNCING, COMMIT_FAILED,
		    COMMIT_RELOGGING, COMMIT_REPAIRING };

struct commit_stream {
	struct device *device;
	struct stream_id id;
	uint64_t w, h;
};

struct commit_file {
	int fd; /* -1: nothing to sync */
};

struct commit {
	struct store *store; /* kept */
	void (*on_done)(void *arg, int rc);
	void *arg;
	enum commit_state state;
	struct sys_work work;

	/* What is being made durable; after on_done(0), and until it returns, what
	 * has become so. */
	struct commit_stream *streams;
	size_t n_streams;
	struct segment **segments;
	size_t n_segments;
	struct device **due; /* shared: those to look after; until on_done returns */
	size_t n_due;
	uint64_t arrival;

	/* The work's own. */
	struct commit_file *files; /* of the segments, in their order */
	char (*dirs)[STORE_PATH];
	size_t n_dirs;
	struct buf log;            /* to append, or the whole new one */
	bool replace_log;
	int log_fd;
	uint64_t log_offset;
	bool log_written;
	bool *gone;                /* of due */
	int rc;
	uint64_t log_requeue;      /* bytes of store.log_pending in `log` */
};

void commit_init(struct commit *c, struct store *s,
		 void (*on_done)(void *arg, int rc), void *arg);
/* Frees memory only; no work may be under way. */
void commit_fini(struct commit *c);

/* Something waits to be made durable. */
bool commit_needed(const struct commit *c);
/* In state IDLE: starts to make durable all that was appended until now.  on_done
 * follows, also when this fails to start. */
void commit_start(struct commit *c);
/* In state FAILED, after the sessions were dropped: opens new files and syncs
 * them.  on_done follows. */
void commit_repair(struct commit *c);
/* Takes back in memory whatever is not durable: called by the owner in on_done
 * with an error, before anything else is stored.  Every device that had more is
 * given to dropped(). */
void commit_take_back(struct commit *c,
		      void (*dropped)(void *arg, struct device *d), void *arg);
/* Appends the whole watermark log, as it would be written anew, to out. */
int commit_log_snapshot(const struct store *s, struct buf *out);

#endif
