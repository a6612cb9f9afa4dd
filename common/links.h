/* links: opens a file by a name that somebody else may have made.
 *
 * Whoever may write to a folder may put a link there to a file that he may not read,
 * and have a program with more rights read it.  So a symbolic link, wherever it stands
 * on the way, is followed only if root, this process's user, or the owner of what it
 * leads to has made it: as the kernel does in sticky folders (protected_symlinks in
 * proc_sys_fs(5)), and here everywhere.  (Hard links to files of others are the kernel's
 * matter: protected_hardlinks.)
 *
 * The way is gone component by component on descriptors, so that nobody can exchange
 * one after it was looked at.  Magic links of /proc are taken for their text.
 *
 * Any thread.  Blocks as open(2) does.
 */
#ifndef COMMON_LINKS_H
#define COMMON_LINKS_H

/* A descriptor, or UV_EPERM (such a link), UV_EINVAL (no regular file), UV_ELOOP (more
 * than 40 links), or another error of a call; UV_ENOENT also when the path changed
 * meanwhile.  path is absolute; flags: O_RDONLY, with O_NONBLOCK if need be. */
int links_open(const char *path, int flags);

#endif
