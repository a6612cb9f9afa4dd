/* share_join: makes a store one that several collectors share (share.h), and this one a member.
 *
 * Blocks on the disk.
 */
#ifndef COLLECTOR_SHARE_JOIN_H
#define COLLECTOR_SHARE_JOIN_H

#include <stdbool.h>

#include "common/sys.h"

/* Makes what is missing of the folders of a shared store and of this member; a store that
 * one collector had for itself becomes a shared one, its devices this member's.  Not while
 * another does the same, or a collector has the store for itself.  UV_E*, UV_EINVAL for a
 * name that is none; why: 512 bytes. */
int share_join(struct sys *sys, const char *dir, const char *member,
	       char why[static 512]);
/* Lower-case letters, digits and hyphens, at most MEMBER_NAME_MAX. */
bool share_is_name(const char *member);
/* Where a collector's own files are, its log, catalogue and cursor; member "" or NULL: in the
 * store's own folder.  out: STORE_PATH bytes. */
void share_own_dir(char *out, const char *dir, const char *member);

#endif
