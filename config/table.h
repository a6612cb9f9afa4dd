/* table: every option there is, one line each.
 *
 * The line says where the value goes (an offset into agent_config,
 * collector_config or an item of a list), how it is written, what it may be and
 * what it means.  read.c, print.c, reload.c and the free functions walk it; nothing
 * else knows an option by name.
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/doc.h"

/* A configuration is one document, and a flat one. */
static const struct doc_limits config_limits = {.depth = 6, .nodes = 8192};
enum { KEY_MAX_SHOWN = 64 };

enum option_type {
	OPTION_BOOL,      /* bool */
	OPTION_NUMBER,    /* uint64_t */
	OPTION_SIZE,      /* uint64_t, bytes */
	OPTION_DURATION,  /* uint64_t, milliseconds */
	OPTION_TEXT,      /* char *; range: length */
	OPTION_WORD,      /* enum: the index into words */
	OPTION_PATH,      /* char *, absolute; range: length, 0 allows "" for none */
	OPTION_HOST,      /* char * and uint16_t at port */
	OPTION_ADDRESS,   /* the same, IP addresses only */
	OPTION_HOSTS,     /* struct hostlist; range: how many */
	OPTION_SPAN,      /* struct day_span */
	OPTION_TEXTS,     /* struct strlist; range: how many */
	OPTION_PATHS,     /* struct strlist of absolute globs; range: how many */
	OPTION_ITEMS,     /* T * at offset and size_t at port; range: how many */
};

enum reload {
	RELOAD_LIVE,    /* SIGHUP is enough */
	RELOAD_RESTART, /* takes effect when the daemon starts again */
};

struct doc_node;
struct reading;
struct schema;

struct option {
	const char *key; /* "spool.max"; a dot stands for one level */
	enum option_type type;
	size_t offset;
	uint64_t min, max;
	const char *initial; /* the default as it stands in YAML; NULL: required */
	enum reload reload;
	const char *help;    /* sentences; %s stands nowhere */
	const char *example; /* shown where the default is none; may be NULL */
	const char *const *words;   /* OPTION_WORD: ends with NULL */
	const struct schema *items; /* OPTION_ITEMS */
	size_t port;
};

/* A group of options with a common prefix. */
struct section {
	const char *name;
	const char *help;
};

struct schema {
	const char *name; /* "agent", "collector", or of the list's item */
	size_t size;      /* of the struct */
	const struct option *options;
	size_t n;
	const struct section *sections; /* ends with a NULL name */
	/* What no single option can say: reports through reading_error().  NULL:
	 * nothing.  at: the struct's node, or NULL when the file is empty. */
	void (*check)(struct reading *r, const void *settings,
		      const struct doc_node *at);
};

extern const struct schema agent_schema;
extern const struct schema collector_schema;

/* Length of the section's name in front of the last dot, 0 for none. */
size_t option_section(const struct option *o);
/* The key behind the section. */
const char *option_name(const struct option *o);

#endif
