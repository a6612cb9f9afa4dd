/* nightjar rules explain: what made an alert.  Its JSON may be anybody's word: it is read
 * and shown anew, never printed as it came. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/rules.h"
#include "common/doc.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"

enum { LINE_MAX_BYTES = 128 * 1024 };

struct explaining {
	const struct rules_from *from;
	const char *id; /* or its beginning */
	char full[64];  /* of the one that was found first */
	bool json, ambiguous;
	unsigned found;
};

static const char *text_of(json_t *root, const char *object, const char *key)
{
	const char *s = json_string_value(json_object_get(json_object_get(root, object), key));

	return s == NULL ? "" : s;
}

static void put(const char *what, const char *text)
{
	char shown[4096];

	printf("  %-8s %s\n", what, log_quote(shown, sizeof shown, slice_str(text)));
}

/* ---- what the rule asks for ---- */

struct asking {
	const char *rule_id;
	struct slice yaml;
	const char *file;
	bool found;
};

static struct slice line_at(struct slice text, unsigned line)
{
	while (line > 1 && text.n > 0) {
		size_t at = slice_find(text, SLICE_LIT("\n"));

		text = at == SIZE_MAX ? SLICE_NONE : slice_skip(text, at + 1);
		line--;
	}
	return text;
}

static size_t indent(struct slice line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == ' ') {
		n++;
	}
	return n;
}

/* The section as it stands in the file: up to the next line that is not indented more. */
static void put_section(const struct asking *a, const struct doc_node *n)
{
	struct slice rest = line_at(a->yaml, n->key_mark.line);
	size_t least = indent(rest);
	char shown[1024];

	for (unsigned i = 0; i < 60 && rest.n > 0; i++) {
		size_t at = slice_find(rest, SLICE_LIT("\n"));
		struct slice line = slice_head(rest, at);

		if (i > 0 && line.n > 0 && indent(line) <= least) {
			break;
		}
		log_quote(shown, sizeof shown, line);
		if (line.n > 0) {
			/* Without the quotes: it is the user's own file. */
			printf("    %.*s\n", (int)strlen(shown) - 2, shown + 1);
		}
		rest = at == SIZE_MAX ? SLICE_NONE : slice_skip(rest, at + 1);
	}
}

static int on_document(void *arg, const struct doc_node *root)
{
	static const char *const watched[] = {"first_seen", "silence", "rate", "schedule"};
	struct asking *a = arg;
	const struct doc_node *id = doc_find(root, "id"), *n = doc_find(root, "correlation");
	const struct doc_node *own = doc_find(root, "nightjar");

	if (a->found || id == NULL || !slice_eq(id->text, slice_str(a->rule_id))) {
		return 0;
	}
	a->found = true;
	n = n != NULL ? n : doc_find(root, "detection");
	printf("  %-8s %s, line %u:\n", "asks for", a->file, root->mark.line);
	if (n != NULL) {
		put_section(a, n);
	}
	for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
		n = doc_find(own, watched[i]);
		if (n != NULL) {
			put_section(a, n);
		}
	}
	n = doc_find(own, "reason");
	if (n != NULL && n->kind == DOC_SCALAR) {
		put("reason", n->text.p);
	}
	return 0;
}

static int on_text(void *arg, const char *name, struct slice yaml)
{
	static const struct doc_limits limits = {.depth = 16, .nodes = 20000};
	struct asking *a = arg;
	struct doc_error err;

	a->file = name;
	a->yaml = yaml;
	return doc_each(yaml, limits, on_document, a, &err) == UV_ENOMEM ? UV_ENOMEM : 0;
}

static void put_rule(const struct explaining *x, const char *rule_id)
{
	struct asking a = {.rule_id = rule_id};

	(void)rules_each_text(x->from, on_text, &a);
	if (!a.found) {
		printf("  %-8s the rule %s is not among those that are loaded here\n", "asks for",
		       rule_id);
	}
}

/* ---- the alert ---- */

static void put_group(json_t *root)
{
	json_t *group = json_object_get(json_object_get(root, "alert"), "group"), *v;
	const char *key;

	json_object_foreach (group, key, v) {
		char name[100], value[400];

		log_quote(name, sizeof name, slice_str(key));
		log_quote(value, sizeof value,
			  slice_str(json_is_string(v) ? json_string_value(v) : ""));
		printf("  %-8s %s is %s\n", "group", name, value);
	}
}

static void put_count(json_t *root)
{
	json_t *alert = json_object_get(root, "alert");
	long long count = json_integer_value(json_object_get(alert, "count"));
	long long hidden = json_integer_value(json_object_get(alert, "suppressed"));
	char first[64], last[64];

	log_quote(first, sizeof first, slice_str(text_of(root, "alert", "first")));
	log_quote(last, sizeof last, slice_str(text_of(root, "alert", "last")));
	printf("  %-8s %lld, from %s to %s\n", text_of(root, "alert", "state")[0] == 'n'
						       ? "counted" : "then", count, first, last);
	if (text_of(root, "alert", "severity_reason")[0] != '\0') {
		put("severity", text_of(root, "alert", "severity_reason"));
		put("before", text_of(root, "alert", "severity_was"));
	}
	if (text_of(root, "alert", "usual")[0] != '\0') {
		put("usual", text_of(root, "alert", "usual"));
	}
	if (hidden > 0) {
		printf("  %-8s %lld alerts of this rule and group that the cooldown hid before\n",
		       "and", hidden);
	}
}

static void put_lines(json_t *root)
{
	json_t *lines = json_object_get(json_object_get(root, "alert"), "evidence"), *line;
	const char *message = json_string_value(json_object_get(root, "message"));
	size_t i;

	json_array_foreach (lines, i, line) {
		put(i == 0 ? "lines" : "", json_is_string(line) ? json_string_value(line) : "");
	}
	put("last", message == NULL ? "" : message);
}

static void explain(struct explaining *x, json_t *root)
{
	const char *id = text_of(root, "alert", "id");
	int level = severity_parse(slice_str(text_of(root, "alert", "severity")));
	char shown[300];

	if (x->found++ > 0 && strcmp(x->full, id) != 0) {
		x->ambiguous = true;
		return;
	}
	if (x->json) {
		json_dumpf(root, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (x->found == 1) {
		snprintf(x->full, sizeof x->full, "%s", id);
		printf("%s, ", log_quote(shown, sizeof shown,
					 slice_str(text_of(root, "rule", "name"))));
		printf("%s\n", level < 0 ? "of no known severity"
					 : severity_name((enum severity)level));
		put("alert", id);
		put_rule(x, text_of(root, "rule", "id"));
		put_group(root);
	}
	put_count(root);
	put_lines(root);
}

static int one_file(struct explaining *x, const char *path, char *line)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (f == NULL) {
		return cli_fail("rules", "%s: %s", path, strerror(errno));
	}
	while (fgets(line, LINE_MAX_BYTES, f) != NULL) {
		json_error_t error;
		json_t *root = json_loads(line, 0, &error);

		if (root != NULL &&
		    strncmp(text_of(root, "alert", "id"), x->id, strlen(x->id)) == 0) {
			explain(x, root);
		}
		json_decref(root);
	}
	if (f != stdin) {
		fclose(f);
	}
	return CLI_OK;
}

int rules_explain(const struct rules_from *from, char **argv, size_t n, bool json)
{
	struct explaining x = {.from = from, .id = argv[0], .json = json};
	char *line = malloc(LINE_MAX_BYTES);
	int rc = CLI_OK;

	if (line == NULL) {
		return cli_fail("rules", "%s", err_str(UV_ENOMEM));
	}
	if (n == 1) {
		rc = one_file(&x, "-", line);
	}
	for (size_t i = 1; rc == CLI_OK && i < n; i++) {
		rc = one_file(&x, argv[i], line);
	}
	free(line);
	if (rc == CLI_OK && x.found == 0) {
		rc = cli_fail("rules", "no alert has an id that begins with \"%s\"", x.id);
	}
	if (x.ambiguous) {
		rc = cli_fail("rules", "several alerts have ids that begin with \"%s\": only the "
			      "first is shown; say more of it", x.id);
	}
	return rc;
}
