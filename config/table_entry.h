/* table_entry: how a line of the table of options is written; for table.c (items of lists, the
 * agent) and table_collector.c, which define what config/table.h declares. */
#ifndef CONFIG_TABLE_ENTRY_H
#define CONFIG_TABLE_ENTRY_H

#include <stddef.h>

#include "config/config.h"
#include "config/table.h"

/* Where a field lies, refused by the compiler when its type is not the one that
 * the option's type needs. */
#define FIELD(type, s, f)                                                      \
	(offsetof(s, f) +                                                      \
	 0 * sizeof(_Generic(((s *)NULL)->f, type: ((s *)NULL)->f)))
#define ENUM(s, f)                                                             \
	(offsetof(s, f) +                                                      \
	 0 * sizeof(char[sizeof ((s *)NULL)->f == sizeof(unsigned) ? 1 : -1]))
#define ARRAY(s, f)                                                            \
	(offsetof(s, f) + 0 * sizeof *((s *)NULL)->f)

#define BOOL(s, f) OPTION_BOOL, FIELD(bool, s, f), 0, 1
#define NUMBER(s, f, lo, hi) OPTION_NUMBER, FIELD(uint64_t, s, f), lo, hi
#define SIZE(s, f, lo, hi) OPTION_SIZE, FIELD(uint64_t, s, f), lo, hi
#define DURATION(s, f, lo, hi) OPTION_DURATION, FIELD(uint64_t, s, f), lo, hi
#define TEXT(s, f, lo, hi) OPTION_TEXT, FIELD(char *, s, f), lo, hi
#define PATH(s, f) OPTION_PATH, FIELD(char *, s, f), 1, PATH_LENGTH
/* sun_path has 108 bytes. */
#define SOCKET(s, f) OPTION_PATH, FIELD(char *, s, f), 0, 107
#define PATH_OR_NONE(s, f) OPTION_PATH, FIELD(char *, s, f), 0, PATH_LENGTH
#define PATHS(s, f, lo, hi) OPTION_PATHS, FIELD(struct strlist, s, f), lo, hi
#define TEXTS(s, f, lo, hi) OPTION_TEXTS, FIELD(struct strlist, s, f), lo, hi
#define WORD(s, f) OPTION_WORD, ENUM(s, f), 0, 0
#define HOST(s, f) OPTION_HOST, FIELD(char *, s, f), 0, 0
#define HOSTS(s, f, hi) OPTION_HOSTS, FIELD(struct hostlist, s, f), 0, hi
#define SPAN(s, f) OPTION_SPAN, FIELD(struct day_span, s, f), 0, 0
#define ADDRESS(s, f) OPTION_ADDRESS, FIELD(char *, s, f), 0, 0
#define ITEMS(s, f, hi) OPTION_ITEMS, ARRAY(s, f), 0, hi

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define RESTART RELOAD_RESTART
#define LIVE RELOAD_LIVE

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

enum { PATH_LENGTH = 4095, ITEMS_MAX = 64, SYSLOG_MAX = 32, JOURNALS_MAX = 8, LIST_MAX = 256 };

extern const char *const level_words[]; /* enum log_level's; table.c */
extern const struct schema hook_schema; /* an item of `hooks`; table.c */

#define HOOKS_HELP                                                             \
	"Where alerts go. Each is delivered at least once, and always under the " \
	"same id."
#define HOOKS_OPTION(s)                                                        \
	{"hooks", ITEMS(s, hooks.hooks, ITEMS_MAX), "[]", LIVE, HOOKS_HELP, \
	 .items = &hook_schema, .port = FIELD(size_t, s, hooks.n_hooks)}

#endif
