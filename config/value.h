/* value: what stands behind a key: durations, sizes, addresses and the like as
 * text and as numbers.
 *
 * Pure; any thread.  A parser takes the whole slice or none of it.  When it says
 * no, `why` is a constant sentence that names the remedy, fit to stand behind
 * the value and a colon.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"
#include "common/timefmt.h"

/* "true" or "false". */
bool value_bool(struct slice s, bool *out, const char **why);
/* Decimal digits. */
bool value_number(struct slice s, uint64_t *out, const char **why);
/* Milliseconds: whole numbers with units w, d, h, m, s, ms, the greater first,
 * each at most once: "1h30m", "500ms". */
bool value_duration(struct slice s, uint64_t *out, const char **why);
/* Bytes: a whole number and one unit: B, KiB, MiB, GiB, TiB (1024) or KB, MB, GB,
 * TB (1000). */
bool value_size(struct slice s, uint64_t *out, const char **why);

/* A host and maybe a port: "collector.example.net:7514", "192.0.2.1",
 * "[2001:db8::1]:7514", "2001:db8::1".  *host is part of s, without brackets;
 * *port is left alone when s has none.  only_ip: a name is refused. */
bool value_host_port(struct slice s, bool only_ip, struct slice *host,
		     uint16_t *port, const char **why);
/* "22:00-06:00", or nothing for never. */
bool value_span(struct slice s, struct day_span *out, const char **why);
/* An absolute path without "..", as it may be opened. */
bool value_path(struct slice s, const char **why);
/* No control characters: what may be shown and logged. */
bool value_text(struct slice s, const char **why);

enum { VALUE_TEXT = 64 };
/* The shortest exact form that the parser above reads back, NUL-terminated. */
void value_format_duration(char out[static VALUE_TEXT], uint64_t ms);
void value_format_size(char out[static VALUE_TEXT], uint64_t bytes);

/* How many letters must be added, dropped, exchanged or swapped with their
 * neighbour to make one of the other (optimal string alignment distance); more
 * than VALUE_DISTANCE_MAX for words longer than 63 bytes. */
enum { VALUE_DISTANCE_MAX = 63 };
unsigned value_distance(struct slice a, struct slice b);

#endif
