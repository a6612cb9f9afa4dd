/* nightjar check: is a configuration file good, and does what it names exist? */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/err.h"
#include "common/json.h"
#include "common/sys_uv.h"
#include "config/config.h"
#include "detectors/refer.h"
#include "common/trust.h"
#include "parsers/zone.h"

enum { WARNINGS_MAX = 64, WARNING_BYTES = 512, OUTPUT_MAX = 256 * 1024 };

/* Things that may be meant, or may come later. */
struct warnings {
	size_t n;
	char text[WARNINGS_MAX][WARNING_BYTES];
};

struct request {
	const char *path;
	bool kind_given;
	enum config_kind kind;
	bool json;
};

static void help(void)
{
	fputs("Usage: nightjar check -c FILE [OPTION]...\n\n"
	      "Reads a configuration as the agent or the collector would and reports "
	      "every\nerror with file, line, column and the remedy. Files and users "
	      "that it names and\nthat are not there are warnings.\n\n"
	      "  -c FILE      the configuration\n"
	      "  --agent      it is an agent's (otherwise its keys tell)\n"
	      "  --collector  it is a collector's\n"
	      "  --json       the answer as JSON\n"
	      "  --help       this text\n\n"
	      "Exit status: 0 good (maybe with warnings), 1 errors, 2 used wrongly.\n"
	      "Example: nightjar check -c /etc/nightjar/agent.yaml\n",
	      stdout);
}

__attribute__((format(printf, 2, 3)))
static void warn(struct warnings *w, const char *fmt, ...)
{
	va_list ap;

	if (w->n < WARNINGS_MAX) {
		va_start(ap, fmt);
		vsnprintf(w->text[w->n++], WARNING_BYTES, fmt, ap);
		va_end(ap);
	}
}

/* ---- what the configuration names ---- */

static void look_file(struct warnings *w, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		warn(w, "%s: %s: %s", key, path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		warn(w, "%s: %s: not a regular file", key, path);
	} else if (access(path, R_OK) != 0 && errno == EACCES) {
		warn(w, "%s: %s: cannot be read by this user", key, path);
	}
}

static void look_key(struct warnings *w, const char *path)
{
	struct stat st;

	look_file(w, "identity.key", path);
	if (stat(path, &st) == 0 && (st.st_mode & 0027) != 0) {
		warn(w, "identity.key: %s: mode %04o is too open; use chmod 0640 or "
		     "stricter", path, st.st_mode & 07777);
	}
}

/* Made by the daemon when it may: the folder above must be there. */
static void look_dir(struct warnings *w, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		warn(w, "%s: %s: %s", key, path, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		warn(w, "%s: %s: not a folder", key, path);
	}
}

static void look_daemon(struct warnings *w, const struct daemon_options *d)
{
	look_dir(w, "state", d->state_dir);
	if (getpwnam(d->user) == NULL) {
		warn(w, "user: there is no user %s", d->user);
	}
	if (!d->sandbox) {
		warn(w, "sandbox: it is off");
	}
}

static void look_hooks(struct warnings *w, const struct hooks_options *hooks)
{
	for (size_t i = 0; i < hooks->n_hooks; i++) {
		const struct hook_options *h = &hooks->hooks[i];

		char file[PATH_MAX], why[TRUST_WHY];

		if (h->type == HOOK_EXEC &&
		    trust_program(h->command.v[0], geteuid(), file, why) != 0) {
			warn(w, "hooks: %s: %s", h->name, why);
		}
	}
}

/* Whoever has the key can try names. */
static void look_pseudonym_key(struct warnings *w, const char *path, const char *key)
{
	struct stat st;

	if (key != NULL && key[0] != '\0' && stat(path, &st) == 0 && (st.st_mode & 0007) != 0) {
		warn(w, "redact.pseudonym_key: %s: mode %04o lets others read the key; use chmod "
		     "0640 or stricter", path, st.st_mode & 07777);
	}
}

static void on_referred(void *arg, const struct refer_told *t)
{
	if (!t->good && t->line > 0) {
		warn(arg, "%s:%u: %s", t->path, t->line, t->text);
	} else if (!t->good) {
		warn(arg, "%s: %s", t->path, t->text);
	}
}

/* Lists and databases are read, as the agent would. */
static void look_referred(struct warnings *w, const struct detectors_options *o)
{
	static const uint8_t any_key[16];
	struct refer *r;

	if (refer_new(&r, o, any_key) != 0) {
		return;
	}
	refer_check(r, on_referred, w);
	refer_load(r, sys_plain(), on_referred, w);
	refer_free(r);
}

static void look_agent(struct warnings *w, const char *path, const struct agent_config *c)
{
	look_pseudonym_key(w, path, c->redact.pseudonym_key);
	look_daemon(w, &c->daemon);
	look_hooks(w, &c->hooks);
	for (size_t i = 0; i < c->sources.n_files; i++) {
		const char *name = c->sources.files[i].zone;
		struct zone *z;
		int rc = zone_open(&z, sys_plain(), name);

		if (rc != 0) {
			warn(w, "sources.files: zone %s: %s", name, err_str(rc));
		} else {
			zone_free(z);
		}
	}
	if (!c->redact.enabled) {
		warn(w, "redact.enabled: secrets are not masked");
	}
	for (size_t i = 0; c->detectors.enabled && i < c->detectors.packs.n; i++) {
		look_dir(w, "detectors.packs", c->detectors.packs.v[i]);
	}
	if (c->detectors.enabled) {
		look_referred(w, &c->detectors);
	}
	if (c->has_collector) {
		look_file(w, "identity.certificate", c->shipper.certificate);
		look_key(w, c->shipper.key);
		look_file(w, "identity.authority", c->shipper.authority);
		look_dir(w, "spool.directory", c->shipper.spool_dir);
	} else if (c->hooks.n_hooks == 0) {
		warn(w, "there is neither a collector nor a hook: alerts go nowhere");
	}
}

static void look_collector(struct warnings *w, const struct collector_config *c)
{
	look_daemon(w, &c->daemon);
	look_hooks(w, &c->hooks);
	look_file(w, "identity.certificate", c->collector.certificate);
	look_key(w, c->collector.key);
	look_file(w, "identity.authority", c->collector.authority);
	look_dir(w, "store.directory", c->collector.store_dir);
}

/* ---- the answer ---- */

static void list_json(struct json *j, const char *key, const char *first,
		      size_t room, size_t n)
{
	json_array(j, key);
	for (size_t i = 0; i < n; i++) {
		json_cstr(j, NULL, first + i * room);
	}
	json_array_end(j);
}

static int answer_json(const struct request *r, bool good,
		       const struct config_errors *errs,
		       const struct warnings *w)
{
	struct buf out;
	struct json j;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	j = json_begin(&out);
	json_object(&j, NULL);
	json_cstr(&j, "file", r->path);
	json_cstr(&j, "kind", r->kind == CONFIG_AGENT ? "agent" : "collector");
	json_bool(&j, "valid", good);
	list_json(&j, "errors", errs->text[0], CONFIG_ERROR_BYTES,
		  good ? 0 : errs->n);
	json_u64(&j, "errors_not_shown", good ? 0 : errs->more);
	list_json(&j, "warnings", w->text[0], WARNING_BYTES, w->n);
	json_object_end(&j);
	rc = json_end(&j);
	if (rc == 0) {
		printf("%.*s\n", (int)out.n, out.p);
	}
	buf_fini(&out);
	if (rc != 0) {
		return cli_fail("check", "%s", err_str(rc));
	}
	return good ? CLI_OK : CLI_FAILED;
}

static int answer(const struct request *r, int rc,
		  const struct config_errors *errs, const struct warnings *w)
{
	if (r->json) {
		return answer_json(r, rc == 0, errs, w);
	}
	for (size_t i = 0; rc != 0 && i < errs->n; i++) {
		fprintf(stderr, "%s\n", errs->text[i]);
	}
	if (rc != 0 && errs->more > 0) {
		fprintf(stderr, "... and %zu more\n", errs->more);
	}
	for (size_t i = 0; i < w->n; i++) {
		fprintf(stderr, "warning: %s\n", w->text[i]);
	}
	if (rc != 0) {
		return CLI_FAILED;
	}
	printf("%s: good (%s)\n", r->path,
	       r->kind == CONFIG_AGENT ? "agent" : "collector");
	return CLI_OK;
}

/* Without --agent or --collector the keys tell.  A file that can't be read or
 * is no YAML is left to the loader, which says it better. */
static int find_kind(struct request *r)
{
	char *text;
	size_t n;
	int rc;

	if (r->kind_given) {
		return CLI_OK;
	}
	r->kind = CONFIG_AGENT;
	if (sys_read_file(sys_plain(), r->path, CONFIG_FILE_MAX, &text, &n) != 0) {
		return CLI_OK;
	}
	rc = config_guess(slice(text, n), &r->kind);
	free(text);
	if (rc == UV_ENOENT) {
		return cli_usage("check", "%s: nothing in it tells whose it is; add "
				 "--agent or --collector", r->path);
	}
	return CLI_OK;
}

static int check(struct request *r)
{
	struct config_errors errs;
	struct warnings w = {.n = 0};
	struct collector_config *collector;
	struct agent_config *agent;
	int rc = find_kind(r);

	if (rc != CLI_OK) {
		return rc;
	}
	if (r->kind == CONFIG_AGENT) {
		rc = config_load_agent(r->path, &agent, &errs);
		if (rc == 0) {
			look_agent(&w, r->path, agent);
			agent_config_free(agent);
		}
	} else {
		rc = config_load_collector(r->path, &collector, &errs);
		if (rc == 0) {
			look_collector(&w, collector);
			collector_config_free(collector);
		}
	}
	return answer(r, rc, &errs, &w);
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"agent", no_argument, NULL, 'A'},
		{"collector", no_argument, NULL, 'C'},
		{"config", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct request r = {0};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		switch (c) {
		case 'A':
		case 'C':
			r.kind_given = true;
			r.kind = c == 'A' ? CONFIG_AGENT : CONFIG_COLLECTOR;
			break;
		case 'c':
			r.path = optarg;
			break;
		case 'j':
			r.json = true;
			break;
		case 'h':
			help();
			return CLI_OK;
		case ':':
			return cli_usage("check", "%s needs a value", argv[optind - 1]);
		default:
			return cli_usage("check", "unknown option %s", argv[optind - 1]);
		}
	}
	if (optind < argc) {
		return cli_usage("check", "unexpected \"%s\"; name the file with -c",
				 argv[optind]);
	}
	if (r.path == NULL) {
		return cli_usage("check", "name the file with -c FILE");
	}
	return check(&r);
}
