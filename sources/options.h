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

/* What goes when the spool is full (shipper/options.h): by default what spool.policy
 * says for lines that can't be read again, while files wait. */
enum sources_full {
	SOURCES_FULL_DEFAULT,
	SOURCES_FULL_PAUSE,
	SOURCES_FULL_DROP_OLDEST,
	SOURCES_FULL_DROP_NEWEST,
};

struct sources_file {
	struct strlist paths;   /* absolute globs, at least one */
	struct strlist exclude; /* globs; a file that matches one is left alone */
	char *zone;   /* of stamps without one: "local", "UTC", "+02:00" or an IANA name */
	char *label;  /* for people, travels with the stream; "" for none */
	char *program; /* of lines whose header names none; "" for none */
	enum sources_from from;
	enum sources_full full;
};

/* The same for what is no file: it travels with every stream of the source. */
struct sources_about {
	char *label, *program, *zone; /* as a file's */
	enum sources_full full;
};

/* A program whose output is read. */
struct sources_command {
	struct strlist command; /* argv; argv[0] is an absolute path */
	struct sources_about about;
	uint64_t restart_min_ms, restart_max_ms; /* the pause after it has ended */
};

struct sources_options {
	struct sources_file *files;
	size_t n_files;
	struct sources_command *commands;
	size_t n_commands;
	bool read_stdin;               /* lines from standard input as well */
	uint64_t line_max;             /* bytes, LIMIT_LINE_MAX at most */
	uint64_t poll_interval_ms;     /* looking at files without a notification */
	uint64_t last_line_timeout_ms; /* for a last line without newline */
	uint64_t max_open;             /* log files open at once; 0: 1024 */
};

#endif
