/* take: a device comes to this collector while another that shares the store has it.
 *
 *   devices/X/other --rename--> devices/X/us.taking --rename--> devices/X/us
 *                     |                    |
 *        nobody else can make a file,      files that may still be written are copied and
 *        or acknowledge, from here on      get the names of the old; then read, as at a start
 *
 * A device that no collector has ever had gets its folder here too.  One that dies half-way
 * leaves the folder for whom the device asks next, with what is owed written down in it
 * before the first rename.  Sessions wait with their hello
 * (ERR_AGAIN) until this is done.
 *
 * Threads   The loop thread; the files are dealt with in one sys_work.
 */
#ifndef COLLECTOR_TAKE_H
#define COLLECTOR_TAKE_H

#include "collector/collector.h"

struct take;

/* UV_ENOMEM.  Only in a shared store. */
int take_new(struct take **out, struct collector *c);
void take_free(struct take *t);
/* 0: the device is ours, and all is known of it.  ERR_AGAIN: it will be, or that fails,
 * before the next collector_retry_hellos(); other errors: that failed, ask again for
 * another try. */
int take_device(struct take *t, struct device *d);
bool take_busy(const struct take *t);
/* The device is not ours any more: its session is ended and all forgotten that others may
 * have changed.  No commit may be under way. */
void take_lose(struct take *t, struct device *d);

#endif
