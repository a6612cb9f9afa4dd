/* log: what the daemons say about themselves, as key=value on one stream.
 *
 * A message is a short constant sentence followed by pairs, for example
 *   log_warn("cannot open the log file, trying again in 10 s",
 *            "path=%s error=\"%s\"", path, err_str(rc));
 * gives
 *   time=2026-11-22T15:37:46.123Z level=warn msg="cannot open ..." path=...
 * Ids, lengths and file names only: never the contents of a record, never a
 * key.  Values from outside go through log_quote().
 *
 * Any thread.  Writes one line with one write(2) to standard error; errno is
 * left as it was.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>

#include "common/slice.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
		 LOG_LEVEL_DEBUG };

/* What is not logged costs one comparison.  Default: info. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug"; returns -1 for anything else. */
int log_level_parse(struct slice name);
/* Where lines go instead of standard error (tests, simulation); NULL: back. */
void log_set_sink(void (*sink)(void *arg, enum log_level level,
			       struct slice line),
		  void *arg);

void log_write(enum log_level level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* msg and reason="...", for a text that was put together from others' and may hold
 * quotes; at most 1 KiB of it. */
void log_reason(enum log_level level, const char *msg, const char *why);

#define log_error(msg, ...) log_write(LOG_LEVEL_ERROR, msg, "" __VA_ARGS__)
#define log_warn(msg, ...) log_write(LOG_LEVEL_WARN, msg, "" __VA_ARGS__)
#define log_info(msg, ...) log_write(LOG_LEVEL_INFO, msg, "" __VA_ARGS__)
#define log_debug(msg, ...)                                                  \
	do {                                                                 \
		if (log_get_level() >= LOG_LEVEL_DEBUG) {                    \
			log_write(LOG_LEVEL_DEBUG, msg, "" __VA_ARGS__);     \
		}                                                            \
	} while (0)

/* Writes s into out as a quoted value: printable ASCII stays, everything else
 * becomes \xNN, cut with "..." to fit.  Returns out. */
const char *log_quote(char *out, size_t room, struct slice s);

#endif
