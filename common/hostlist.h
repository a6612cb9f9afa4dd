/* hostlist: hosts and ports in the order in which they are to be tried; those of one
 * rank are equal.
 *
 * The list owns the array and each name in it.  A zeroed struct is the empty list.
 */
#ifndef COMMON_HOSTLIST_H
#define COMMON_HOSTLIST_H

#include "common/slice.h"

struct hostport {
	char *name;
	uint16_t port;
	unsigned rank; /* from 0, the preferred ones; not above the next host's */
};

struct hostlist {
	struct hostport *v;
	size_t n;
};

/* Appends a copy of name, which must not contain NUL.  UV_ENOMEM: the list is as it
 * was. */
int hostlist_add(struct hostlist *l, struct slice name, uint16_t port,
		 unsigned rank);
/* Frees everything; the list is empty afterwards.  Safe on a zeroed struct. */
void hostlist_fini(struct hostlist *l);
bool hostlist_eq(const struct hostlist *a, const struct hostlist *b);

#endif
