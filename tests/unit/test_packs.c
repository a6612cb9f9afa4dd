/* Each rule of the default packs on the lines that stand in it, through the real
 * parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/limits.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "detectors/detect.h"
#include "detectors/refer.h"
#include "parsers/parser.h"
#include "tests/support/mmdb.h"

struct run {
	const char *want;
	unsigned fired;
	unsigned all;
	bool streamed; /* the lines are of stream 1, and those that look so are masked */
	uint64_t masked[LIMIT_EVIDENCE_LINES];
	size_t n_masked;
};

static const uint8_t key[16] = "0123456789abcdef";

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	(void)arg;
	fail_msg("%s:%u:%u: %s", file, line, column, text);
}

static bool no_library;

static void on_told(void *arg, const struct refer_told *t)
{
	(void)arg;
	no_library = !t->good && strstr(t->text, "without libmaxminddb") != NULL;
	if (!t->good && !no_library) {
		fail_msg("%s: %s", t->path, t->text);
	}
}

static void on_finding(void *arg, const struct finding *f)
{
	struct run *run = arg;

	run->all++;
	if (f->state == FINDING_NEW && strcmp(f->rule_id, run->want) == 0) {
		run->fired++;
		run->n_masked = f->n_masked;
		for (size_t i = 0; i < f->n_masked; i++) {
			assert_int_equal(f->masked[i].stream.b[0], 1);
			run->masked[i] = f->masked[i].start;
		}
	}
}

static int64_t at(const char *text)
{
	int64_t ns;

	assert_true(time_parse(slice_str(text), &ns));
	return ns;
}

/* from: the path of the lines' stream, if it says who sent them; or NULL. */
static void feed(struct detect *d, struct slice log, const char *from, struct run *run)
{
	struct parser *p;
	int64_t now = at("2026-11-22T15:37:46Z");
	uint64_t offset = 0;

	assert_int_equal(parser_new(&p, NULL), 0);
	if (from != NULL) {
		parser_sender(p, slice_str(from));
	}
	while (log.n > 0) {
		size_t n = slice_find(log, SLICE_LIT("\n"));
		struct record r = {.line = slice_head(log, n), .observed_ns = now};

		r.start = offset;
		offset += r.line.n + 1;
		r.end = offset;
		r.stream.b[0] = run->streamed;
		if (slice_find(r.line, SLICE_LIT("*redacted")) != SIZE_MAX) {
			r.flags = RECORD_REDACTED;
		}
		parser_line(p, r.line, now, &r.header, &r.event);
		detect_record(d, &r, on_finding, run);
		log = n == SIZE_MAX ? SLICE_NONE : slice_skip(log, n + 1);
	}
	detect_advance(d, INT64_MAX, on_finding, run);
	parser_free(p);
}

/* Where the addresses of the examples are: those for documentation, in a real database. */
static struct refer *places(void)
{
	static const struct mmdb_entry entries[] = {
		{"192.0.2.0/24", "DE", true, 52.52, 13.405, 20, 64500, "Example Berlin"},
		{"198.51.100.0/24", "JP", true, 35.6895, 139.6917, 20, 64501, "Example Tokyo"},
		{"203.0.113.0/24", "DE", true, 52.3906, 13.0645, 20, 64502, "Example Potsdam"},
	};
	char path[] = "/tmp/nightjar_packs.XXXXXX", *paths[] = {path, NULL};
	struct detectors_options o = {.geoip = {paths, 1}};
	struct buf out;
	struct refer *r;
	int fd = mkstemp(path);

	buf_init(&out, 1024 * 1024);
	assert_true(mmdb_write(&out, "Enterprise", entries, sizeof entries / sizeof *entries));
	assert_int_equal(write(fd, out.p, out.n), out.n);
	close(fd);
	assert_int_equal(refer_new(&r, &o, key), 0);
	refer_load(r, sys_plain(), on_told, NULL);
	unlink(path);
	buf_fini(&out);
	return r;
}

static struct detect *defaults(struct refer *refer)
{
	struct detect *d;

	assert_int_equal(detect_new(&d, NULL, key), 0);
	detect_set_refer(d, refer);
	assert_true(detect_load_defaults(d, on_error, NULL) > 0);
	assert_true(detect_compile(d, on_error, NULL) > 0);
	return d;
}

/* Examples of a rule come one after the other. */
struct tally {
	char last[40];
	unsigned rules; /* that fired on lines of theirs */
	struct refer *places;
};

struct waiting {
	const char *id;
	bool waits;
};

static void on_rule(void *arg, const struct detect_rule *r)
{
	struct waiting *w = arg;

	w->waits = w->waits || (strcmp(r->id, w->id) == 0 && r->waits != NULL);
}

/* Without libmaxminddb rules about places wait for ever. */
static bool waits(const struct detect *d, const char *id)
{
	struct waiting w = {id, false};

	detect_rules(d, on_rule, &w);
	return no_library && w.waits;
}

static void on_example(void *arg, const char *id, const char *title,
		       struct slice log, bool fires)
{
	struct tally *t = arg;
	struct detect *d = defaults(t->places);
	struct run run = {.want = id};

	feed(d, log, NULL, &run);
	if ((run.fired > 0) != fires && !waits(d, id)) {
		fail_msg("\"%s\" %s:\n%.*s", title,
			 fires ? "did not fire on" : "fired on",
			 SLICE_ARG(log));
	}
	detect_free(d);
	if (fires && strcmp(t->last, id) != 0) {
		snprintf(t->last, sizeof t->last, "%s", id);
		t->rules++;
	}
}

static void every_default_rule_fires_and_keeps_silent_as_its_examples_say(void **state)
{
	struct tally t = {"", 0, places()};

	(void)state;
	for (size_t i = 0; i < detect_n_packs; i++) {
		assert_true(detect_examples(detect_packs[i].yaml, on_example,
					    &t) >= 0);
	}
	assert_true(t.rules >= 45);
	refer_free(t.places);
}

/* Whoever is told of a typed password is told where it stands, to take it out there. */
static void a_typed_password_is_told_with_its_place(void **state)
{
	static const char log[] =
		"Mar 14 02:11:00 gate sshd[811]: Invalid user anan from 192.0.2.7 port 40001\n"
		"Mar 14 02:11:01 gate sshd[812]: Invalid user *redacted-typed-password* from "
		"192.0.2.7 port 40001\n"
		"Mar 14 02:11:02 gate sshd[813]: Invalid user *redacted-typed-password* from "
		"192.0.2.8 port 40001\n"
		"Mar 14 02:11:15 gate sshd[816]: Accepted password for anna from 192.0.2.7 port "
		"40006 ssh2\n";

	(void)state;
	for (int streamed = 0; streamed <= 1; streamed++) {
		struct run run = {.want = "c2c1b6a5-7e0f-4f0e-9a51-0f5b6d6f3c18",
				  .streamed = streamed != 0};
		struct detect *d = defaults(NULL);

		feed(d, slice_str(log), NULL, &run);
		assert_int_equal(run.fired, 1);
		/* A replay has no stream to name. */
		assert_int_equal(run.n_masked, streamed);
		if (streamed != 0) {
			assert_int_equal(run.masked[0], strchr(log, '\n') + 1 - log);
		}
		detect_free(d);
	}
}

/* Examples are lines of files, which say nothing of their senders. */
static void a_line_that_its_user_cannot_have_sent_is_told(void **state)
{
	static const char line[] =
		"<38>1 2026-03-14T02:14:15Z gate sshd 812 - [journal@32473 _UID=\"%d\"] "
		"Failed password for root from 192.0.2.7 port 40001 ssh2\n";

	(void)state;
	for (int uid = 0; uid <= 1000; uid += 1000) {
		struct detect *d = defaults(NULL);
		struct run run = {.want = "6c8ef0a5-92d4-4d3e-8b0e-6f6a1f4b7d21"};
		char text[512];

		snprintf(text, sizeof text, line, uid);
		feed(d, slice_str(text), "journal:/var/log/journal/1/system/2", &run);
		assert_int_equal(run.fired, uid == 0 ? 0 : 1);
		detect_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_rule_fires_and_keeps_silent_as_its_examples_say),
		cmocka_unit_test(a_typed_password_is_told_with_its_place),
		cmocka_unit_test(a_line_that_its_user_cannot_have_sent_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
