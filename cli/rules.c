/* nightjar rules: which rules there are, whether they are good, what they do. */
#include "cli/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/referred.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "common/sys_uv.h"

enum { FILE_BYTES = 4 * 1024 * 1024, LINE_BYTES = 64 * 1024 };

static void help(void)
{
	fputs("Usage: nightjar rules list|check|test [OPTION]... [FILE|FOLDER]...\n"
	      "       nightjar rules explain [OPTION]... ALERT [FILE]...\n\n"
	      "Works on the rules (Sigma, YAML) in the files and folders named, in those of a\n"
	      "configuration, or on those that are built into the program.\n\n"
	      "  list     each rule: level, id, title, and what it is tried on\n"
	      "  check    each mistake as file:line:column and what to do; and the rules that "
	      "can\n"
	      "           never fire, since no line that is read has a field that they need, or\n"
	      "           that wait for a list or a database\n"
	      "  test     runs the examples that stand in the rules under nightjar: examples:\n"
	      "           logs on which a rule must and must not fire\n"
	      "  explain  what made an alert: its lines, window and count, and what the rule\n"
	      "           asks for. ALERT is the beginning of its alert.id; the FILEs hold\n"
	      "           alerts as JSON, one a line (default: standard input)\n\n"
	      "  -c FILE, --config FILE  the rules of this configuration of an agent\n"
	      "  --defaults              the built-in rules beside those named\n"
	      "  --placeholders FILE     what placeholders such as %Servers% stand for\n"
	      "  --list FILE             a list that rules ask for (repeatable)\n"
	      "  --geoip FILE            a database of places (repeatable)\n"
	      "  --strict                check: a rule that can never fire is a mistake\n"
	      "  --json                  one JSON object a line\n"
	      "  --help                  this text\n\n"
	      "Examples:\n"
	      "  nightjar rules check /etc/nightjar/rules\n"
	      "  nightjar rules test my.yml\n"
	      "  nightjar rules list --json | jq -r 'select(.level == \"high\") | .title'\n"
	      "  nightjar replay auth.log | nightjar rules explain 5cb3\n\n"
	      "How a rule is written: docs/rules.md.\n"
	      "Exit status: 0 good, 1 a mistake or an example that does not hold, 2 used "
	      "wrongly.\n",
	      stdout);
}

/* ---- loading ---- */

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void rules_print_error(const char *file, unsigned line, unsigned column, const char *text)
{
	if (line == 0) {
		fprintf(stderr, "%s: %s\n", file, text); /* the file as a whole */
	} else {
		fprintf(stderr, "%s:%u:%u: %s\n", file, line, column, text);
	}
}

int rules_load_path(const char *command, struct detect *d, const char *path,
		    detect_error_cb on_error, void *arg)
{
	int rc = is_folder(path) ? detect_load_dir(d, sys_plain(), path, on_error, arg)
				 : detect_load_file(d, sys_plain(), path, on_error, arg);

	if (rc < 0) {
		cli_fail(command, "%s: %s", path, err_str(rc));
	}
	return rc < 0 ? rc : 0;
}

static int load_all(const struct rules_from *from, struct detect *d, detect_error_cb on_error,
		    void *arg)
{
	const struct detectors_options *o = &from->config->detectors;
	const char *placeholders = from->placeholders != NULL ? from->placeholders
							      : o->placeholders;
	bool named = from->n_paths > 0, configured = o->packs.n > 0;
	int rc = 0;

	if (placeholders != NULL && placeholders[0] != '\0') {
		rc = detect_placeholders_file(d, sys_plain(), placeholders, on_error, arg);
	}
	if (rc == 0 && (from->defaults || (!named && !configured))) {
		rc = detect_load_defaults(d, on_error, arg);
		rc = rc < 0 ? rc : 0;
	}
	for (size_t i = 0; rc == 0 && !named && i < o->packs.n; i++) {
		rc = rules_load_path("rules", d, o->packs.v[i], on_error, arg);
	}
	for (size_t i = 0; rc == 0 && i < from->n_paths; i++) {
		rc = rules_load_path("rules", d, from->paths[i], on_error, arg);
	}
	return rc;
}

int rules_load(const struct rules_from *from, struct detect **out, detect_error_cb on_error,
	       void *arg)
{
	uint8_t key[16];
	int rc = sys_random(sys_plain(), key, sizeof key);

	*out = NULL;
	rc = rc == 0 ? detect_new(out, &from->config->detectors, key) : rc;
	if (rc == 0) {
		detect_set_refer(*out, from->refer);
	}
	rc = rc == 0 ? load_all(from, *out, on_error, arg) : rc;
	rc = rc == 0 ? detect_compile(*out, on_error, arg) : rc;
	if (rc < 0) {
		detect_free(*out);
		*out = NULL;
	}
	return rc < 0 ? rc : 0;
}

struct texts {
	rules_text_cb cb;
	void *arg;
};

static int read_text(const struct texts *t, const char *path)
{
	FILE *f = fopen(path, "re");
	struct buf text;
	int rc;

	if (f == NULL) {
		return 0; /* loading has complained */
	}
	buf_init(&text, FILE_BYTES + 1);
	rc = buf_reserve(&text, FILE_BYTES);
	if (rc == 0) {
		text.n = fread(text.p, 1, FILE_BYTES, f);
		rc = t->cb(t->arg, path, buf_slice(&text));
	}
	buf_fini(&text);
	fclose(f);
	return rc;
}

/* The file of each rule, once: rules of one file stand together. */
struct files {
	const struct texts *t;
	const char *last;
	int rc;
};

static void on_file(void *arg, const struct detect_rule *rule)
{
	struct files *f = arg;
	const char *packed = NULL;

	if (f->rc < 0 || (f->last != NULL && strcmp(f->last, rule->file) == 0)) {
		return;
	}
	f->last = rule->file;
	for (size_t i = 0; i < detect_n_packs; i++) {
		if (strcmp(rule->file, detect_packs[i].name) == 0) {
			packed = rule->file;
			f->rc = f->t->cb(f->t->arg, packed, detect_packs[i].yaml);
		}
	}
	if (packed == NULL) {
		f->rc = read_text(f->t, rule->file);
	}
}

static void be_silent(void *arg, const char *file, unsigned line, unsigned column,
		      const char *text)
{
	(void)arg;
	(void)file;
	(void)line;
	(void)column;
	(void)text;
}

int rules_each_text(const struct rules_from *from, rules_text_cb cb, void *arg)
{
	const struct texts t = {cb, arg};
	struct files f = {.t = &t};
	struct detect *d;
	int rc = rules_load(from, &d, be_silent, NULL);

	if (rc == 0) {
		detect_rules(d, on_file, &f);
		rc = f.rc;
	}
	detect_free(d);
	return rc;
}

/* ---- list and check ---- */

struct listing {
	bool json, check, strict;
	unsigned refused, rules, never, waiting;
	struct buf line;
};

static void put_line(struct listing *l, struct json *j)
{
	json_object_end(j);
	if (json_end(j) == 0) {
		fwrite(l->line.p, 1, l->line.n, stdout);
		putchar('\n');
	}
}

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	struct listing *l = arg;
	struct json j;

	l->refused++;
	if (!l->json) {
		rules_print_error(file, line, column, text);
		return;
	}
	buf_clear(&l->line);
	j = json_begin(&l->line);
	json_object(&j, NULL);
	json_cstr(&j, "file", file);
	json_u64(&j, "line", line);
	json_u64(&j, "column", column);
	json_cstr(&j, "error", text);
	put_line(l, &j);
}

static void json_rule(struct listing *l, const struct detect_rule *r)
{
	struct json j;

	buf_clear(&l->line);
	j = json_begin(&l->line);
	json_object(&j, NULL);
	json_cstr(&j, "id", r->id);
	json_cstr(&j, "title", r->title);
	json_cstr(&j, "level", severity_name(r->severity));
	json_cstr(&j, "kind", r->kind);
	json_cstr(&j, "file", r->file);
	json_u64(&j, "line", r->line);
	json_bool(&j, "active", r->active);
	json_bool(&j, "alerts", r->alerts);
	json_cstr(&j, "tried", r->tried);
	if (r->never != NULL) {
		json_cstr(&j, "never", r->never);
	}
	if (r->waits != NULL) {
		json_cstr(&j, "waits", r->waits);
	}
	put_line(l, &j);
}

static void check_rule(const struct detect_rule *r, const char *title)
{
	if (r->never != NULL) {
		fprintf(stderr, "%s:%u: %s can never fire: no line that is read has %s\n",
			r->file, r->line, title, r->never);
	} else {
		fprintf(stderr, "%s:%u: %s waits for %s\n", r->file, r->line, title, r->waits);
	}
}

static void on_rule(void *arg, const struct detect_rule *r)
{
	struct listing *l = arg;
	const char *says, *what;
	char title[300];

	l->rules++;
	l->never += r->never != NULL;
	l->waiting += r->waits != NULL;
	if (l->check && r->never == NULL && r->waits == NULL) {
		return;
	}
	if (l->json) {
		json_rule(l, r);
		return;
	}
	log_quote(title, sizeof title, slice_str(r->title));
	if (l->check) {
		check_rule(r, title);
		return;
	}
	says = r->never != NULL     ? ", can never fire: "
	       : r->waits != NULL   ? ", waits for "
	       : r->tried[0] != '\0' ? ": "
				    : "";
	what = r->never != NULL ? r->never : r->waits != NULL ? r->waits : r->tried;
	printf("%-13s %-36s %s\n%14s%s%s%s%s\n", severity_name(r->severity), r->id, title, "",
	       r->kind, !r->active ? ", off" : r->alerts ? "" : ", told only by a correlation",
	       says, what);
}

static int list(const struct rules_from *from, struct listing *l)
{
	struct detect *d;
	int rc;

	buf_init(&l->line, LINE_BYTES);
	rc = rules_load(from, &d, on_error, l);
	if (rc == 0) {
		detect_rules(d, on_rule, l);
	}
	detect_free(d);
	buf_fini(&l->line);
	if (rc < 0) {
		return CLI_FAILED;
	}
	if (l->check && !l->json) {
		printf("%u %s good, %u of them can never fire", l->rules,
		       l->rules == 1 ? "rule is" : "rules are", l->never);
		if (l->waiting > 0) {
			printf(", %u %s for a list or a database", l->waiting,
			       l->waiting == 1 ? "waits" : "wait");
		}
		printf("; %u %s\n", l->refused, l->refused == 1 ? "mistake" : "mistakes");
	}
	if (l->check && l->rules == 0 && l->refused == 0) {
		return cli_fail("rules", "there is no rule in what was named (files *.yml and "
				"*.yaml)");
	}
	return l->refused > 0 || (l->strict && l->never > 0) ? CLI_FAILED : CLI_OK;
}

/* ---- all ---- */

static int load_config(const char *file, struct agent_config **out)
{
	struct config_errors errors;
	int rc = file == NULL
			 ? config_parse_agent("defaults", SLICE_LIT("{}"), out, &errors)
			 : config_load_agent(file, out, &errors);

	for (size_t i = 0; rc != 0 && i < errors.n; i++) {
		cli_fail("rules", "%s", errors.text[i]);
	}
	return rc;
}

static int append(struct strlist *to, const struct strlist *from)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < from->n; i++) {
		rc = strlist_add(to, slice_str(from->v[i]));
	}
	return rc;
}

/* A file that is wrong is a mistake like one in a rule. */
static int open_referred(struct rules_from *from, struct listing *l)
{
	struct detectors_options *o = &from->config->detectors;
	uint8_t key[16];
	bool wrong = false;
	int rc = sys_random(sys_plain(), key, sizeof key);

	rc = rc == 0 ? append(&o->lists, &from->lists) : rc;
	rc = rc == 0 ? append(&o->geoip, &from->geoip) : rc;
	rc = rc == 0 ? referred_open(&from->refer, "rules", o, key, &wrong) : rc;
	l->refused += wrong;
	return rc == 0 ? CLI_OK : cli_fail("rules", "%s", err_str(rc));
}

static int run(struct rules_from *from, struct listing *l, char **words, size_t n)
{
	const char *what = words[0];

	from->paths = words + 1;
	from->n_paths = n - 1;
	if (strcmp(what, "list") == 0 || strcmp(what, "check") == 0) {
		l->check = what[0] == 'c';
		return list(from, l);
	}
	if (strcmp(what, "test") == 0) {
		return rules_test(from, l->json);
	}
	if (strcmp(what, "explain") == 0 && n < 2) {
		return cli_usage("rules", "which alert? Say the beginning of its alert.id");
	}
	if (strcmp(what, "explain") == 0) {
		from->n_paths = 0;
		return rules_explain(from, words + 1, n - 1, l->json);
	}
	return cli_usage("rules", "\"%s\" is none of list, check, test, explain", what);
}

int cmd_rules(int argc, char **argv)
{
	const char *config = NULL;
	struct rules_from from = {.paths = NULL};
	struct listing l = {.json = false};
	const struct argument arguments[] = {
		{"config", 'c', &config, NULL},
		{"placeholders", 0, &from.placeholders, NULL},
		{"list", 0, NULL, NULL, &from.lists},
		{"geoip", 0, NULL, NULL, &from.geoip},
		{"defaults", 0, NULL, &from.defaults},
		{"strict", 0, NULL, &l.strict},
		{"json", 0, NULL, &l.json},
	};
	char **words;
	size_t n;
	int rc = arguments_read_words("rules", argc, argv, arguments,
				      sizeof arguments / sizeof *arguments, help,
				      "say list, check, test or explain", &words, &n);

	if (rc >= 0) {
		return rc;
	}
	rc = load_config(config, &from.config) != 0 ? CLI_FAILED : open_referred(&from, &l);
	rc = rc == CLI_OK ? run(&from, &l, words, n) : rc;
	refer_free(from.refer);
	strlist_fini(&from.lists);
	strlist_fini(&from.geoip);
	agent_config_free(from.config);
	return rc;
}
