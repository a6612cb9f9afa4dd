/* config: a YAML file becomes a struct, or a list of what is wrong with it.
 *
 * One table (config/table.c) with one line for each option drives parsing,
 * defaults, checks, `nightjar config`, docs/config.md and the man page.  This
 * folder knows each stage's options.h and nothing else of it.
 *
 * Threads   Any; no state but what is passed in.
 * Blocking  config_load_*() read a file.
 * Errors    Named at each function.  Whatever is wrong with the text itself is
 *           described in struct config_errors, one line each, all of them up
 *           to CONFIG_ERRORS_MAX; the call then returns ERR_CONFIG.
 *
 * A changed file: load it into a fresh struct, ask agent_config_pinned() what of it has
 * to wait for a restart, and exchange the rest with agent_config_swap_live().
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "alerts/options.h"
#include "collector/options.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "detectors/options.h"
#include "hooks/options.h"
#include "redact/options.h"
#include "shipper/options.h"
#include "sources/options.h"

#define CONFIG_AGENT_PATH "/etc/nightjar/agent.yaml"
#define CONFIG_COLLECTOR_PATH "/etc/nightjar/collector.yaml"
#define CONFIG_AGENT_CONTROL "/run/nightjar/agent.sock"
#define CONFIG_COLLECTOR_CONTROL "/run/nightjar-collector/collector.sock"

enum { CONFIG_PORT = 7514 }; /* where collectors listen by default */

/* What every daemon has. */
struct daemon_options {
	char *state_dir;
	char *user;    /* to drop to when started as root */
	char *control; /* path of the control socket; "" for none */
	enum log_level log_level;
	bool sandbox;  /* seccomp and landlock */
};

struct agent_config {
	struct daemon_options daemon;
	/* false: no `collector:`; the agent detects and alerts alone. */
	bool has_collector;
	struct sources_options sources;
	struct redact_options redact;
	struct detectors_options detectors;
	struct alerts_options alerts;
	struct hooks_options hooks;
	struct shipper_options shipper;
};

struct collector_config {
	struct daemon_options daemon;
	struct collector_options collector;
	struct hooks_options hooks;
};

enum { CONFIG_ERRORS_MAX = 20, CONFIG_ERROR_BYTES = 512,
       CONFIG_FILE_MAX = 1024 * 1024 };

/* What is wrong, in the order of the file.  About 10 KiB: caller's memory. */
struct config_errors {
	size_t n;    /* lines in text[] */
	size_t more; /* errors beyond them */
	char text[CONFIG_ERRORS_MAX][CONFIG_ERROR_BYTES];
};

/* On success *out belongs to the caller (agent_config_free()); on an error it is
 * NULL and errs says why, in at least one line: ERR_CONFIG, or the error of
 * reading the file (UV_ENOENT, ERR_TOO_LARGE ...), or UV_ENOMEM. */
int config_load_agent(const char *path, struct agent_config **out,
		      struct config_errors *errs);
/* The same from memory; name stands in front of the errors. */
int config_parse_agent(const char *name, struct slice text,
		       struct agent_config **out, struct config_errors *errs);
/* Frees the struct and every string in it; NULL allowed. */
void agent_config_free(struct agent_config *c);

int config_load_collector(const char *path, struct collector_config **out,
			  struct config_errors *errs);
int config_parse_collector(const char *name, struct slice text,
			   struct collector_config **out,
			   struct config_errors *errs);
void collector_config_free(struct collector_config *c);

/* What differs between the two and can't change while the daemon runs: the
 * keys of those options, as the texts of errs.  Returns how many. */
size_t agent_config_pinned(const struct agent_config *now,
			   const struct agent_config *next,
			   struct config_errors *errs);
size_t collector_config_pinned(const struct collector_config *now,
			       const struct collector_config *next,
			       struct config_errors *errs);

/* The same of those that can change. */
size_t agent_config_changed(const struct agent_config *now,
			    const struct agent_config *next,
			    struct config_errors *keys);
size_t collector_config_changed(const struct collector_config *now,
				const struct collector_config *next,
				struct config_errors *keys);

/* Exchanges the options that can change while the daemon runs.  What points to the
 * structs stays good; what points to a string or an array in them does not: it has to
 * be told.  Done twice, nothing has happened. */
void agent_config_swap_live(struct agent_config *a, struct agent_config *b);
void collector_config_swap_live(struct collector_config *a, struct collector_config *b);

/* What came of a reload. */
struct config_answer {
	struct config_errors errs;    /* why not; each list is caller's memory */
	struct config_errors taken;   /* what was taken up, section by section */
	struct config_errors restart; /* as agent_config_pinned() gives it */
	struct config_errors notes;   /* what was not, and why */
};

/* "sources.syslog: 1 kept, 2 added" and the like; numbers that are 0 are left out, and so
 * is the line when nothing has changed. */
void config_answer_counts(struct config_errors *taken, const char *key, size_t kept,
			  size_t changed, size_t added, size_t gone);
/* All of them on standard error. */
void config_errors_print(const struct config_errors *e);
/* A line more, cut to fit; beyond CONFIG_ERRORS_MAX they are counted. */
void config_errors_add(struct config_errors *e, const char *text);
/* As JSON {"ok", "errors", "taken", "restart", "notes"} and in the log. */
void config_answer(struct json *j, bool ok, const char *path,
		   const struct config_answer *a);

enum config_kind { CONFIG_AGENT, CONFIG_COLLECTOR };

/* Whose configuration this is, by the top-level keys that only one of the two
 * knows.  UV_ENOENT: none of them is there; ERR_MALFORMED: not YAML. */
int config_guess(struct slice text, enum config_kind *out);

/* Every option with its default, explained by comments: a valid configuration.
 * template: each option is commented out, so that the file, once edited, says
 * only what differs.  Appends; UV_ENOMEM, ERR_TOO_LARGE. */
int config_print_yaml(enum config_kind kind, bool template, struct buf *out);
/* An array of options: key, type, default, minimum, maximum, choices, reload, help. */
int config_print_json(enum config_kind kind, struct buf *out);
/* docs/config.md, and the list of options in nightjar.yaml(5); both programs. */
int config_print_markdown(struct buf *out);
int config_print_mdoc(struct buf *out);

#endif
