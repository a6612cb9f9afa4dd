/* tail_impl: what the parts of the tail share; nobody else includes it.
 *
 *   tail.c      the calls of tail.h, timers, and the order of work
 *   scan.c      which files are there: globs, watches, names
 *   files.c     the open files: made, parked, closed
 *   room.c      whose turn it is: descriptors and places, divided among folders
 *   follow.c    one open file: read on, hand on, its end
 *   packed.c    compressed files: looked through once before they count
 *   identify.c  which stream a file belongs to: proofs by content (with candidates.c,
 *               proof.c, outcome.c)
 *   verify.c    whether a stream's file holds what somebody says of it
 *   trouble.c   what is logged of a path once
 *   search.c    rotated files that came and went unseen (rest.c: the rests of streams
 *               whose file is gone; orphans.c: those of a log that is not there)
 *   rollback.c  what is read again, since it is not where it was to go
 *   remember.c  the streams without an open file
 *   forget.c    which of them are given up when there are too many
 *
 * An incarnation of a file goes
 *
 *	 NEW (compressed: UNPACKING, then NEW again)
 *	  |------------------------------> READING ---------> (finished)
 *	  |  bytes, and a stream it may     ^   |
 *	  v  belong to                      |   | rewritten in place,
 *	 PROVING ----> RESUMING ------------'   | tail_fork(), tail_rewind()
 *	  ^  |  a stream's continuation         |
 *	  |  '-------> SKIPPED (a stale copy)   |
 *	  '------------------'------------------'
 *
 * A stream is in one place at a time: file.s (with has_id), file.resume, or
 * tail.known.
 */
#ifndef SOURCES_TAIL_IMPL_H
#define SOURCES_TAIL_IMPL_H

#include "sources/names.h"
#include "sources/prefix.h"
#include "sources/tail.h"
#include "sources/content.h"

enum {
	TAIL_MAX_OPEN = 1024,
	TAIL_MAX_SKIPPED = 16384,      /* remembered so as not to be looked at again ... */
	TAIL_FOLDER_SKIPPED = 4096,    /* ... of one folder */
	TAIL_TURN_MS = 10000,    /* a descriptor is one's own that long */
	TAIL_BLIND_MS = 60000,   /* without one, before it is told */
	TAIL_FOLDERS = 256,      /* chains */
	TAIL_INDEX = 4096,      /* chains in each index */
	TAIL_SPARE_FDS = 16,    /* left to others when descriptors run out */
	TAIL_FEWEST_OPEN = 8,
	TAIL_MAX_WATCHES = 512,
	TAIL_MAX_VERIFY = 64,
	TAIL_ANSWER_MS = 10000, /* files go first that long */
	TAIL_MAX_TROUBLES = 256, /* paths whose error was logged */
	TAIL_STEPS = 4,          /* reads in one loop turn */
	TAIL_SCAN_GAP_MS = 50,   /* between two scans */
	TAIL_SETTLE_POLLS = 2,   /* unchanged polls before a copy is judged */
	TAIL_SETTLE_MAX = 6,     /* polls after which it is judged anyway */
	TAIL_DELETED_POLLS = 5,  /* without growth, before a deleted file is left */
	TAIL_LINGER_MS = 600000, /* a renamed file may still grow that long */
	TAIL_ORPHANS = 32,       /* that wait to be opened ... */
	TAIL_ORPHANS_LOOKED = 256, /* ... and are looked at in one listing */
	TAIL_HALVES = 64,        /* siblings that wait to be whole ... */
	TAIL_HALF_MS = 30000,    /* ... so long */
	TAIL_SEARCHES = 12,      /* for a stream's rest, ever less often */
	TAIL_BACK = 4096,        /* a read begins at most so far before the position */
	TAIL_ASIDE_MS = 600000,  /* a file that holds too much, however it changes */
	TAIL_STRONG = 1024,      /* bytes: see identify.c */
};
/* Two changes of a directory within it may leave the same time. */
#define TAIL_COARSE_NS 2000000000
/* What was not written to for so long may be at its end. */
#define TAIL_QUIET_NS 2000000000
/* A kernel stamps files and folders with a clock that may be a tick behind. */
#define TAIL_TICK_NS 20000000
/* A compressed file that changed since may still be being written. */
#define TAIL_YOUNG_NS 60000000000

enum file_state { FILE_NEW, FILE_UNPACKING, FILE_PROVING, FILE_RESUMING,
		  FILE_READING, FILE_SKIPPED };

/* One that files of the table are in, or could not get in.  Whoever can make files in
 * one has no more than its share, whatever else there is. */
struct folder {
	struct folder *next; /* in a chain of tail.folders */
	uint64_t hash;       /* of its path */
	size_t n_files, n_open;
	uint64_t refused;    /* the number of the scan that found no descriptor for it */
	size_t waiting, waited; /* files without one: in this scan, in the last */
	/* The oldest of its skipped files, while that is known. */
	bool oldest_known;
	int64_t oldest_ns;
	bool told;           /* that not all of its compressed files are looked at */
	bool told_large;     /* that one of them holds too much */
	char path[];
};

struct file {
	struct tail *tail;
	struct folder *folder; /* where it was found */
	enum file_state state;
	char *path;
	char *family; /* a sibling: the configured name it rotated from */
	uint64_t path_hash; /* for watch events */
	uint64_t dev, ino;
	int fd;              /* -1: SKIPPED */
	uint32_t source;     /* index into options.files */
	bool in_glob;        /* found by a glob, not as a sibling */
	bool unseen;         /* a sibling too young to have been seen before */
	bool at_start;       /* was there, not empty, when the tail first started */
	uint64_t end_at;     /* at_start: its size then (a compressed one: any) */
	bool first_seen;     /* was there at this process's first scan */
	bool seen;           /* by the scan under way */
	bool gone;           /* its name is another file's, or nobody's */
	bool fork;           /* the stream it will get may repeat another's lines */
	bool ready;          /* there may be something to do */
	bool full;           /* the next stage is full */
	bool check_name;     /* an event named it */
	bool shrunk;         /* it was cut, and that is not dealt with yet */
	bool paused;         /* an error: wait for the next poll */
	bool waits;          /* NEW until what it may be a copy of was read */
	bool last_in_turn;   /* PROVING: what others hold says what a likeness means */
	uint32_t nlink;
	uint64_t size;       /* of the content, when it was last looked at */
	int64_t mtime_ns;
	/* A compressed file: positions are those of its content, whose size is known
	 * once it was decoded to the end and its trailer found right. */
	enum content_kind packed;
	struct content *content;
	bool unpacked;        /* size is right */
	uint64_t packed_size; /* on disk */
	/* mtime when its name and content were last right (a sibling's: when it
	 * was found): an incarnation that came later is not older. */
	int64_t good_mtime_ns;
	int64_t idle_since_ns; /* monotonic: when it last grew */
	int64_t turn_ns;       /* monotonic: since when it may be read */
	unsigned idle_polls;   /* since it last grew */
	unsigned polls;        /* since it was found */
	/* The first bytes behind s->position, if some were read and not taken: as
	 * long as nothing was handed on, only they show that a file was rewritten. */
	unsigned char peek[STREAM_LAST];
	size_t n_peek;
	uint64_t partial;      /* bytes behind s->position that are no whole line yet */
	struct stream_id copy_of; /* SKIPPED */
	int64_t aside_until_ns;   /* SKIPPED: monotonic; not looked at before */

	/* RESUMING: where to, and what has to hold. */
	uint64_t to;
	uint64_t check_at;
	uint64_t check_h;
	bool unchecked; /* nothing to compare: a fork at the agent's word */
	bool from_end;  /* `to` is yet to be found: the start of the line at end_at */

	struct stream *s;      /* READING; NULL otherwise */
	bool opened;           /* opened() was called for s */
	struct known *resume;  /* RESUMING a stream; NULL: a new one from `to` */
	struct known *reserve; /* with s: so that parking it can't fail */
	struct file *next_by_ino; /* in a chain of tail.files_by_ino */
};

/* Whose share of the table a stream takes up: numbers of forget.c's. */
struct crowd {
	uint16_t pattern, folder;
};

/* A stream without an open file. */
struct known {
	struct stream_state st; /* its inode: known_place() only, while in the table */
	struct known *next_by_ino, *next_by_id; /* chains of the tail's indexes */
	struct crowd crowd;
	uint64_t seen_scan; /* the number of the last scan that saw its file */
	uint32_t rank;      /* known_sort(): its place among its likes */
	uint32_t source;
	/* Its reader in this process had come to st.position and nothing above W is
	 * lost: it goes on there. */
	bool live;
	uint64_t h_position; /* live: H(st.position) */
	bool ours;           /* this process has read it */
	bool beyond;         /* the collector has more of it than the saved table knew */
	bool ahead;          /* ... knew to be stored */
	struct stream_rung told; /* beyond: how far that table knew it to be stored */
	bool news;           /* the saved table did not know of it at all */
	bool cut;            /* ... until its file was cut or rewritten */
	struct stream_rung marks[STREAM_MARKS];
	uint32_t n_marks;
	bool present;   /* the last scan saw its file */
	int64_t good_mtime_ns; /* as a file's */
	unsigned searches;
	unsigned unsettled;  /* rounds that found nothing while its folder changed */
	unsigned wait_polls; /* before the next search */
	bool searching;      /* siblings are looked into for it ... */
	bool replaced;       /* blank, and its file got a new stream */
	/* The file that was found to begin with all of it, and whether there was
	 * another one: then it is a beginning that files share. */
	uint64_t alike_dev, alike_ino;
	bool shared;
	bool search_failed;  /* ... but not all of them */
	bool unread_copy;    /* one is compressed, and can't be read */
};

/* A place of a stream where H is known, to be compared with a file's. */
struct point {
	uint64_t position;
	uint64_t h;
	uint32_t candidate;
	bool first;  /* the end of its first line: tells apart, proves nothing */
	bool beyond; /* the file's end, and the first line's lies behind it */
};

struct candidate {
	struct stream_id id;
	bool open;       /* another file's; else in tail.known */
	bool same_inode;
	bool matched;
	bool alike;      /* its first line is the file's */
	bool disproved;  /* at some place the file holds something else: what is
			  * said of places above it is void */
	uint64_t best;   /* the highest position that matched */
	uint64_t best_h;
};

/* The one prefix that is being hashed. */
struct job {
	struct file *file; /* NULL: no job */
	bool verify;       /* the job is tail.verify[0], else file's state says;
			    * file: NULL if that is closed */
	bool asked;        /* the last one taken up was an overdue question */
	struct prefix prefix;
	struct prefix snapshot; /* at the last match, or at file->to */
	bool has_snapshot;
	struct point *points; /* ascending */
	size_t n_points, next_point;
	struct candidate *candidates;
	size_t n_candidates;
	uint64_t target;
};

struct question {
	struct stream_id id;
	uint64_t position, h;
	int64_t asked_ns;       /* monotonic */
	bool shorter;           /* the file is: it needs no hash */
	bool differs;           /* at position */
	int fd;                 /* of a file that is not open otherwise; -1 */
	struct stream_rung own; /* with it: that has to be right as well */
};

struct watch {
	struct tail *tail;
	struct sys_watch *w; /* NULL: no watch to be had */
	bool polled;         /* none is wanted: it would tell too little */
	char *dir;
	uint64_t dev, ino;
	int64_t mtime_ns; /* when its entries were last looked at; 0: never, or recent */
	bool seen;
};

/* Incarnations of a name may have come and gone unseen. */
struct look {
	char *path;
	uint64_t path_hash;
	bool found; /* a listing showed something of it: it is gone into alone */
	int64_t since_ns; /* they were written (mtime) since then */
	bool wait;        /* it failed: at the next poll again */
	unsigned unsettled; /* times that the folder changed meanwhile */
};

/* A rotated file without a file of the name that is read. */
struct orphan {
	char *path, *family;
};

/* A sibling that is not judged while it seems to be a copy in the making. */
struct half {
	uint64_t dev, ino;
	int64_t since_ns, last_ns; /* monotonic */
};

struct trouble {
	uint64_t path_hash;
	int code;
};

struct tail {
	struct sys *sys;
	const struct sources_options *options;
	struct tail_callbacks cb;
	void *arg;
	uint32_t line_max;
	uint64_t poll_ms, timeout_ms;
	size_t max_open;
	bool started, stopped;
	bool first_start; /* nothing was restored */
	bool table_lost;  /* though there was something */
	bool alone;       /* tail_alone() */
	bool scanned;     /* once at least */
	bool scan_wanted;
	bool scan_failed; /* a directory could not be listed */
	bool starved;     /* the last scan found no room for a file */
	bool dry;         /* ... since the system has no descriptors left */
	uint64_t n_scans;
	int64_t starved_since_ns; /* monotonic; 0: there was room for all */
	bool blind_told;
	struct folder *folders[TAIL_FOLDERS];
	size_t n_skipped, max_skipped, folder_skipped;
	int64_t last_scan_ns;
	int64_t clock_wall_ns, clock_mono_ns; /* at the last scan, or tail_new() */
	/* The wall clock was set back, to this time or later, and has not come to where it
	 * was before; INT64_MAX: no. */
	int64_t set_back_ns, set_back_from_ns;
	int64_t begun_ns;       /* tail_begun() */
	int64_t looks_since_ns; /* wall clock of tail_new(), or when the process before
				 * this one looked last; 0: not started */
	struct sys_timer *work, *poll, *soon;

	struct file **files;
	size_t n_files, room_files, n_open, next_file;
	struct known **known; /* STREAM_TABLE_MAX */
	struct census *census; /* forget.c's */
	uint64_t refused_scan; /* the last one that found more files than are remembered */
	bool refused_told;
	size_t n_known, max_known;
	struct file *files_by_ino[TAIL_INDEX];
	struct known *known_by_ino[TAIL_INDEX], *known_by_id[TAIL_INDEX];
	struct watch *watches[TAIL_MAX_WATCHES];
	size_t n_watches;
	struct look *looks;
	size_t n_looks, room_looks;
	struct orphan orphans[TAIL_ORPHANS];
	size_t n_orphans;
	struct half halves[TAIL_HALVES];
	struct trouble troubles[TAIL_MAX_TROUBLES];
	size_t n_troubles;
	int64_t trouble_ns; /* monotonic: when one was last logged */
	struct question verify[TAIL_MAX_VERIFY];
	size_t n_verify;
	struct job *job;
	struct rest *rest; /* rest.c's */

	char *buf;
	size_t buf_room;
	struct tail_stats stats;
	unsigned char secret[STREAM_SECRET];
};

/* tail.c */
void tail_wake(struct tail *t); /* work is to be done in this loop turn */
void tail_want_scan(struct tail *t);
uint64_t tail_bytes_hash(const char *p, size_t n);
uint64_t tail_path_hash(const char *path);
/* Within the last `ns`.  A time in the future is of a clock that was set back since, and
 * tells nothing. */
static inline bool tail_is_recent(const struct tail *t, int64_t time_ns, int64_t ns)
{
	int64_t age_ns = sys_wall_ns(t->sys) - time_ns;

	return age_ns < ns && age_ns > -ns;
}

/* trouble.c */
/* Logs an error of a path once, until tail_trouble_over(); of very many paths, one each
 * ten seconds. */
void tail_trouble(struct tail *t, const char *path, int code,
		  const char *what);
void tail_trouble_over(struct tail *t, const char *path);

/* scan.c */
void scan_run(struct tail *t);
void scan_stop(struct tail *t);
/* The options.files entry whose globs match; -1: none. */
int scan_source_of(const struct tail *t, const char *path);
/* Opens path as an incarnation of its own, NEW.  *out is NULL when there is
 * none to be had: then 0 (not a regular file, or one that is open), or an error, which
 * was reported. */
int scan_open(struct tail *t, const char *path, uint32_t source, bool in_glob,
	      struct file **out);

/* The name of an open file: f->gone. */
void scan_check_name(struct file *f);
/* When the file was written last, as far as the look that saw it can bear witness. */
int64_t scan_good_mtime(const struct tail *t, const struct stream_state *st);
/* At a start: whether the clock was set back since the last look. */
void scan_note_set_back(struct tail *t);

/* files.c */
struct file *file_find(const struct tail *t, uint64_t dev, uint64_t ino);
/* The file that reads the stream now, or is about to. */
struct file *file_of(const struct tail *t, const struct stream_id *id);
/* Takes over fd (closed on error).  UV_ENOMEM, ERR_LIMIT. */
int file_add(struct tail *t, const char *path, int fd,
	     const struct sys_stat *st, struct file **out);
/* Closes and forgets the file; a stream that it had must have been parked. */
void file_free(struct file *f);
void file_close(struct file *f);
int file_set_path(struct file *f, const char *path);
/* f was written to within the last `ns`. */
static inline bool file_is_fresh(const struct file *f, int64_t ns)
{
	return tail_is_recent(f->tail, f->mtime_ns, ns);
}
/* As sys_pread(), of the content; UV_EAGAIN: call again.  file: a struct file. */
int64_t file_pread(void *file, void *buf, size_t n, uint64_t offset);
/* Its size on disk. */
static inline uint64_t file_disk_size(const struct file *f)
{
	return f->packed != CONTENT_PLAIN ? f->packed_size : f->size;
}
/* Whether f's name is another now than its stream's. */
void file_away(struct file *f, bool away);
/* Makes f->s and f->reserve (if there is none); UV_ENOMEM. */
int file_new_stream(struct file *f);
void file_drop_stream(struct file *f);
/* The stream leaves the file: closed(), and into tail.known.  The file is NEW
 * then. */
void file_park(struct file *f, enum tail_close why);
/* The stream is not read any more: what was skipped as its copy may be its
 * continuation.  True: there is such a file, the next scan opens it. */
bool file_wake_copies(struct tail *t, const struct stream_id *id);
/* It is a stale copy, or can't be read: closed, and left alone until it changes.  May free
 * other skipped files, not f. */
void file_skip(struct file *f);

/* room.c */
/* The folder that holds path; NULL: out of memory.  One without files lives until the
 * scan's end. */
struct folder *folder_of(struct tail *t, const char *path);
void folders_free(struct tail *t);
/* Room to open path, of folder d: may close another file.  False: the others are to
 * be read first; that is remembered (tail.starved). */
bool room_make(struct tail *t, struct folder *d, const char *path);
/* Whether some file has no use for its descriptor. */
bool room_may_be(const struct tail *t);
/* Not worth a descriptor now: it is empty, and few are left. */
bool room_too_dear(const struct tail *t, const struct sys_stat *st);
/* A name that may be a copy or a rotated one, in a folder of which as many as are
 * remembered were skipped: only what is younger than those is looked at. */
bool room_passed_over(struct tail *t, const char *path, const struct sys_stat *st);
/* f was skipped just now: makes others be forgotten when there are too many. */
void room_skipped(struct file *f);
/* The system gave no descriptor: from now on fewer files are open at once than now, so
 * that the rest of the process has some. */
void room_out_of_descriptors(struct tail *t);
/* At the scan's beginning and end. */
void room_scan_begins(struct tail *t);
void room_scan_ends(struct tail *t);

/* follow.c */
/* One read's worth of work; clears f->ready when there is no more. */
void follow_step(struct file *f);
/* READING: whether what was handed on still stands in the file; if not, its stream is
 * parked, and f is NEW. */
void follow_check(struct file *f);
/* Size, timeouts, the end; may free f. */
void follow_poll(struct file *f);
/* READING from where f->s stands; opened() when the stream has an id. */
void follow_begin(struct file *f);

/* packed.c */
/* f is NEW, compressed, and has bytes: decode it to its end, then identify it. */
void packed_begin(struct file *f);
/* One step of that. */
void packed_step(struct file *f);
/* The file on disk is not what it was: what is known of its content is void. */
void packed_changed(struct file *f, const struct sys_stat *st);
/* It was read to its end, acknowledged, and is closed until it changes. */
bool packed_done(const struct file *f);

/* identify.c */
/* f is NEW and has bytes: find out whose they are. */
void identify_begin(struct file *f);
/* One step of the job, or takes up the next one; false: nothing to do. */
bool identify_step(struct tail *t);
/* f is NEW again; a stream that it was about to go on with is remembered. */
void identify_again(struct file *f);
/* Whether a file waits to be identified. */
bool identify_busy(const struct tail *t);
/* The job with f, if there is one, ends without a result. */
void identify_forget(struct tail *t, const struct file *f);
/* f is to go on with k, which is in no table any more. */
void identify_resume(struct file *f, struct known *k);
/* f is to begin a new stream at `from`; H(from) unknown. */
void identify_fork(struct file *f, uint64_t from);
void identify_free(struct tail *t);

/* verify.c */
/* The next of tail.verify becomes the job; false: there is none. */
bool verify_take_up(struct tail *t);
/* It has waited for long. */
bool verify_overdue(const struct tail *t);
void verify_step(struct job *j, struct tail *t);
void verify_forget_all(struct tail *t);

/* search.c */
/* Looks for the rest of remembered streams, when no file waits to be
 * identified; true: something was begun. */
bool search_step(struct tail *t);
/* The clock of the searches: at every poll. */
void search_poll(struct tail *t);
/* Look for incarnations of the name that nobody has seen, written since then
 * (mtime, Unix ns).  When out of memory, this is logged and not done. */
void search_add(struct tail *t, const char *path, int64_t since_ns);
/* A sibling can't be judged before it was written to its end: those who look for their
 * rest ask again. */
void search_again_for(struct tail *t, const struct file *f);
/* Likewise, since the last one of the name that was known before f, the newest one. */
void search_unseen_of(struct tail *t, const struct file *f);
/* Likewise, but not before the next poll. */
void search_later(struct tail *t, const char *path, int64_t since_ns);
/* The entries of a directory that is looked into have changed. */
void search_arrivals(struct tail *t, const char *dir);
/* For every name that is remembered. */
void search_add_known(struct tail *t);
/* What is looked for still, and may yet be read. */
size_t search_count(const struct tail *t);
void search_free(struct tail *t);

/* remember.c */
struct known *known_find(const struct tail *t, const struct stream_id *id);
struct known *known_by_inode(const struct tail *t, uint64_t dev, uint64_t ino);
/* Into the table; when it is full, another one is forgotten. */
void known_put(struct tail *t, struct known *k);
/* forget.c */
int forget_init(struct tail *t);
void forget_fini(struct tail *t);
/* k's path or the globs have changed. */
void forget_class(const struct tail *t, struct known *k);
/* Room in the table for one more, k. */
void forget_for(struct tail *t, const struct known *k);
/* A file without a stream is not to be begun, since one that is rather kept would be
 * forgotten for it; that is told. */
bool forget_refuses(struct tail *t, const char *path, const struct sys_stat *st);
/* It was not refused, and is open. */
void forget_for_file(struct tail *t, const struct file *f);
/* Its inode may be one whose stream was forgotten. */
bool forget_was(const struct tail *t, uint64_t dev, uint64_t ino);
void forget_scan_ends(struct tail *t);
/* Those that are to be kept first when there is no room for all. */
void known_sort(struct tail *t);

/* remember.c */
/* k, in the table, is on this inode now; 0, 0: on none. */
void known_place(struct tail *t, struct known *k, uint64_t dev, uint64_t ino);
static inline size_t tail_ino_chain(uint64_t dev, uint64_t ino)
{
	return ((ino ^ dev << 20) * 0x9e3779b97f4a7c15u >> 52) % TAIL_INDEX;
}
/* Takes k out of the table; the caller owns it. */
void known_take(struct tail *t, struct known *k);
void known_free(struct known *k);
/* Where its reading would go on. */
static inline uint64_t known_full(const struct known *k)
{
	return k->live ? k->st.position : k->st.acked;
}
/* The end of all that was ever handed on and of which H is known. */
static inline uint64_t known_furthest(const struct known *k)
{
	uint64_t full = known_full(k);

	return k->st.top.position > full ? k->st.top.position : full;
}
/* A file of `size` bytes that is proved to have the stream's first `best` ones
 * continues it.  What was handed on above W (the top) may have been stored: it has
 * to be there as well, but for a copy that is shorter and all there is; not if all that
 * it has of the stream is what other files begin with, too. */
static inline bool known_continues(const struct known *k, uint64_t best,
				   uint64_t size, bool sibling)
{
	if (k->live) {
		return best == k->st.position;
	}
	return best >= k->st.acked &&
	       (best >= k->st.top.position ||
		(sibling && size < k->st.top.position &&
		 (best >= TAIL_STRONG || best == size)));
}
/* Nothing is known by which a file could be proved to be this one. */
static inline bool known_blank(const struct known *k)
{
	return !k->live && k->st.acked == k->st.start &&
	       k->st.top.position <= k->st.acked;
}
/* Nothing of the stream is taken for known any more. */
void known_blank_out(struct known *k);
/* Nothing of it has to be read any more. */
static inline bool known_done(const struct known *k)
{
	return k->st.finished && (k->live || k->st.acked >= k->st.position);
}

#endif
