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

/* Whether the kernel's notifications of changed files are asked for: where the file system
 * can be believed, everywhere, nowhere.  Files are polled in any case. */
enum sources_notify { SOURCES_NOTIFY_AUTO, SOURCES_NOTIFY_ALWAYS, SOURCES_NOTIFY_NEVER };

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

/* Whose lines count as a daemon's (parsers/trust.h). */
enum sources_senders { SOURCES_ANYONE, SOURCES_PROVED };

/* The same for what is no file: it travels with every stream of the source. */
struct sources_about {
	char *label, *program, *zone; /* as a file's */
	enum sources_full full;
	enum sources_senders senders; /* of a journal, of syslog sockets */
};

/* A program whose output is read. */
struct sources_command {
	struct strlist command; /* argv; argv[0] is an absolute path */
	struct sources_about about;
	uint64_t restart_min_ms, restart_max_ms; /* the pause after it has ended */
};

enum sources_syslog_type { SYSLOG_UNIX, SYSLOG_UNIX_STREAM, SYSLOG_UDP, SYSLOG_TCP };

/* What goes when nothing takes the messages of a socket and its buffer is full. */
enum sources_overflow { SOURCES_DROP_NEWEST, SOURCES_DROP_OLDEST };

/* A socket that syslog messages come to. */
struct sources_syslog {
	enum sources_syslog_type type;
	char *path;           /* unix sockets; "" for the others */
	char *mode, *owner;   /* of path: "0666"; "user:group", "" for ours */
	char *address;        /* UDP, TCP: an IP address */
	uint16_t port;
	struct sources_about about;
	uint64_t rate, burst; /* messages a second of one peer, 0: any number; at once */
	uint64_t peers;       /* told apart */
	uint64_t connections;
	uint64_t idle_timeout_ms; /* of a connection; 0: none */
	uint64_t buffer;      /* bytes of messages that wait, of all peers */
	uint64_t receive_buffer; /* bytes, the kernel's */
	enum sources_overflow overflow;
};

/* Files that are watched, not read. */
struct sources_watch {
	bool enabled;
	struct strlist paths;   /* absolute globs */
	struct strlist exclude;
	uint64_t poll_ms;       /* stat of all of them */
	uint64_t hash_ms;       /* hash of all of them */
	uint64_t hash_max;      /* bytes; larger ones are not hashed */
};

/* Folders of the systemd journal. */
struct sources_journal {
	struct strlist directories; /* absolute; with the folders in them */
	struct strlist names;  /* globs of files' names: "system", "user-*"; empty: all */
	struct strlist units;  /* globs; empty: all */
	struct strlist fields; /* that are kept beside the message */
	enum sources_from from;
	struct sources_about about;
};

struct sources_options {
	struct sources_file *files;
	size_t n_files;
	struct sources_command *commands;
	size_t n_commands;
	struct sources_syslog *syslog;
	size_t n_syslog;
	struct sources_watch watch;
	bool read_kernel;              /* /dev/kmsg */
	struct sources_journal *journals;
	size_t n_journals;
	bool read_stdin;               /* lines from standard input as well */
	uint64_t line_max;             /* bytes, LIMIT_LINE_MAX at most */
	uint64_t poll_interval_ms;     /* looking at files without a notification */
	enum sources_notify notify;
	uint64_t last_line_timeout_ms; /* for a last line without newline */
	uint64_t max_open;             /* log files open at once; 0: 1024 */
};

#endif
