/* The cases of tests/sigma: rules as the specification has them, and events that they must
 * and must not fire on.  tests/sigma/README.md says how a case is written. */
#include "tests/support/rulekit.h"

#include <dirent.h>
#include <string.h>

#include "common/doc.h"
#include "common/strlist.h"

#ifndef SIGMA_CASES
#error "meson.build names the folder"
#endif

static const struct doc_limits limits = {.depth = 16, .nodes = 20000};

/* ---- one event ---- */

static int64_t seconds_of(struct slice s)
{
	uint64_t n;

	assert_true(slice_to_u64(s, 1000000000, &n));
	return (int64_t)n;
}

static void set_member(struct record *r, const struct doc_node *n)
{
	int field = event_field_find(n->key);

	if (slice_eq(n->key, SLICE_LIT("line"))) {
		r->line = r->header.message = n->text;
		if (slice_starts(n->text, SLICE_LIT("type=")) ||
		    slice_starts(n->text, SLICE_LIT("node="))) {
			r->header.format = HEADER_OTHER;
		}
	} else if (slice_eq(n->key, SLICE_LIT("program"))) {
		r->header.program = n->text;
	} else if (slice_eq(n->key, SLICE_LIT("host"))) {
		r->header.host = n->text;
	} else if (slice_eq(n->key, SLICE_LIT("pid"))) {
		r->header.pid = n->text;
	} else if (slice_eq(n->key, SLICE_LIT("outcome"))) {
		r->event.outcome = slice_eq(n->text, SLICE_LIT("success")) ? OUTCOME_SUCCESS
									   : OUTCOME_FAILURE;
	} else if (slice_eq(n->key, SLICE_LIT("at"))) {
		r->header.time_ns = SEC(seconds_of(n->text));
	} else if (slice_eq(n->key, SLICE_LIT("time"))) {
		assert_true(time_parse(n->text, &r->header.time_ns));
	} else if (field >= 0) {
		event_set(&r->event, (enum event_field)field, n->text);
	} else {
		fail_msg("line %u: an event has no \"%.*s\"", n->key_mark.line, (int)n->key.n,
			 n->key.p);
	}
}

static void count_finding(void *arg, const struct finding *f)
{
	(void)f;
	++*(unsigned *)arg;
}

static struct record make_event(const struct doc_node *event)
{
	struct record r = {.line = SLICE_LIT("a line"), .observed_ns = TIME_NONE};

	r.header.time_ns = T0;
	r.header.message = r.line;
	r.event.attempts = 1;
	for (const struct doc_node *m = event->first; m != NULL; m = m->next) {
		set_member(&r, m);
	}
	return r;
}

static bool fires(struct detect *d, const struct doc_node *event)
{
	struct record r = make_event(event);
	unsigned n = 0;

	detect_record(d, &r, count_finding, &n);
	return n > 0;
}

/* ---- one case ---- */

struct sigma_case {
	const char *file;
	unsigned line; /* of the case in the file */
	struct slice text;
	unsigned n_events;
};

static int on_document(void *arg, const struct doc_node *root)
{
	const struct doc_node *test = doc_find(root, "conformance");

	if (test != NULL) {
		*(bool *)arg = true;
	}
	return 0;
}

static void check_events(struct sigma_case *c, struct detect *d, const struct doc_node *test,
			 const char *key, bool must)
{
	const struct doc_node *list = doc_find(test, key);

	for (const struct doc_node *e = list == NULL ? NULL : list->first; e != NULL;
	     e = e->next) {
		c->n_events++;
		if (fires(d, e) != must) {
			const struct doc_node *section = doc_find(test, "section");

			fail_msg("%s:%u (%.*s): the rule must%s fire on the event", c->file,
				 c->line + e->mark.line - 1, (int)section->text.n,
				 section->text.p, must ? "" : " not");
		}
	}
}

/* ---- what correlations tell ---- */

enum { ALERTS = 32 };

struct sigma_alert {
	char rule[32], group[64];
	int64_t since_s, first_s, last_s;
	uint64_t count;
};

struct sigma_alerts {
	struct sigma_alert v[ALERTS];
	size_t n;
};

static int64_t second_of(int64_t ns)
{
	return (ns - SEC(0)) / NS_PER_S;
}

static void keep_alert(void *arg, const struct finding *f)
{
	struct sigma_alerts *all = arg;
	struct sigma_alert a = {.since_s = second_of(f->since_ns),
				.first_s = second_of(f->first_ns),
				.last_s = second_of(f->last_ns), .count = f->count};
	size_t n = 0, i = 0;

	if (f->single) {
		return;
	}
	snprintf(a.rule, sizeof a.rule, "%s", f->rule_id);
	for (size_t k = 0; k < f->n_group; k++) {
		n += (size_t)snprintf(a.group + n, sizeof a.group - n, "%s%.*s",
				      k > 0 ? " " : "", SLICE_ARG(f->group[k].value));
	}
	while (i < all->n && (strcmp(all->v[i].rule, a.rule) != 0 ||
			      strcmp(all->v[i].group, a.group) != 0 ||
			      all->v[i].since_s != a.since_s)) {
		i++;
	}
	assert_true(i < ALERTS);
	all->n += i == all->n;
	all->v[i] = a;
}

static bool take_alert(struct sigma_alerts *got, const struct doc_node *want)
{
	for (size_t i = 0; i < got->n; i++) {
		struct sigma_alert *a = &got->v[i];

		if (slice_eq(doc_find(want, "rule")->text, slice_str(a->rule)) &&
		    slice_eq(doc_find(want, "group")->text, slice_str(a->group)) &&
		    seconds_of(doc_find(want, "first")->text) == a->first_s &&
		    seconds_of(doc_find(want, "last")->text) == a->last_s &&
		    (uint64_t)seconds_of(doc_find(want, "count")->text) == a->count) {
			*a = got->v[--got->n];
			return true;
		}
	}
	return false;
}

/* All events in their order, then nothing more: these alerts, and no others. */
static void check_alerts(struct sigma_case *c, struct detect *d, const struct doc_node *test)
{
	const struct doc_node *events = doc_find(test, "events");
	const struct doc_node *want = doc_find(test, "alerts");
	struct sigma_alerts got = {.n = 0};

	if (events == NULL || want == NULL) {
		return;
	}
	for (const struct doc_node *e = events->first; e != NULL; e = e->next) {
		struct record r = make_event(e);

		detect_record(d, &r, keep_alert, &got);
		c->n_events++;
	}
	detect_advance(d, INT64_MAX, keep_alert, &got);
	for (size_t i = 0; i < got.n;) {
		/* Joined with another. */
		if (got.v[i].count == 0) {
			got.v[i] = got.v[--got.n];
		} else {
			i++;
		}
	}
	for (const struct doc_node *a = want->first; a != NULL; a = a->next) {
		if (!take_alert(&got, a)) {
			fail_msg("%s:%u: this alert did not come", c->file,
				 c->line + a->mark.line - 1);
		}
	}
	if (got.n > 0) {
		fail_msg("%s:%u: %s told of \"%s\" from %lld to %lld, counting %llu",
			 c->file, c->line, got.v[0].rule, got.v[0].group,
			 (long long)got.v[0].first_s, (long long)got.v[0].last_s,
			 (unsigned long long)got.v[0].count);
	}
}

struct run {
	struct sigma_case *c;
	struct detect *d;
	struct complaints *complaints;
};

static int run_document(void *arg, const struct doc_node *root)
{
	struct run *run = arg;
	const struct doc_node *test = doc_find(root, "conformance");
	const struct doc_node *refused = doc_find(test, "refused");

	if (test == NULL) {
		return 0;
	}
	if (doc_find(test, "section") == NULL) {
		fail_msg("%s:%u: a case names its section", run->c->file, run->c->line);
	}
	if (refused == NULL && run->complaints->n > 0) {
		fail_msg("%s:%u: refused: %s", run->c->file, run->c->line,
			 run->complaints->last);
	}
	if (refused != NULL && strstr(run->complaints->last, refused->text.p) == NULL) {
		fail_msg("%s:%u: must be refused with \"%s\", and was with \"%s\"", run->c->file,
			 run->c->line, refused->text.p, run->complaints->last);
	}
	check_events(run->c, run->d, test, "fires", true);
	check_events(run->c, run->d, test, "silent", false);
	check_alerts(run->c, run->d, test);
	run->c->n_events += refused != NULL;
	return 0;
}

static void run_case(struct sigma_case *c)
{
	static const char placeholders[] = "Servers: [web1, 'db*']\nAdmins: root\n"
					   "inside: [10.0.0.0/8, '2001:db8::/32']\n"
					   "Percent: '100%'\n";
	struct complaints complaints = {0, ""};
	struct run run = {c, NULL, &complaints};
	struct doc_error err;

	assert_int_equal(detect_new(&run.d, NULL, rulekit_key), 0);
	assert_int_equal(detect_placeholders_bytes(run.d, "placeholders.yml",
						   slice_str(placeholders), rulekit_error, NULL),
			 0);
	assert_true(detect_load_bytes(run.d, c->file, c->text, rulekit_error, &complaints) >= 0);
	assert_true(detect_compile(run.d, rulekit_error, &complaints) >= 0);
	if (doc_each(c->text, limits, run_document, &run, &err) != 0) {
		fail_msg("%s:%u: %s", c->file, c->line + err.mark.line - 1, err.text);
	}
	detect_free(run.d);
}

/* ---- one file: cases begin with a line "# case" ---- */

static unsigned lines_in(struct slice s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++) {
		n += s.p[i] == '\n';
	}
	return n;
}

static unsigned run_file(const char *name)
{
	static char text[256 * 1024];
	char path[512];
	struct slice rest;
	unsigned cases = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", SIGMA_CASES, name);
	f = fopen(path, "r");
	assert_non_null(f);
	rest = slice(text, fread(text, 1, sizeof text - 1, f));
	text[rest.n] = '\0';
	fclose(f);
	for (size_t at; (at = slice_find(rest, SLICE_LIT("# case\n"))) != SIZE_MAX; cases++) {
		struct sigma_case c = {.file = name};
		bool tested = false;
		struct doc_error err;

		rest = slice_skip(rest, at + 7);
		c.text = slice_head(rest, slice_find(rest, SLICE_LIT("# case\n")));
		c.line = 1 + lines_in(slice(text, (size_t)(rest.p - text)));
		doc_each(c.text, limits, on_document, &tested, &err);
		if (!tested) {
			fail_msg("%s:%u: a case without `conformance`", name, c.line);
		}
		run_case(&c);
		if (c.n_events == 0) {
			fail_msg("%s:%u: a case that asks nothing", name, c.line);
		}
	}
	return cases;
}

static void every_case_of_the_folder_is_as_the_specification_says(void **state)
{
	unsigned files = 0, cases = 0;
	struct dirent *e;
	DIR *dir = opendir(SIGMA_CASES);

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		if (slice_ends(slice_str(e->d_name), SLICE_LIT(".yml"))) {
			unsigned n = run_file(e->d_name);

			if (n == 0) {
				fail_msg("%s: no cases", e->d_name);
			}
			cases += n;
			files++;
		}
	}
	closedir(dir);
	print_message("%u cases in %u files\n", cases, files);
	assert_true(files >= 8 && cases >= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_folder_is_as_the_specification_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
