/* scan_log: reads the watermark log back into a store's memory. */
#ifndef COLLECTOR_SCAN_LOG_H
#define COLLECTOR_SCAN_LOG_H

#include "collector/scan.h"
#include "collector/store.h"
#include "common/err.h"

/* The disk can't be read there, now: what it holds is not known to be damaged. */
static inline bool scan_is_systems(int rc)
{
	return rc < 0 && rc > ERR_FULL;
}

/* Takes up devices, watermarks and heads.  An unfinished end is cut; a damaged log
 * is set aside, and *whole is false: then no file may be trusted unread.  Blocks.
 * UV_ENOMEM, UV_E* of the file calls. */
int scan_log_read(struct store *s, bool *whole);

/* The same for reading only, dir/watermarks.log: nothing on disk changes.  0,
 * ERR_TRUNCATED (an unfinished end), ERR_DAMAGED and the like; *whole: how many bytes were
 * good. */
int scan_log_peek(struct store *s, const char *dir, uint64_t *whole);
/* In a shared store: what every member's log says of the devices that s knows.  Damage is
 * logged and no error; one that can't be read is: UV_ENOMEM, UV_E*.  Of the report only the
 * steps are counted, one for each entry. */
int scan_log_read_others(struct store *s, struct scan_report *report);

#endif
