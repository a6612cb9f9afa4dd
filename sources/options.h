/* options: the settings of sources/.  Plain data: config/ fills it in, owns every
 * string and keeps it alive while the stage runs.
 */
#ifndef SOURCES_OPTIONS_H
#define SOURCES_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strlist.h"

/* Where reading starts in a file that is there at the very first start. */
enum sources_from { SOURCES_FROM_BEGINNING, SOURCES_FROM_END };

struct sources_file {
	struct strlist paths;   /* absolute globs, at least one */
	struct strlist exclude; /* globs; a file that matches one is left alone */
	char *zone;   /* of stamps without one: "local", "UTC", "+02:00" or an IANA name */
	char *label;  /* for people, travels with the stream; "" for none */
	char *program; /* of lines whose header names none; "" for none */
	enum sources_from from;
};

/* The same for what is no file: it travels with every stream of the source. */
struct sources_about {
	char *label, *program, *zone; /* as a file's */
};

struct sources_options {
	struct sources_file *files;
	size_t n_files;
	bool read_stdin;               /* lines from standard input as well */
	uint64_t line_max;             /* bytes, LIMIT_LINE_MAX at most */
	uint64_t poll_interval_ms;     /* looking at files without a notification */
	uint64_t last_line_timeout_ms; /* for a last line without newline */
	uint64_t max_open;             /* log files open at once; 0: 1024 */
};

#endif
