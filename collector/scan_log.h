/* scan_log: reads the watermark log back into a store's memory. */
#ifndef COLLECTOR_SCAN_LOG_H
#define COLLECTOR_SCAN_LOG_H

#include "collector/store.h"

/* Takes up devices, watermarks and heads.  An unfinished end is cut; a damaged log
 * is set aside, and *whole is false: then no file may be trusted unread.  Blocks.
 * UV_ENOMEM, UV_E* of the file calls. */
int scan_log_read(struct store *s, bool *whole);

/* The same for reading only, dir/watermarks.log: nothing on disk changes.  0,
 * ERR_TRUNCATED (an unfinished end), ERR_DAMAGED and the like; *whole: how many bytes were
 * good. */
int scan_log_peek(struct store *s, const char *dir, uint64_t *whole);
/* In a shared store: what every member's log says of the devices that s knows.  Damage is
 * logged and no error; UV_ENOMEM, UV_E* of listing the members. */
int scan_log_read_others(struct store *s);

#endif
