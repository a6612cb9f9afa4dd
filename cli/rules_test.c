/* nightjar rules test: the examples that stand in rules. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/rules.h"
#include "common/err.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "parsers/parser.h"
#include "redact/redact.h"

struct testing {
	const struct rules_from *from;
	struct redact *redact;
	struct buf line;
	const char *file;
	bool json, quiet;
	int rc;
	unsigned n, failed, mistakes, waiting;
	/* Of the example being run. */
	const char *want;
	unsigned nth, fired;
	bool waits;
	char last_id[160];
};

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	struct testing *t = arg;

	/* The rules are loaded anew for each example; once is enough. */
	if (!t->quiet) {
		fprintf(stderr, "%s:%u:%u: %s\n", file, line, column, text);
		t->mistakes++;
	}
}

static void on_finding(void *arg, const struct finding *f)
{
	struct testing *t = arg;

	t->fired += f->state == FINDING_NEW && strcmp(f->rule_id, t->want) == 0;
}

/* The log of an example as the agent would read it: redacted, parsed, judged. */
static int feed(struct testing *t, struct detect *d, struct slice log)
{
	struct redact_state state = {.in_key = false};
	struct parser *p;
	struct buf scratch;
	int64_t now = sys_wall_ns(sys_plain());
	int rc = parser_new(&p, NULL);

	buf_init(&scratch, LIMIT_LINE_MAX * 2);
	for (size_t n; rc == 0 && log.n > 0;
	     log = n == SIZE_MAX ? SLICE_NONE : slice_skip(log, n + 1)) {
		struct record r = {.observed_ns = now};

		n = slice_find(log, SLICE_LIT("\n"));
		redact_line(t->redact, &state, slice_head(log, n), &scratch, &r.line);
		parser_line(p, r.line, now, &r.header, &r.event);
		detect_record(d, &r, on_finding, t);
	}
	detect_advance(d, INT64_MAX, on_finding, t);
	parser_free(p);
	buf_wipe(&scratch);
	return rc;
}

static void tell_json(struct testing *t, const char *title, bool fires, bool good)
{
	struct json j;

	buf_clear(&t->line);
	j = json_begin(&t->line);
	json_object(&j, NULL);
	json_cstr(&j, "file", t->file);
	json_cstr(&j, "id", t->want);
	json_cstr(&j, "title", title);
	json_u64(&j, "example", t->nth);
	json_bool(&j, "must_fire", fires);
	json_u64(&j, "fired", t->fired);
	json_bool(&j, "good", good);
	json_object_end(&j);
	if (json_end(&j) == 0) {
		fwrite(t->line.p, 1, t->line.n, stdout);
		putchar('\n');
	}
}

static void tell(struct testing *t, const char *title, struct slice log, bool fires, bool good)
{
	char shown[300];

	if (t->json) {
		tell_json(t, title, fires, good);
		return;
	}
	if (good) {
		return;
	}
	printf("%s: %s: example %u: must %sfire, and %s:\n", t->file,
	       log_quote(shown, sizeof shown, slice_str(title)), t->nth, fires ? "" : "not ",
	       t->fired > 0 ? "did" : "did not");
	while (log.n > 0) {
		size_t n = slice_find(log, SLICE_LIT("\n"));
		char line[1024];

		printf("    %s\n", log_quote(line, sizeof line, slice_head(log, n)));
		log = n == SIZE_MAX ? SLICE_NONE : slice_skip(log, n + 1);
	}
}

static void on_rule(void *arg, const struct detect_rule *r)
{
	struct testing *t = arg;

	t->waits = t->waits || (r->waits != NULL && strcmp(r->id, t->want) == 0);
}

static void on_example(void *arg, const char *id, const char *title, struct slice log,
		       bool fires)
{
	struct testing *t = arg;
	struct detect *d;
	bool good;

	if (t->rc != 0) {
		return;
	}
	t->nth = strcmp(t->last_id, id) == 0 ? t->nth + 1 : 1;
	snprintf(t->last_id, sizeof t->last_id, "%s", id);
	t->want = id;
	t->fired = 0;
	t->waits = false;
	t->rc = rules_load(t->from, &d, on_error, t);
	t->quiet = true;
	if (t->rc == 0) {
		detect_rules(d, on_rule, t);
		t->rc = t->waits ? 0 : feed(t, d, log);
	}
	detect_free(d);
	t->waiting += t->rc == 0 && t->waits;
	if (t->rc != 0 || t->waits) {
		return;
	}
	good = (t->fired > 0) == fires;
	t->n++;
	t->failed += !good;
	tell(t, title, log, fires, good);
}

static int on_text(void *arg, const char *name, struct slice yaml)
{
	struct testing *t = arg;
	int rc;

	t->file = name;
	rc = detect_examples(yaml, on_example, t);
	return rc == UV_ENOMEM ? rc : t->rc;
}

int rules_test(const struct rules_from *from, bool json)
{
	struct testing t = {.from = from, .json = json};
	struct detect *d;
	int rc = redact_new(&t.redact, &from->config->redact);

	buf_init(&t.line, 64 * 1024);
	/* Complains, also where there is no example. */
	if (rc == 0) {
		rc = rules_load(from, &d, on_error, &t);
		detect_free(d);
		t.quiet = true;
	}
	rc = rc == 0 ? rules_each_text(from, on_text, &t) : rc;
	redact_free(t.redact);
	buf_fini(&t.line);
	if (rc < 0) {
		return cli_fail("rules", "%s", err_str(rc));
	}
	if (!json) {
		printf("%u examples hold, %u do not", t.n - t.failed, t.failed);
		if (t.waiting > 0) {
			printf(", %u wait for a list or a database (--list, --geoip)",
			       t.waiting);
		}
		putchar('\n');
	}
	return t.failed > 0 || t.mistakes > 0 ? CLI_FAILED : CLI_OK;
}
