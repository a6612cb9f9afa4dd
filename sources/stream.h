/* stream: one incarnation of a source: this very file, not its name.
 *
 * A stream is a random id, a position up to which its bytes were handed on, and
 * H(p): the keyed hash (XXH3, 64 bits, under a secret of the device) of the raw
 * bytes [0, p), by which the file is recognised after a restart.  H is kept at
 * the acknowledged watermark W, at up to 64 earlier watermarks (the ladder, thin
 * in the far past) and, in memory only, at the last places where a read ended.
 *
 * struct stream_state is what is remembered of a stream: it outlives the open
 * file, and a table of them is what the agent writes as its checkpoint.
 *
 * Threads   the loop thread only.  Nothing here blocks or makes a call.
 * Memory    a stream with an open file: about 3 KiB; a remembered one: 1.3 KiB.
 */
#ifndef SOURCES_STREAM_H
#define SOURCES_STREAM_H

#include "common/buf.h"
#include "common/record.h"
#include "common/sys.h"
#include "sources/lines.h"

enum {
	STREAM_RUNGS = 64,
	STREAM_MARKS = 16,
	STREAM_LAST = 64,        /* bytes compared before each read */
	STREAM_SECRET = 192,     /* bytes of the hash secret */
	STREAM_PATH_MAX = 4096,  /* bytes of a path, in the table */
	STREAM_TABLE_MAX = 16384, /* streams in a table */
	STREAM_TABLE_MANY = 1024, /* beyond, fewer rungs of each are written */
	STREAM_RUNGS_FEW = 8,
};

struct XXH3_state_s; /* xxhash's; opaque here */
struct sources_about;

struct stream_rung {
	uint64_t position;
	uint64_t h; /* H(position) */
};

struct stream_state {
	struct stream_id id;
	char *path;           /* owned; where it was last seen; NULL: unknown */
	uint64_t dev, ino;    /* 0, 0: unknown */
	uint64_t start;       /* 0, or where a fork (or reading from the end) began */
	uint64_t acked;       /* W: everything below is acknowledged ... */
	uint64_t h;           /* ... and H(W) */
	struct stream_rung top; /* a place above W that was handed on; 0: none */
	/* Where its first line ends: what begins otherwise is another file, however
	 * short it is.  Many files may begin alike, so it proves nothing else.  0: unknown. */
	struct stream_rung first;
	uint64_t detect;      /* D: the detectors have seen [0, D) */
	uint64_t position;    /* bytes handed on when the state was taken, >= W */
	uint64_t size;        /* of the file when it was last looked at */
	int64_t mtime_ns;     /* likewise */
	int64_t born_ns;      /* wall time when the id was made */
	int64_t seen_ns;      /* wall time when its file was last looked at */
	int64_t away_ns;      /* since then its name is another; 0: it has its name */
	bool finished;        /* rotated away (or truncated) and read to its end */
	bool gap_told;        /* its rest was not found, and that was reported */
	bool fork;            /* may repeat lines of another stream */
	bool unsent;          /* not saved: nobody but us has ever had a byte of it */
	uint32_t n_rungs;
	struct stream_rung rungs[STREAM_RUNGS]; /* ascending, all below W */
};

struct stream {
	struct stream_state st;
	bool has_id;       /* st.id is made with the first complete line */
	uint32_t source;   /* index into sources_options.files, unless about is set */
	const struct sources_about *about; /* not a file's stream: whose; kept */
	bool kept;         /* its lines can't be read again */
	uint64_t position; /* bytes handed on */
	struct lines lines; /* for whoever cuts the chunk; follows position */
	void *user;        /* the pipeline's; untouched here */

	/* Private to sources/. */
	uint64_t hashed;   /* the hash state stands at this position */
	uint64_t hash_at_position; /* H(position) when hashed == position */
	const char *chunk; /* bytes [chunk_base, chunk_base + chunk_n), or NULL */
	uint64_t chunk_base;
	uint64_t chunk_line; /* where the line began that chunk_base is in */
	size_t chunk_n;
	unsigned char last[STREAM_LAST]; /* the bytes before position, veiled */
	size_t n_last;
	/* Of the line that is read, or was read last, if it is longer than they are, the
	 * first bytes, veiled: its last ones may be another line's as well. */
	unsigned char head[STREAM_LAST];
	size_t n_head;
	uint64_t head_at;
	struct stream_rung marks[STREAM_MARKS]; /* a ring of the last read ends */
	uint32_t n_marks;
	struct XXH3_state_s *hash; /* veiled but while a chunk is handed on */
	const unsigned char *secret;
};

/* An id for a stream that ends with its process: nobody reads it on.  A collector tells of
 * it like of any other, so its second half, which needs the secret, says it. */
int stream_id_once(struct sys *sys, const unsigned char secret[static STREAM_SECRET],
		   struct stream_id *out);
bool stream_is_once(const unsigned char secret[static STREAM_SECRET],
		    const struct stream_id *id);

/* Nothing read yet, nothing known.  secret (STREAM_SECRET bytes) must outlive
 * the stream.  UV_ENOMEM. */
int stream_init(struct stream *s, const unsigned char *secret,
		uint32_t line_max);
/* Frees what the stream owns, not s itself. */
void stream_fini(struct stream *s);

/* H(position), for a position inside the chunk being handed on and not below
 * one asked for before; outside the chunk callback, for s->position only.
 * Anything else is a mistake of the caller and stops the program. */
uint64_t stream_hash_at(struct stream *s, uint64_t position);

/* Bytes [position, position + n) are about to be handed on, or were. */
void stream_begin_chunk(struct stream *s, struct slice data);
/* n of them were taken: moves position, hash, marks and last bytes on. */
void stream_end_chunk(struct stream *s, size_t n);

/* Are these n_last bytes the ones before position? */
bool stream_last_is(const struct stream *s, const char *p);
/* Are these n_head bytes the ones at head_at? */
bool stream_head_is(const struct stream *s, const char *p);

/* Starts over at position with a hash state that already covers [0, position);
 * last: the bytes before position (at most STREAM_LAST are kept). */
void stream_resume_at(struct stream *s, uint64_t position,
		      uint64_t line_start, const struct XXH3_state_s *hash,
		      struct slice last);

/* W moves up to position with H = h; the old W becomes a rung.  Lower or equal:
 * nothing happens. */
void stream_state_acked(struct stream_state *st, uint64_t position,
			uint64_t h);

/* W goes back to position, with H = *h, or (h NULL) to the highest rung not above
 * it; not below st.start.  The old W stays as a place by which the file is
 * recognised.  UV_ENOENT: no such place is known. */
int stream_state_lower(struct stream_state *st, uint64_t position,
		       const uint64_t *h);

/* One more rung at a position below W; elsewhere nothing happens. */
void stream_state_add_rung(struct stream_state *st, uint64_t position,
			   uint64_t h);

/* data stands at the beginning of the file: st.first, if that is not known yet. */
void stream_note_first(struct stream *s, struct slice data);
/* Does data begin with it?  True, if it is not known. */
bool stream_first_is(const struct stream *s, struct slice data);

/* st.top moves up to where s stands. */
void stream_note_top(struct stream_state *st, const struct stream *s);

/* A deep copy.  UV_ENOMEM leaves *to empty. */
int stream_state_copy(struct stream_state *to,
		      const struct stream_state *from);
void stream_state_fini(struct stream_state *st);
/* Everything was handed on and acknowledged, and no more is expected. */
static inline bool stream_state_done(const struct stream_state *st)
{
	return st->finished && st->acked >= st->position;
}

static inline bool stream_id_eq(const struct stream_id *a,
				const struct stream_id *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* A table of states as bytes (docs/state.md): appended to out; of very many states not
 * every rung.  UV_ENOMEM,
 * ERR_TOO_LARGE (also for more than STREAM_TABLE_MAX). */
int stream_table_encode(const struct stream_state *states, size_t n,
			struct buf *out);
/* The reverse: *out is a malloc'd array of *n states for stream_states_free().
 * ERR_MALFORMED, ERR_TRUNCATED, ERR_VERSION, ERR_TOO_LARGE, UV_ENOMEM; then
 * *out is NULL. */
int stream_table_decode(struct slice bytes, struct stream_state **out,
			size_t *n);
/* NULL allowed. */
void stream_states_free(struct stream_state *states, size_t n);

#endif
