/* guard: a library that reads a file through a mapping, and a file that is cut off
 * meanwhile.
 *
 * The kernel answers the read of a page that is not there any more with SIGBUS, which
 * would be the end of the process.  Between guard_enter() and guard_leave() the page is
 * replaced by one of zeros, as systemd-journald does for itself: the library then finds
 * a damaged file, which it has to be prepared for in any case.
 *
 * A signal's handler knows nothing but globals, so this has some: what was done about
 * SIGBUS before (once, for the process), and for each thread whether it is inside.  A
 * SIGBUS from elsewhere, or of another kind, goes where it went before.
 *
 * Source of the technique: systemd, src/basic/sigbus.c.
 */
#ifndef SOURCES_GUARD_H
#define SOURCES_GUARD_H

#include <stdbool.h>

/* Any number of times, from one thread.  The error of sigaction(). */
int guard_install(void);

/* Not nested.  guard_leave(): true when a page was missing; what was read since
 * guard_enter() is not to be believed. */
void guard_enter(void);
bool guard_leave(void);

#endif
