/* store_lock: who may have a store open: one collector for itself, or several that share
 * it (share.h), each under a name of its own.  The locks end with the process.
 *
 * Blocks: another that is just joining a shared store is waited for.
 */
#ifndef COLLECTOR_STORE_LOCK_H
#define COLLECTOR_STORE_LOCK_H

enum { STORE_LOCK_WHY = 256 };

struct store_lock {
	int store, member, joining; /* descriptors; -1: none */
};

#define STORE_LOCK_NONE ((struct store_lock){-1, -1, -1})

/* member "" or NULL: for itself; else the store is made a shared one, if it was none.  UV_E*
 * and why.  On an error what was opened stays until store_lock_drop(). */
int store_lock_take(struct store_lock *l, const char *dir, const char *member,
		    char why[static STORE_LOCK_WHY]);
/* The store is open: another may join. */
void store_lock_opened(struct store_lock *l);
void store_lock_drop(struct store_lock *l);

#endif
