/* read: a tree of nodes fills a struct as its schema says.
 *
 * For the files of config/ only; config.h is what others use.
 */
#ifndef CONFIG_READ_H
#define CONFIG_READ_H

#include "common/doc.h"
#include "config/config.h"
#include "config/table.h"

struct reading {
	const char *name;           /* of the file, for errors; borrowed */
	const char *prefix;         /* "sources.files: " while in such a list, or "" */
	struct config_errors *errs;
	int rc;                     /* UV_ENOMEM, else 0; errors are in errs */
};

/* Adds "NAME:LINE:COLUMN: text". */
void reading_error(struct reading *r, struct doc_mark at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads root (NULL: an empty file) into settings, zeroed memory of s->size
 * bytes; what the file does not say gets its default.  Everything wrong is
 * reported; settings can be freed by settings_fini() in any case. */
void settings_read(struct reading *r, const struct schema *s,
		   const struct doc_node *root, void *settings);
/* Frees what hangs on the struct, not the struct. */
void settings_fini(const struct schema *s, void *settings);

/* Where "a.b" stands in the file, or {1, 1}. */
struct doc_mark settings_mark(const struct doc_node *root, const char *key);

/* The rules about more than one option (check.c). */
void check_agent(struct reading *r, const void *settings, const struct doc_node *at);
void check_collector(struct reading *r, const void *settings,
		     const struct doc_node *at);
void check_command(struct reading *r, const void *settings, const struct doc_node *at);
void check_hook(struct reading *r, const void *settings, const struct doc_node *at);
void check_syslog(struct reading *r, const void *settings, const struct doc_node *at);

#endif
