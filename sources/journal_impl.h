/* journal_impl: what journal.c (folders, life), journal_state.c (what is remembered),
 * journal_chain.c (reading) and journal_loss.c (what is missing) share; private. */
#ifndef SOURCES_JOURNAL_IMPL_H
#define SOURCES_JOURNAL_IMPL_H

#include "sources/journal.h"
#include "sources/journal_file.h"

enum {
	JOURNAL_REASON = 96,
	JOURNAL_WATCHES = 64,
	JOURNAL_TOLD = 64,
	JOURNAL_CHAINS = 1024,
	JOURNAL_KNOWN = 4096,
	SKIP_RECORD = 4096,   /* entries left out by choice, in one record */
};

/* How many of [from, to) are lost is found out step by step: the numbers are common to
 * all chains of a folder, and those that others have must be counted one by one. */
struct account {
	uint64_t at, end;  /* of [from, to): the part under way, at == end: none */
	uint64_t next;     /* its first number that was not looked for in the file */
	size_t file;       /* of journal.files */
	uint64_t found;    /* of that part, in files */
	uint64_t to;
	uint64_t lost;     /* of the parts before */
	uint64_t steps;    /* entries looked at */
};

struct chain {
	struct chain *next;
	struct journal *journal;
	struct stream stream;
	char *dir;
	char family[JOURNAL_FAMILY];
	uint8_t seqnum_id[16];
	bool placed;       /* where its reading begins is decided */
	bool announced;    /* opened() was called */

	struct journal_reader *reader; /* NULL: no file is open */
	int fd;
	char *path;        /* of that file when it was opened, for people */
	unsigned failures; /* to open one, in a row */
	bool holding;      /* the reader stands at an entry that was not taken */
	uint64_t begun;    /* the file is read from there on, 0: it is damaged ... */
	uint64_t read;     /* ... and gave so many entries */
	int64_t stuck_ns;  /* since when more should be there than can be read; 0 */
	int64_t missing_ns; /* since when files that are not read are gone; 0 */
	uint64_t skip_to;  /* above position: entries up to there are left out by choice */

	int64_t cut_ns;    /* it seemed to end before W then, chain_was_cut() looks again; 0 */
	uint64_t cut_files; /* which files the last look had that can be believed; 0 */
	int64_t doubt_ns;  /* a hole was seen then, and is judged after the next scan; 0 */
	uint64_t hole_to;  /* [position, hole_to) is lost, and is to be told; 0 */
	const char *hole_why;
	bool accounting;   /* and how much of it is not known yet */
	uint64_t passed;   /* above position: nothing of ours is up to there; 0 */
	char hole_reason[JOURNAL_REASON];
	uint64_t noted, noted_at; /* chain_note_missing(): entries counted, up to there */
	char note[JOURNAL_REASON]; /* of a loss without a place, to be told; "" */
};

/* What the collector or the last process knew; until its chain is found. */
struct known_chain {
	struct stream_id id;
	uint64_t acked, h, detect;
};

/* A hole that was told. */
struct told {
	const struct chain *chain;
	uint64_t from, to;
};

struct dir_watch {
	char *dir;
	struct sys_watch *w; /* NULL: none to be had */
};

struct journal {
	struct source source; /* first */
	struct sys *sys;
	const struct journal_calls *calls;
	const struct sources_options *options;
	const struct sources_journal *settings;
	const struct tail_callbacks *cb;
	void *arg;
	unsigned char secret[STREAM_SECRET];
	struct sys_timer *soon, *poll;
	bool started, stopped, scan_wanted;
	bool first_start; /* nothing was restored */
	int64_t scanned_ns;
	struct journal_files files;
	struct chain *chains;
	size_t n_chains;
	struct chain *turn; /* whose turn it is; NULL: the first's */
	/* Who is accounting for a hole; one at a time, so that none is counted twice.
	 * files stays as it is meanwhile. */
	struct chain *accounter;
	struct account account;
	struct stream_state *restored; /* of chains that were not found yet */
	size_t n_restored;
	struct known_chain *known;
	size_t n_known;
	struct dir_watch watches[JOURNAL_WATCHES];
	size_t n_watches;
	struct told told[JOURNAL_TOLD]; /* a ring of the last ones */
	size_t n_told;
	struct buf text;
	uint64_t entries, left_out, gaps, lost, damaged;
	uint64_t told_errors; /* files that can't be read, when that was logged */
};

/* journal_loss.c */
/* Opens the file and a reader on it. */
int journal_open(struct journal *j, const char *path, int *fd,
		 struct journal_reader **out);
/* The open file's name now: it was rotated, maybe. */
const char *chain_file_name(const struct chain *c, const struct journal_header *h);
/* A file of this name that can't be read. */
bool chain_any_damaged(const struct chain *c);
/* [position, to) has no entries in this chain: hole_to is set, and those that are in no
 * other one are lost. */
void chain_set_hole(struct chain *c, uint64_t to, const char *why);
/* Counts on, for a while.  False: there is more to do.  True: hole_reason says what is
 * lost, or nothing is: then hole_to is 0, and what comes next takes [position, to). */
bool chain_account(struct chain *c);
/* The hole is not to be told any more. */
void chain_forget_hole(struct chain *c);
/* Numbers are missing.  The files were looked at before the entry behind the hole was
 * there, maybe: true after the next look, which has every one that is before it. */
bool chain_hole_is_certain(struct chain *c);
/* The file was read to its end.  libsystemd passes over some damage by itself; the header
 * knows how many entries there are.  Where they stood is not known: the gap is an empty
 * range, at the end.  False: there is more to count, call it again. */
bool chain_note_missing(struct chain *c, const struct journal_header *h);

/* Behind the last entry in its files; 0: there is none. */
uint64_t chain_end(const struct chain *c);
/* Its files end before W: journald had not synced what was read of them when the power
 * went, or the disk was put back, and the numbers are or will be given to other entries.
 * 0: they do not.  1: they do, and two whole looks at the folder in a row, begun after
 * that was seen first, say so of the same files.  ERR_AGAIN: it is not known yet, or there
 * are no entries at all. */
int chain_was_cut(struct chain *c);

/* journal_chain.c */
/* Reads some entries; true: there may be more at once. */
bool chain_step(struct chain *c);
/* Closes the file; the position stays. */
void chain_close_file(struct chain *c);
/* Tells of entries left out by choice, and of files that went unread. */
void chain_tick(struct chain *c, int64_t now_ns);
/* After a scan: the chain knows how far its files go. */
void chain_scanned(struct chain *c, int64_t now_ns);
/* Ends the stream for the next stage (closed()); it may begin again. */
void chain_leave(struct chain *c, enum tail_close why);

/* journal_state.c */
/* The stream's path and identity, from dir, family and seqnum_id.  UV_ENOMEM. */
int chain_name(struct chain *c);
/* What was known of the stream is the chain's from now on. */
void chain_recall(struct chain *c);
/* source_ops.restore, .states */
int journal_restore(struct source *source, const struct stream_state *states, size_t n);
int journal_states(struct source *source,
		   int (*add)(void *arg, const struct stream_state *st), void *arg);

/* journal.c */
/* The chain is another stream from now on, that begins at the first entry there is. */
int chain_fork(struct chain *c);

/* Where reading stands. */
static inline uint64_t chain_at(const struct chain *c)
{
	uint64_t at = c->skip_to > c->stream.position ? c->skip_to : c->stream.position;

	return c->passed > at ? c->passed : at;
}

static inline bool chain_has(const struct chain *c, const struct journal_file *f)
{
	return strlen(c->dir) == f->dir_n && memcmp(c->dir, f->path, f->dir_n) == 0 &&
	       strcmp(c->family, f->family) == 0 && f->error == 0 &&
	       memcmp(c->seqnum_id, f->header.seqnum_id, 16) == 0;
}

#endif
