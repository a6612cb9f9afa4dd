/* share: a store that several collectors write at one time.
 *
 * Each has a name among them (its member name) and a folder members/NAME of its own, with
 * its watermark log, catalogue and cursor.  What a device has sent stands in
 * devices/<hash>/OWNER: that folder's name says whose the device is, and renaming it is how
 * it passes to another (take.h): of two that try one succeeds, and whoever had it can
 * neither make a file there any more nor, since the files that may still be written are
 * copied, reach by an open descriptor what has a name.  Before it acknowledges anything of
 * a device a collector looks whether the folder still bears its name (commit.h).
 *
 * That holds where rename() is atomic and all who have the store mounted see one another's
 * writes at once: any local file system, and cluster file systems with coherent caches;
 * not NFS or SMB.  docs/store.md, "Shared stores"; tests/model/shared.pml.
 *
 * Blocks on the disk.  Any thread; nothing here changes a struct store but share_open().
 */
#ifndef COLLECTOR_SHARE_H
#define COLLECTOR_SHARE_H

#include "collector/share_join.h"
#include "collector/store.h"

/* After store_open() and share_join(); member "" or NULL: it has the store for itself (and
 * store_lock.h has seen that nobody shares it).  UV_EINVAL: this is no member. */
int share_open(struct store *s, const char *member, char why[static 512]);

static inline bool share_is_on(const struct store *s)
{
	return s->member[0] != '\0';
}

/* The folder of the device's that owner has, or its own, of any owner's ("").  Any
 * thread: of d only hex is read. */
void share_folder(const struct store *s, const struct device *d,
		  const char *owner, char out[static STORE_PATH]);
/* Whose folder the device's files are in; "": they stand in the device's own, as in a
 * store that is not shared.  UV_ENOENT: it has none yet; UV_E*. */
int share_find_owner(const struct store *s, const struct device *d,
		     char owner[static OWNER_ROOM]);
/* 1: the device's folder bears our name; 0: not any more; UV_E*. */
int share_owns(const struct store *s, const struct device *d);
/* For reading beside collectors that write: finds whose it is, d->owner, and holds the folder
 * fast, so that dir goes on leading to it when it gets another name.  A descriptor that
 * share_unpin() takes, or UV_E*. */
int share_pin(const struct store *s, struct device *d,
	      char dir[static STORE_PATH]);
void share_unpin(const struct store *s, int fd);
/* Each member's folder, until cb returns non-zero, which is returned; none in a store that
 * is not shared. */
int share_members(const struct store *s,
		  int (*cb)(void *arg, const char *name, const char *dir),
		  void *arg);

/* ---- what one that takes a device over has to give out for the one before ---- */

/* In dir, a device's, its owner's: arrivals above from and up to until.  UV_ENOENT: nothing
 * is owed. */
int share_owed_read(struct sys *sys, const char *dir, uint64_t *from,
		    uint64_t *until);
int share_owed_write(struct sys *sys, const char *dir, uint64_t from,
		     uint64_t until);
int share_owed_clear(struct sys *sys, const char *dir);
/* The same of a member that is about to take dir's device, while another has it still: a
 * file of its own, dir/owed.MEMBER, which counts once the folder is called MEMBER.taking. */
int share_claim_read(struct sys *sys, const char *dir, const char *member,
		     uint64_t *from);
int share_claim_write(struct sys *sys, const char *dir, const char *member,
		      uint64_t from);
int share_claim_clear(struct sys *sys, const char *dir, const char *member);

#endif
