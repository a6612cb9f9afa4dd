/* fstype: which file systems can be believed when they are silent.
 *
 * inotify tells what this kernel does to a file.  What another machine does on a network
 * file system, or a daemon behind FUSE, it does not tell.
 *
 * Pure.
 */
#ifndef SOURCES_FSTYPE_H
#define SOURCES_FSTYPE_H

#include <stdint.h>

/* type: statfs(2)'s f_type.  The name of a file system that may change without a
 * notification, or NULL. */
const char *fstype_silent(uint64_t type);

#endif
