/* check: what no single option can say about itself. */
#include <string.h>

#include "config/read.h"

enum { BUDGET_MIN = 2 * 1024 * 1024 };

void check_hook(struct reading *r, const void *settings, const struct doc_node *at)
{
	const struct hook_options *h = settings;
	struct doc_mark command = settings_mark(at, "command");

	if (h->type == HOOK_EXEC && h->command.n == 0) {
		reading_error(r, at->mark, "%sa hook of type exec needs "
			      "command: [/path/to/program]", r->prefix);
	} else if (h->type == HOOK_EXEC && h->command.v[0][0] != '/') {
		reading_error(r, command, "%sthe program must be an absolute path; no "
			      "shell and no search path are used", r->prefix);
	} else if (h->type != HOOK_EXEC && h->command.n > 0) {
		reading_error(r, command, "%scommand is only for type exec", r->prefix);
	}
	if (h->type == HOOK_FILE && h->path[0] == '\0') {
		reading_error(r, at->mark, "%sa hook of type file needs "
			      "path: /path/to/file", r->prefix);
	} else if (h->type != HOOK_FILE && h->path[0] != '\0') {
		reading_error(r, settings_mark(at, "path"),
			      "%spath is only for type file", r->prefix);
	}
}

void check_command(struct reading *r, const void *settings, const struct doc_node *at)
{
	const struct sources_command *c = settings;

	if (c->command.n > 0 && c->command.v[0][0] != '/') {
		reading_error(r, settings_mark(at, "command"), "%sthe program must be an "
			      "absolute path; no shell and no search path are used",
			      r->prefix);
	}
	if (c->restart_min_ms > c->restart_max_ms) {
		reading_error(r, settings_mark(at, "restart_min"),
			      "%srestart_min is longer than restart_max", r->prefix);
	}
}

static void check_folders(struct reading *r, const struct strlist *a,
			  const struct strlist *b, const struct doc_node *at)
{
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < b->n; k++) {
			if (strcmp(a->v[i], b->v[k]) == 0) {
				reading_error(r, settings_mark(at, "sources.journal"),
					      "sources.journal: two entries have the "
					      "folder \"%s\"", a->v[i]);
			}
		}
	}
}

/* A folder is read once: its streams have one place. */
static void check_journals(struct reading *r, const struct sources_options *o,
			   const struct doc_node *at)
{
	for (size_t i = 0; i < o->n_journals; i++) {
		for (size_t other = 0; other < i; other++) {
			check_folders(r, &o->journals[i].directories,
				      &o->journals[other].directories, at);
		}
	}
}

void check_syslog(struct reading *r, const void *settings, const struct doc_node *at)
{
	const struct sources_syslog *o = settings;
	bool is_unix = o->type == SYSLOG_UNIX || o->type == SYSLOG_UNIX_STREAM;

	if (is_unix && o->path[0] == '\0') {
		reading_error(r, at->mark, "%sa unix socket needs path: /path/of/socket",
			      r->prefix);
	} else if (!is_unix && o->path[0] != '\0') {
		reading_error(r, settings_mark(at, "path"),
			      "%spath is only for types unix and unix-stream", r->prefix);
	}
	if (strspn(o->mode, "01234567") != strlen(o->mode) ||
	    (strlen(o->mode) == 4 && o->mode[0] != '0')) {
		reading_error(r, settings_mark(at, "mode"),
			      "%smode: permissions in octal, such as \"0660\"", r->prefix);
	}
}

static void check_hooks(struct reading *r, const struct hooks_options *h,
			const struct doc_node *at)
{
	struct doc_mark where = settings_mark(at, "hooks");

	for (size_t i = 0; i < h->n_hooks; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(h->hooks[i].name, h->hooks[j].name) == 0) {
				reading_error(r, where, "hooks: two hooks have the name "
					      "\"%s\"", h->hooks[i].name);
			}
		}
	}
}

/* What redact/ takes: it refuses other words, but can't say where they stand. */
static void check_words(struct reading *r, const struct strlist *l,
			const char *key, const struct doc_node *at)
{
	for (size_t i = 0; i < l->n; i++) {
		size_t n = strlen(l->v[i]);
		bool good = n > 0 && n <= 32;

		for (size_t j = 0; j < n; j++) {
			good = good && l->v[i][j] > ' ' && l->v[i][j] <= '~';
		}
		if (!good) {
			reading_error(r, settings_mark(at, key),
				      "%s: entry %zu must be 1 to 32 printable ASCII "
				      "characters without blanks", key, i + 1);
		}
	}
}

static void check_pseudonyms(struct reading *r, const struct redact_options *o,
			     const struct doc_node *at)
{
	static const char *const fields[] = {"user.name", "user.effective.name",
					     "user.target.name", "group.name"};
	size_t n = o->pseudonym_key == NULL ? 0 : strlen(o->pseudonym_key);

	for (size_t i = 0; i < o->pseudonyms.n; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
			known = known || strcmp(o->pseudonyms.v[i], fields[k]) == 0;
		}
		if (!known) {
			reading_error(r, settings_mark(at, "redact.pseudonyms"),
				      "redact.pseudonyms: \"%s\" is none of user.name, "
				      "user.effective.name, user.target.name, group.name",
				      o->pseudonyms.v[i]);
		}
	}
	if (n != 0 && (n != 32 || strspn(o->pseudonym_key, "0123456789abcdefABCDEF") != n)) {
		reading_error(r, settings_mark(at, "redact.pseudonym_key"),
			      "redact.pseudonym_key must be 32 hexadecimal digits (openssl "
			      "rand -hex 16), or empty");
	}
}

void check_agent(struct reading *r, const void *settings, const struct doc_node *at)
{
	const struct agent_config *c = settings;
	const struct shipper_options *s = &c->shipper;

	check_hooks(r, &c->hooks, at);
	check_journals(r, &c->sources, at);
	check_words(r, &c->redact.keys, "redact.keys", at);
	check_words(r, &c->redact.tokens, "redact.tokens", at);
	check_pseudonyms(r, &c->redact, at);
	if (s->reconnect_min_ms > s->reconnect_max_ms) {
		reading_error(r, settings_mark(at, "shipping.reconnect_min"),
			      "shipping.reconnect_min is longer than "
			      "shipping.reconnect_max");
	}
	if (s->batch_max > s->segment_max) {
		reading_error(r, settings_mark(at, "shipping.batch_max"),
			      "shipping.batch_max is larger than "
			      "shipping.segment_max: a batch must fit into a segment");
	}
	/* One batch fills while another waits for its acknowledgement. */
	if (s->memory_max < 2 * s->batch_max) {
		reading_error(r, settings_mark(at, "shipping.memory_max"),
			      "shipping.memory_max must hold at least two batches of "
			      "shipping.batch_max");
	}
	if (s->spool_max < s->segment_max) {
		reading_error(r, settings_mark(at, "spool.max"),
			      "spool.max must hold at least one segment of "
			      "shipping.segment_max");
	}
	if (s->budget_day > 0 && s->budget_day < BUDGET_MIN) {
		reading_error(r, settings_mark(at, "shipping.budget_day"),
			      "shipping.budget_day must be at least 2MiB, so that the "
			      "largest batch fits");
	}
	if (c->sources.n_files == 0 && c->sources.n_commands == 0 &&
	    c->sources.n_syslog == 0 && c->sources.n_journals == 0 &&
	    !c->sources.read_kernel && !c->sources.read_stdin) {
		reading_error(r, settings_mark(at, "sources.files"),
			      "there is nothing to read: name files in sources.files "
			      "or set sources.stdin: true");
	}
}

void check_collector(struct reading *r, const void *settings,
		     const struct doc_node *at)
{
	const struct collector_config *c = settings;

	check_hooks(r, &c->hooks, at);
}
