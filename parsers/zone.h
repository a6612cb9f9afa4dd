/* zone: what a clock on the wall means in Unix time, for stamps that name no zone.
 *
 * The rules come from a TZif file (RFC 8536, versions 1 to 4, with the POSIX TZ
 * rule in its footer), from such a rule itself, or from a fixed offset.  The
 * C library's zone state is not touched.  A zone never changes once it is open
 * and may be used by any number of threads.
 */
#ifndef PARSERS_ZONE_H
#define PARSERS_ZONE_H

#include <stdint.h>

#include "common/slice.h"

struct sys;
struct zone; /* opaque, on the heap */

/* Opens a zone by its name:
 *   "local"                the device's: /etc/localtime, else the rule in
 *                          /etc/TZ (OpenWrt), else UTC
 *   "UTC", "Z"
 *   "Europe/Berlin"        a file below /usr/share/zoneinfo
 *   "+02:00", "-0530"      a fixed offset, east of Greenwich positive
 *   "CET-1CEST,M3.5.0,M10.5.0/3"   a POSIX TZ rule
 * The caller frees with zone_free().  UV_ENOENT: no such zone; ERR_MALFORMED:
 * the name or the file makes no sense; UV_ENOMEM or the error of a file call.
 * Reads files: for start-up. */
int zone_open(struct zone **out, struct sys *sys, const char *name);
/* The same from the bytes of a TZif file.  ERR_MALFORMED, UV_ENOMEM. */
int zone_from_tzif(struct zone **out, struct slice file);
/* The same from a POSIX TZ rule.  ERR_MALFORMED, UV_ENOMEM. */
int zone_from_rule(struct zone **out, struct slice rule);
/* NULL allowed. */
void zone_free(struct zone *z);

/* The rule that holds from now on, as zone_open() takes it ("UTC0" for UTC).
 * This is what one end tells the other, so that both read stamps alike. */
const char *zone_rule(const struct zone *z);

/* Seconds east of Greenwich at this Unix time. */
int32_t zone_offset(const struct zone *z, int64_t unix_s);

/* The Unix time of a local time given as seconds since 1970-01-01T00:00:00 of
 * the wall clock.  An hour that happens twice: the later of the two that is not
 * after not_after_s, else the earlier.  An hour that never happens: read with
 * the offset that held before it, so that 02:30 becomes 03:30.  z NULL: UTC. */
int64_t zone_to_unix(const struct zone *z, int64_t local_s,
		     int64_t not_after_s);

#endif
