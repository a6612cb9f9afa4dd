/* watch_folders: the folders of watched files that bring a notice when they change.  One that
 * is not among them, for want of a watch or of room, is polled like all the others.
 *
 * Threads   the loop thread only.
 */
#ifndef SOURCES_WATCH_FOLDERS_H
#define SOURCES_WATCH_FOLDERS_H

#include "common/strlist.h"
#include "common/sys.h"
#include "sources/options.h"

enum { WATCH_FOLDERS_MAX = 256 };

struct watch_folder {
	char *path;
	struct sys_watch *watch;
};

struct watch_folders {
	struct sys *sys;
	enum sources_notify notify;
	void (*notice)(void *arg, const char *name); /* as for sys_watch_new() */
	void *arg;
	struct watch_folder v[WATCH_FOLDERS_MAX];
	size_t n;
};

void watch_folders_init(struct watch_folders *f, struct sys *sys, enum sources_notify notify,
			void (*notice)(void *arg, const char *name), void *arg);
/* Drops all of them; it can be used again. */
void watch_folders_fini(struct watch_folders *f);
/* From now on these.  renew: a folder that was made anew under its name has another inode;
 * to renew them all whenever something has changed costs little. */
void watch_folders_set(struct watch_folders *f, const struct strlist *wanted, bool renew);

#endif
