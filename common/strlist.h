/* strlist: a list of strings on the heap, for settings.
 *
 * The list owns the array and each string in it; v[n] is NULL once n > 0, so
 * that an argument vector can be given to execve() as it is.  A zeroed struct
 * is the empty list.  Not thread-safe while it changes.
 */
#ifndef COMMON_STRLIST_H
#define COMMON_STRLIST_H

#include "common/slice.h"

struct strlist {
	char **v;
	size_t n;
};

/* Appends a copy of s, which must not contain NUL.  UV_ENOMEM: the list is as
 * it was. */
int strlist_add(struct strlist *l, struct slice s);
/* Frees everything; the list is empty afterwards.  Safe on a zeroed struct. */
void strlist_fini(struct strlist *l);

#endif
