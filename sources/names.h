/* names: file names and patterns: globs through struct sys, and which names a
 * rotated file may bear.
 *
 * A glob is absolute; *, ? and [...] match within one component of the path and
 * never a leading dot; there is no **.
 */
#ifndef SOURCES_NAMES_H
#define SOURCES_NAMES_H

#include <stdbool.h>

#include "common/strlist.h"
#include "common/sys.h"

/* Called for each match; path is borrowed.  A pattern without wildcards in its
 * last component matches whether or not the file is there.  Non-zero ends it. */
typedef int (*names_match_cb)(void *arg, const char *path);
/* Called before a directory is looked into; path is borrowed. */
typedef void (*names_dir_cb)(void *arg, const char *dir);

/* Absolute, at most PATH_MAX - 1 bytes, no empty pattern. */
bool names_glob_valid(const char *pattern);

/* Every match of pattern, in no order.  Directories that do not exist match
 * nothing.  on_dir may be NULL.  0, what on_match returned, or the first error of a
 * listing (the others are still listed). */
int names_glob(struct sys *sys, const char *pattern, names_dir_cb on_dir,
	       names_match_cb on_match, void *arg);

/* Whether path matches pattern, or (could) whether something below it may. */
bool names_matches(const char *pattern, const char *path);
bool names_could_match(const char *pattern, const char *path);
bool names_in_list(const struct strlist *patterns, const char *path);

/* Where the last component starts. */
const char *names_base(const char *path);
/* path is that of a rotated `of`: the base name is NAME.* or NAME-*, in any
 * directory. */
bool names_is_rotation(const char *path, const char *of);
/* Either is a rotation of the other, or both are of a third name (of which one has
 * nothing but numbers and the like added), or the base names are equal.  NULL (unknown)
 * is related to everything. */
bool names_related(const char *a, const char *b);
/* path bears what a rotation adds, and `of` is of the same name with or without it. */
bool names_is_rotated_too(const char *path, const char *of);
/* path is that of `of` with nothing but numbers, dates or ".old" added, and perhaps
 * the suffix of a compressed file: what rotation makes of a name, and hardly anybody
 * else. */
bool names_is_numbered(const char *path, const char *of);
/* Likewise with nothing but numbers and dates: nobody's backup. */
bool names_is_counted(const char *path, const char *of);
/* How many bytes of a base name are left when the numbers, dates and ".old" that
 * rotation adds are taken off its end; all of them when there are none. */
size_t names_unrotated(const char *base);
/* Ends in .gz, .xz, .zst or .bz2. */
bool names_compressed(const char *path);

#endif
