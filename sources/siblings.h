/* siblings: files beside a log that bear a rotated name of it; search.c and rest.c include
 * this, nobody else. */
#ifndef SOURCES_SIBLINGS_H
#define SOURCES_SIBLINGS_H

#include "sources/tail_impl.h"

enum { SIBLINGS = 32 }; /* opened at a time */
#define NS_PER_S 1000000000

struct sibling {
	char *path;
	int64_t mtime_ns;
	bool same_inode;
	bool unseen;
};

struct siblings {
	struct tail *tail;
	const char *path;      /* whose siblings */
	const struct known *k; /* whose rest is searched, or NULL */
	int64_t since_ns;      /* what was written since then is unseen */
	size_t dir_n;          /* bytes of path before its base name */
	struct sibling found[SIBLINGS];
	size_t n;
	int error;
	bool settled; /* the folder was the same all the while */
};

enum { UNSETTLED_MAX = 8 }; /* times that a folder which changes all the time is listed */

/* When the folder's entries changed last; 0: what changes next may bear the same time, or
 * it is not known.  While files are renamed, one that was listed may be another when it is
 * opened, and one may not be listed at all: only if the time was the same before and after
 * nothing can have been missed. */
int64_t siblings_folder_time(struct tail *t, const char *dir);
/* Whether the file may be what is searched, and nobody reads it; fills in *out, but for
 * its path. */
bool siblings_worth(const struct siblings *s, const char *path,
		    const struct sys_stat *st, struct sibling *out);
/* Which of two is looked into first. */
bool siblings_rather(const struct sibling *a, const struct sibling *b);
/* Opens it, beside the file `family`.  1: it is looked into now; 0: it is gone, read
 * already, or may not be read; or an error. */
int siblings_open(struct tail *t, const char *family, const struct sibling *s);

/* orphans.c */
/* An entry that bears a rotated name, of a folder that has changed; *left: so many more of
 * this listing may be looked at. */
void orphans_look(struct tail *t, const char *dir, const char *name, unsigned *left);
/* Opens those that were found; false: there are none. */
bool orphans_open(struct tail *t);
void orphans_free(struct tail *t);

/* rest.c */
/* One step of the search for rests; false: there is nothing to search for. */
bool rest_step(struct tail *t);
/* Streams whose rest is being looked for, and of which nothing was told yet. */
size_t rest_count(const struct tail *t);
void rest_free(struct tail *t);

#endif
