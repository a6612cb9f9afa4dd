/* Rotated files of a log that is not there: it was begun and rotated between two looks, or
 * before the first one, and nobody has begun it again.  No file of its name says that it
 * was there, and no stream is known by it (those are looked for by search.c and rest.c).
 *
 * Whoever can make files in a folder can make any number of them there: of each listing
 * only so many are looked at, and so many wait to be opened. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "sources/siblings.h"

/* path is a rotation of `family`, which is to be read and not there. */
static bool is_orphan(struct tail *t, const char *path, const char *family)
{
	struct sys_stat st;

	return names_is_counted(path, family) && scan_source_of(t, path) < 0 &&
	       scan_source_of(t, family) >= 0 &&
	       sys_stat(t->sys, family, &st) == UV_ENOENT;
}

static void note(struct tail *t, const char *path, const char *family)
{
	struct siblings s = {.tail = t, .path = family,
			     .since_ns = t->looks_since_ns - TAIL_TICK_NS};
	struct orphan *o = &t->orphans[t->n_orphans];
	struct sibling unused;
	struct sys_stat st;

	if (sys_stat(t->sys, path, &st) != 0 || !siblings_worth(&s, path, &st, &unused) ||
	    (known_by_inode(t, st.dev, st.ino) == NULL && forget_refuses(t, path, &st))) {
		return;
	}
	*o = (struct orphan){strdup(path), strdup(family)};
	if (o->path == NULL || o->family == NULL) {
		free(o->path);
		free(o->family);
		return; /* The next change of the folder asks again. */
	}
	t->n_orphans++;
}

void orphans_look(struct tail *t, const char *dir, const char *name, unsigned *left)
{
	size_t least = names_unrotated(name), dir_n;
	char path[PATH_MAX], family[PATH_MAX];

	if (*left == 0 || t->n_orphans == TAIL_ORPHANS || t->looks_since_ns == 0 ||
	    snprintf(path, sizeof path, "%s/%s", dir[1] ? dir : "", name) >=
		    (int)sizeof path) {
		return;
	}
	(*left)--;
	dir_n = strlen(path) - strlen(name);
	memcpy(family, path, strlen(path) + 1);
	/* Its own name may end in a number as well. */
	for (size_t i = strlen(name) - 1; i >= least && i > 0; i--) {
		family[dir_n + i] = '\0';
		if ((name[i] == '.' || name[i] == '-') && is_orphan(t, path, family)) {
			note(t, path, family);
			return;
		}
	}
}

bool orphans_open(struct tail *t)
{
	bool any = t->n_orphans > 0;

	while (t->n_orphans > 0) {
		struct orphan *o = &t->orphans[--t->n_orphans];
		struct sibling s = {.path = o->path, .unseen = true};

		/* One that can't be opened now is noted again when its folder changes, or
		 * looked for when its log is begun. */
		siblings_open(t, o->family, &s);
		free(o->path);
		free(o->family);
	}
	return any;
}

void orphans_free(struct tail *t)
{
	while (t->n_orphans > 0) {
		t->n_orphans--;
		free(t->orphans[t->n_orphans].path);
		free(t->orphans[t->n_orphans].family);
	}
}
