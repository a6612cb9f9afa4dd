/* tail: follows files by glob and hands their bytes on, each once.
 *
 * Files appear, grow, are renamed, copied and truncated, deleted, replaced; the
 * tail finds out which stream (sources/stream.h) the bytes in front of it belong
 * to, and reads each stream from where it stands.  The rules are in
 * delivery.md; in short: while a file is open its descriptor is its
 * identity; otherwise content proves it, and nothing that is not proven to be
 * equal is left out.
 *
 * Knows files, names and hashes.  Must not know what a line means, nor who
 * takes the bytes.
 *
 * Threads   the loop thread only.  Every callback comes from the loop, none
 *           from inside a call of this header except where said.  A callback
 *           may call tail_watermark(), tail_detected(), tail_resume(),
 *           tail_verify(), tail_states() and tail_stats(), nothing else.
 * Blocking  reads, at most about 1 MiB a loop turn; opening and listing.
 * Memory    one read buffer (max(256 KiB, line_max) and a little), about 3 KiB
 *           for each open file, 1.3 KiB for each remembered stream
 *           (STREAM_TABLE_MAX at most).
 * Errors    of files are logged once with a remedy and tried again at the next
 *           poll; they never end the tail.
 */
#ifndef SOURCES_TAIL_H
#define SOURCES_TAIL_H

#include "common/sys.h"
#include "sources/options.h"
#include "sources/stream.h"

struct tail;

enum tail_chunk_flag {
	/* The last bytes have no newline and none is expected: take them too
	 * (lines_next() with final). */
	TAIL_FINAL = 1 << 0,
};

enum tail_close {
	TAIL_ROTATED,   /* renamed or deleted, and read to its end */
	TAIL_TRUNCATED, /* cut or rewritten in place */
	TAIL_EVICTED,   /* too many open files; opened again when it grows */
	TAIL_FORKED,    /* tail_fork() was called */
	TAIL_CUT_OFF,   /* more had come that nothing took, and that could not be told */
};

struct tail_callbacks {
	/* A stream begins, or goes on after a restart or an eviction (then
	 * s->st.acked or s->position is not 0).  s->st.fork: it may repeat lines
	 * of another (first time only: s->position == s->st.start).  A stream
	 * whose st.start is not 0 and whose W is 0 begins there: the collector
	 * needs a gap record for [0, start). */
	void (*opened)(void *arg, struct stream *s);
	/* data: the bytes at s->position, borrowed for the call, such that
	 * lines_next(&s->lines, ...) takes all of them.  Returns how many were
	 * taken, s->lines having moved with them: fewer than given means that
	 * the next stage is full, and reading this stream stops until tail_resume(). */
	size_t (*chunk)(void *arg, struct stream *s, struct slice data,
			unsigned flags);
	/* No more of s will come for now; s is gone after the call.  Its state
	 * stays in the table. */
	void (*closed)(void *arg, struct stream *s, enum tail_close why);
	/* [from, ?) of a stream is lost, or was not found yet: to be shipped as
	 * an open-ended gap.  Told once; the stream may yet be opened and go on.
	 * reason: a constant string. */
	void (*gap)(void *arg, const struct stream_state *st, uint64_t from,
		    const char *reason);
	/* The answer to tail_verify(): 1 equal, 0 not, ERR_AGAIN: ask again, other
	 * negative ones: can't be read, or is not the stream's any more. */
	void (*verified)(void *arg, const struct stream_id *id,
			 uint64_t position, int answer);
	/* The rest is not the tail's, but of sources whose positions count entries
	 * (sources/source.h).  One entry: [line->start, line->end) of s, where its
	 * last record ended, with its text; h: H at its end.  ERR_AGAIN or
	 * UV_ENOMEM: not now, offer it again; s->position is the source's to move. */
	int (*entry)(void *arg, struct stream *s, const struct line *line,
		     uint64_t h);
	/* [from, to) of s, where its last record ended, is lost: a gap record (from ==
	 * to: where, is not known).  reason: for people, nothing secret in it.
	 * ERR_AGAIN or UV_ENOMEM: not now, ask again. */
	int (*lost)(void *arg, struct stream *s, uint64_t from, uint64_t to,
		    struct slice reason);
	/* A bound was met, and not all that is configured is read or watched: told
	 * (and logged) once, and again when it happens again.  subject: the folder or the
	 * pattern; detail: for people, nothing secret in it. */
	void (*blind)(void *arg, struct slice subject, struct slice detail);
};

/* options is kept and must outlive the tail; secret (STREAM_SECRET bytes) is
 * copied.  UV_ENOMEM, UV_EINVAL (a glob that is not absolute or too long), or a timer's. */
int tail_new(struct tail **out, struct sys *sys,
	     const struct sources_options *options,
	     const unsigned char secret[static STREAM_SECRET],
	     const struct tail_callbacks *cb, void *arg);

/* What was known when the last process stopped: from the checkpoint, and from
 * the collector (then without path and inode).  Before tail_start().  Copied.
 * Of two states with the same id the one with the larger W is kept, with the
 * place (path, inode) of the one that has it.  UV_ENOMEM. */
int tail_restore(struct tail *t, const struct stream_state *states, size_t n);

/* What was remembered is lost.  The rotated siblings of every name are looked through
 * for what was written since then: for the rest of streams that only the collector
 * knows, and for files that it does not know.  Before tail_start(). */
void tail_look_back(struct tail *t, int64_t since_ns);

/* When somebody first looked at logs for this state (wall clock).  Where the clock was
 * set back while nobody looked, what is older is not taken for new.  Before
 * tail_start(). */
void tail_begun(struct tail *t, int64_t begun_ns);

/* No collector has said what it has, though an earlier process may have met one: a file
 * that is there at the start and not known may repeat that.  The machine may have been
 * put back to a backup, with a table that is older than what was sent.  Before
 * tail_start(). */
void tail_alone(struct tail *t);

/* Begins to look and to read, from the loop.  Without any restored state, this
 * is the first start ever: `from: end` applies.  0, or a timer's error. */
int tail_start(struct tail *t);

/* The stream's bytes below position need not be read again (acknowledged, or
 * spooled); h = H(position).  ERR_ABOVE when position was not handed on yet,
 * UV_ENOENT for a stream that is not known. */
int tail_watermark(struct tail *t, const struct stream_id *id,
		   uint64_t position, uint64_t h);
/* D: what the detectors have seen, so that the table tells it.  UV_ENOENT. */
int tail_detected(struct tail *t, const struct stream_id *id,
		  uint64_t position);

/* There is room again downstream: every stream that was stopped goes on. */
void tail_resume(struct tail *t);

/* Everything handed on above W has been lost downstream: read again from
 * min(W, D).  Unless it stands there, s is closed (TAIL_EVICTED, from
 * inside this call) and opened again once the file was proved anew.  UV_ENOENT: not open now. */
int tail_rewind(struct tail *t, const struct stream_id *id);
/* Likewise for every open stream. */
void tail_rewind_all(struct tail *t);
/* The collector holds only [0, position) of the stream, whatever it had
 * acknowledged: W goes back to there, or to the highest place below it of which H is
 * known, and it is read again from min(W, D).  h: H(position) as the collector has
 * it, to be proved by the file; NULL: not known.  A stream without an open file is
 * looked for again.  UV_ENOENT: not known, or it can't go back so far. */
int tail_rollback(struct tail *t, const struct stream_id *id,
		  uint64_t position, const uint64_t *h);

/* The collector's idea of [0, position) of this stream is not ours (its hash
 * differs): closes it (TAIL_FORKED, from inside this call) and reads the file again from `from`
 * (<= position, the highest place where both agree) as a new stream
 * flagged fork.  One that is not open now is read from 0 when its file is found.
 * UV_ENOENT: not known. */
int tail_fork(struct tail *t, const struct stream_id *id, uint64_t from);

/* Asks whether H(position) == h, by the stream's file as it is; verified() will answer,
 * from the loop: a file that is shorter is not equal.  One that is closed is opened for
 * it, if it is at hand and has what was read of it here.  ERR_AGAIN: its file may yet be
 * found and opened; UV_ENOENT: it is not at hand; ERR_LIMIT: too many questions. */
int tail_verify(struct tail *t, const struct stream_id *id, uint64_t position,
		uint64_t h);

/* The states of all streams, open and remembered, as of now: a malloc'd array for
 * stream_states_free().  At most STREAM_TABLE_MAX: the finished ones that were
 * not seen for longest are left out first.  UV_ENOMEM. */
int tail_states(struct tail *t, struct stream_state **out, size_t *n);

/* options->files has changed: from now on these are read.  Streams of files that no
 * entry names any more are closed (TAIL_EVICTED, from inside this call), and read on
 * should they be named again; the others go on where they are. */
void tail_reload(struct tail *t);

struct tail_stats {
	uint64_t open, remembered, bytes, lagging_bytes, gaps, forks, errors;
	uint64_t searching; /* streams and names whose files are being looked for */
};
void tail_stats(const struct tail *t, struct tail_stats *out);

/* Nothing more is read or called back; tail_states() still works. */
void tail_stop(struct tail *t);
/* Closes and frees; no callback, no other I/O: as if the process was killed.
 * NULL allowed. */
void tail_free(struct tail *t);

#endif
