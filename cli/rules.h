/* rules: what the commands of `nightjar rules` share.  Internal to cli/. */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/strlist.h"
#include "config/config.h"
#include "detectors/detect.h"

/* Which rules: those of the files and folders named, or else those of a configuration
 * (without one, those built in). */
struct rules_from {
	char **paths;
	size_t n_paths;
	bool defaults;            /* the built-in ones as well */
	const char *placeholders; /* a file, or NULL */
	struct strlist lists, geoip; /* beside those of the configuration */
	struct agent_config *config;
	struct refer *refer; /* of all of these */
};

/* A mistake on standard error: "FILE:LINE:COLUMN: TEXT", or "FILE: TEXT" with line 0. */
void rules_print_error(const char *file, unsigned line, unsigned column, const char *text);
/* The rules of a file, or of all in a folder.  0, or a negative error after command has said it. */
int rules_load_path(const char *command, struct detect *d, const char *path,
		    detect_error_cb on_error, void *arg);
/* A compiled set.  Complaints go to on_error.  0, or a negative error after it was said. */
int rules_load(const struct rules_from *from, struct detect **out, detect_error_cb on_error,
	       void *arg);
/* Hands the text of every rule file to cb; a negative answer ends it and is returned. */
typedef int (*rules_text_cb)(void *arg, const char *name, struct slice yaml);
int rules_each_text(const struct rules_from *from, rules_text_cb cb, void *arg);

int rules_test(const struct rules_from *from, bool json);
/* argv: the alert's id, and the files in which it may stand. */
int rules_explain(const struct rules_from *from, char **argv, size_t n, bool json);

#endif
