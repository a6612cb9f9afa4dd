/* refer: what rules refer to outside of themselves and of the line: lists (roster.h) and
 * databases of places (geo.h), by their files.
 *
 * A file that is missing or damaged is told of and does not stop anything: what was read
 * before stays in use, and a rule that has nothing to ask waits.  A file counts as replaced
 * when its device, inode, size or time of change is another.
 *
 * Threads   refer_work() on any; all else on one.
 * Blocking  refer_load() and refer_work() read files; refer_next() calls stat(2).
 */
#ifndef DETECTORS_REFER_H
#define DETECTORS_REFER_H

#include "common/record.h"
#include "detectors/geo.h"
#include "detectors/options.h"
#include "detectors/roster.h"

struct refer;      /* opaque, on the heap */
struct refer_list; /* one list; stays where it is as long as its struct refer */

enum { REFER_LISTS = 64, REFER_DATABASES = 8 };

/* What became of a file.  text: a sentence; all borrowed for the call. */
struct refer_told {
	const char *path;
	unsigned line; /* 0: the file as a whole */
	bool good;     /* it was read, and text says what is in it */
	bool old;      /* not good: what was read before stays in use */
	bool odd;      /* neither: it is used as it is, and is hardly meant so */
	const char *text;
};
typedef void (*refer_cb)(void *arg, const struct refer_told *t);

/* The paths are copied, nothing is read.  key: as for detect_new().  UV_ENOMEM. */
int refer_new(struct refer **out, const struct detectors_options *o,
	      const uint8_t key[static 16]);
/* NULL is allowed. */
void refer_free(struct refer *r);

/* Whether a file must be named differently: two lists of one name, or a name that no rule
 * can say.  Each is told; they are not used. */
void refer_check(const struct refer *r, refer_cb cb, void *arg);

/* Reads the files of which nothing is known yet. */
void refer_load(struct refer *r, struct sys *sys, refer_cb cb, void *arg);

/* One file to be read, for another thread.  Zeroed at first. */
struct refer_job {
	char *path; /* owned */
	bool database;
	uint8_t key[16];
	struct sys *sys; /* kept */
	struct sys_stat seen;
	struct roster *roster;
	struct geo_db *db;
	int rc;
	char why[GEO_WHY];
	unsigned n_wrong;
	struct {
		unsigned line;
		char text[GEO_WHY];
	} wrong[ROSTER_ERRORS + 1];
};
/* The next file that is to be read: true and *job.  Those that have gone are told. */
bool refer_next(struct refer *r, struct sys *sys, struct refer_job *job, refer_cb cb,
		void *arg);
void refer_work(struct refer_job *job);
/* What was read is used from now on; job is empty afterwards.  r may be another than that
 * of refer_next(), if files are named that it does not know they are dropped. */
void refer_take(struct refer *r, struct refer_job *job, refer_cb cb, void *arg);

/* Uses what `from` has read of the same files, until refer_inherit() makes it r's own, or
 * r is freed. */
void refer_borrow(struct refer *r, const struct refer *from);
void refer_inherit(struct refer *r, struct refer *from);

/* ---- asking ---- */

/* NULL: none has the name. */
const struct refer_list *refer_list(const struct refer *r, struct slice name);
const char *refer_list_name(const struct refer_list *l);
/* false as well when it could not be read. */
bool refer_list_has(const struct refer_list *l, struct slice value);
/* NULL: it could not be read. */
const struct roster_about *refer_list_about(const struct refer_list *l);

/* What the databases that are open may tell: enum geo_part. */
unsigned refer_parts(const struct refer *r);
/* What is known of the event's source.ip, remembered until another takes its place; NULL:
 * nothing. */
const struct geo_place *refer_place(struct refer *r, const struct event *e);

/* Whether a database is named at all: without one, rules about places can be left aside. */
bool refer_has_databases(const struct refer *r);

struct refer_stats {
	unsigned lists, lists_read, databases, databases_read;
	uint64_t looked_up, damaged; /* addresses; those at which a database is damaged */
	size_t networks, texts, bytes; /* of the lists */
};
void refer_stats(const struct refer *r, struct refer_stats *out);

#endif
