/* trust: may this program be run by us?
 *
 * Whoever can change the program, or a folder or link on the way to it, decides
 * what runs.  So all of them must belong to root or to `owner`, the file must be
 * regular, and nobody else may write to it or to the folders (a sticky folder such
 * as /tmp is good enough, and so is one that only the group root can write to).
 * Symbolic links are followed as the kernel follows them, and each is looked at.
 */
#ifndef COMMON_TRUST_H
#define COMMON_TRUST_H

#include <linux/limits.h>
#include <sys/types.h>

enum { TRUST_WHY = 512 };

/* The same of a file that is read and not run: whoever can change it decides what the
 * reader does. */
int trust_file(const char *path, uid_t owner, char resolved[static PATH_MAX],
	       char why[static TRUST_WHY]);

/* 0: resolved is what to run, a path without links.  Otherwise UV_E* (UV_EINVAL:
 * not absolute; UV_EACCES: not to be trusted, or not executable by us; UV_ENOENT,
 * UV_ELOOP ...) and why: one line with the path and the remedy. */
int trust_program(const char *path, uid_t owner, char resolved[static PATH_MAX],
		  char why[static TRUST_WHY]);

#endif
