/* options: the settings of shipper/.  Plain data: config/ fills it in, owns every
 * string and keeps it alive while the stage runs.
 */
#ifndef SHIPPER_OPTIONS_H
#define SHIPPER_OPTIONS_H

#include <stdint.h>

#include "common/hostlist.h"
#include "common/timefmt.h"

/* When the spool is full: stop reading, or give up the oldest or newest of what
 * can't be read again (and report the gap). */
enum spool_policy { SPOOL_PAUSE, SPOOL_DROP_OLDEST, SPOOL_DROP_NEWEST };

struct shipper_options {
	struct hostlist collectors; /* as their certificates name them; may be empty */
	char *certificate; /* paths of PEM files */
	char *key;
	char *authority;
	uint64_t renew_check_ms; /* how often these are looked at */

	char *spool_dir;
	uint64_t spool_max; /* bytes */
	enum spool_policy spool_policy;

	uint64_t memory_max;       /* bytes of batches kept until acknowledged */
	uint64_t batch_delay_ms;   /* a line waits at most so long for company */
	uint64_t batch_max;        /* bytes before compression */
	uint64_t segment_max;      /* bytes before compression, then a new segment */
	uint64_t segment_age_ms;
	uint64_t segment_silence_ms; /* without a line: closed, compressor released */
	uint64_t window_log;       /* of zstd, at most what the collector allows */
	uint64_t level;            /* of zstd */

	uint64_t reconnect_min_ms; /* first pause after a failure, then doubled ... */
	uint64_t reconnect_max_ms; /* ... up to this; jittered */
	uint64_t reconnect_spread_ms; /* the first try after a session that had lasted */
	uint64_t return_after_ms;  /* to a preferred collector; 0: never */

	uint64_t bandwidth, bandwidth_night; /* bytes a second; 0: no limit */
	struct day_span night;     /* local time */
	uint64_t budget_day;       /* bytes; 0: no limit */
};

#endif
