/* pace: how much may be sent now: bytes a second, by day and by night, and bytes a
 * day for links that are paid for by volume.
 *
 * Alerts are always sent; they count.  Everything that is handed to the link counts,
 * with an allowance for what TLS, TCP and IP add.
 *
 * Pure: the caller tells the time.  Local time of day is what localtime_r() makes of
 * it.
 */
#ifndef SHIPPER_PACE_H
#define SHIPPER_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct shipper_options;

enum pace_wait { PACE_GO, PACE_BANDWIDTH, PACE_BUDGET };

struct pace {
	const struct shipper_options *options; /* kept */
	bool started;
	int64_t credit;    /* bytes; below 0 after a batch larger than what was left */
	int64_t counted_ns; /* monotonic: credit is of then */
	uint32_t day;      /* local, days since 1970 */
	uint64_t spent;    /* in that day */
	enum pace_wait wait; /* what the last pace_ask() said */
};

/* May n bytes that are no alert go now? */
enum pace_wait pace_ask(struct pace *p, uint64_t n, int64_t mono_ns,
			int64_t wall_ns);
/* n bytes were handed to the link in one message. */
void pace_sent(struct pace *p, uint64_t n, int64_t mono_ns, int64_t wall_ns);
/* A connection was made: its handshake counts as well. */
void pace_connected(struct pace *p, int64_t mono_ns, int64_t wall_ns);
/* Bytes a second at that time; 0: no limit. */
uint64_t pace_rate(const struct pace *p, int64_t wall_ns);
/* Brings the day up to date and returns what was sent in it. */
uint64_t pace_today(struct pace *p, int64_t wall_ns);
const char *pace_wait_name(enum pace_wait w);

#endif
